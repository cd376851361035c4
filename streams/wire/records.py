"""What travels in the topics: one schema each, JSON in UTF-8, validated where it enters.

`SourceReader` is the gate for other people's records: it gives a text or raises MessageError, never anything else.
"""

import functools
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import MessageError


class Wire(BaseModel):
    """Base of our own records: unknown fields are kept, so that newer writers do not break older readers."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def encode(self) -> bytes:
        """As it stands in the topic."""
        return orjson.dumps(self.model_dump(exclude_none=True))


W = TypeVar("W", bound=Wire)


class Feedback(Wire):
    """What a person (or a system that knows) says a decision should have been."""

    decision_id: str
    head: str
    label: str
    by: str
    at: str

    @property
    def key(self) -> bytes:
        """One opinion per decision, head and person."""
        return f"{self.decision_id}|{self.head}|{self.by}".encode()


class Alert(Wire):
    """Something a person should know; the same fingerprint resolves what it fired."""

    fingerprint: str
    rule: str
    severity: Literal["info", "warning", "critical"]
    state: Literal["firing", "resolved"]
    summary: str
    values: dict[str, Any] = {}
    evidence: list[Any] = []
    at: str


class RetrainRequest(Wire):
    """The monitor's wish for a better model."""

    id: str
    app: str
    reason: str
    evidence: dict[str, Any] = {}
    at: str


class Release(Wire):
    """The whole state of a model: which version serves, which one it took over from, and which ones look on (see
    streams.classify.serving.Trial). share: of the keys that the canary decides as well. revision grows by one with
    every change."""

    model: str
    champion: str
    previous: str | None = None
    canary: str | None = None
    share: float | None = Field(default=None, gt=0, le=1)
    shadow: str | None = None
    revision: int
    manifest_sha256: dict[str, str]
    by: str
    at: str


def decode(kind: type[W], value: bytes | None) -> W:
    """One of our own records from its bytes. Raises MessageError."""
    try:
        return kind.model_validate(orjson.loads(value or b""))
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise MessageError("bad_record", f"no valid {kind.__name__}: {str(error).splitlines()[0]}") from error


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
