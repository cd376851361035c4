"""What all of our own records share: how they are written, read, named and dated."""

import functools
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import MessageError, json_kind


class Wire(BaseModel):
    """Base of our own records: unknown fields are kept, so that newer writers do not break older readers."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    def encode(self) -> bytes:
        """As it stands in the topic."""
        return orjson.dumps(self.model_dump(exclude_none=True))


W = TypeVar("W", bound=Wire)


Severity = Literal["info", "warning", "critical"]


def decode(kind: type[W], value: bytes | None) -> W:
    """One of our own records from its bytes. Raises MessageError."""
    try:
        return kind.model_validate(orjson.loads(value or b""))
    except orjson.JSONDecodeError as error:
        raise MessageError("bad_record", f"no valid {kind.__name__}: {error}") from error
    except ValidationError as error:
        raise MessageError("bad_record", f"no valid {kind.__name__}: {_first_fault(error)}") from error


def _first_fault(error: ValidationError) -> str:
    """Which field, and what is wrong with it; never what stands there."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def json_object(value: bytes | None, name: str) -> dict[str, Any]:
    """A record that is one JSON object. name: of what it should be, for the error. Raises MessageError."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise MessageError("bad_record", f"no {name}: {error}") from error
    if not isinstance(document, dict):
        raise MessageError("bad_record", f"no {name}: {json_kind(document)}, no object")
    return document


def decision_id(topic: str, epoch: str, partition: int, offset: int) -> str:
    """Names the source event; epoch tells a topic from one of the same name made again."""
    return f"{topic}@{epoch}-{partition}-{offset}"


def format_time(at_ms: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    second, millisecond = divmod(at_ms, 1000)
    return f"{_format_second(second)}.{millisecond:03d}Z"


@functools.lru_cache(4_096)  # the texts of a batch come from a few seconds
def _format_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
