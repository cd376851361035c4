"""What travels in the topics: one schema each, JSON in UTF-8, validated where it enters.

`SourceReader` is the gate for other people's records: it gives a text or raises MessageError, never anything else.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

import orjson
from jsonpointer import JsonPointer, JsonPointerException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import MessageError
from streams.application import Source

TEXT_MAX_BYTES = 8_192  # text kept in a decision; the classifier has seen more
EXTRA_MAX_BYTES = 65_536
TIME_SPAN_MS = 10 * 366 * 24 * 3_600_000  # a source time farther than ten years from the record's is a mistake


@dataclass(frozen=True, slots=True)
class SourceText:
    """A record as the classifier needs it. at_ms: the source record's own time, milliseconds since 1970, UTC."""

    text: str
    key: str | None
    at_ms: int
    symbols: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


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
    streams.serving.Trial). share: of the keys that the canary decides as well. revision grows by one with every change."""

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


def clean_text(text: str) -> str:
    """Lone surrogates, which no encoding can carry, become U+FFFD; NUL, which stores refuse, too."""
    if text.isascii():
        return text.replace("\0", "�")
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\0", "�")


def cut_text(text: str, limit_bytes: int = TEXT_MAX_BYTES) -> str:
    """At most `limit_bytes` of UTF-8, never half a character."""
    encoded = text.encode()
    return text if len(encoded) <= limit_bytes else encoded[:limit_bytes].decode("utf-8", "ignore")


class SourceReader:
    """Finds text, key and time in records of one shape, and what else stands in them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = compile_pointer(source.text)
        self._key = compile_pointer(source.key) if source.key else None
        self._at = compile_pointer(source.at) if source.at else None
        self._symbols = compile_pointer(source.symbols) if source.symbols else None
        taken = (source.text, source.key, source.at)
        self._used = {pointer.split("/")[1] for pointer in taken if pointer and pointer.count("/") == 1}

    def parse(self, value: bytes | None, key: bytes | None, timestamp_ms: int) -> SourceText:
        """A record's text with its key and time. Raises MessageError with one of the reasons not_json, no_text,
        empty_text, not_utf8, tombstone."""
        if value is None:
            raise MessageError("tombstone", "the record has no value")
        own_key = key.decode("utf-8", "replace") if key is not None else None
        if self._source.format == "text":
            return SourceText(_plain_text(value), own_key, timestamp_ms)
        body = _load_json(value)
        text = self._text(body)
        if not isinstance(text, str):
            raise MessageError("no_text", f"no text at {self._source.text or 'the top'}: {type(text).__name__}")
        if not text.strip():
            raise MessageError("empty_text", f"the text at {self._source.text} is empty")
        named_key = self._key(body) if self._key else None
        return SourceText(
            text=clean_text(text),
            key=clean_text(str(named_key)) if named_key is not None else own_key,
            at_ms=_milliseconds(self._at(body), timestamp_ms) if self._at else timestamp_ms,
            symbols=_symbols(self._symbols(body)) if self._symbols else (),
            fields=body if isinstance(body, dict) else {},
        )

    def parse_event(self, value: bytes | None, key: bytes | None, timestamp_ms: int) -> SourceText:
        """A record that need not hold a text (user events). Raises MessageError (tombstone, not_json, not_object)."""
        if value is None:
            raise MessageError("tombstone", "the record has no value")
        body = _load_json(value)
        if not isinstance(body, dict):
            raise MessageError("not_object", f"the record is a JSON {type(body).__name__}, not an object")
        text = self._text(body)
        return SourceText(
            text=clean_text(text) if isinstance(text, str) else "",
            key=key.decode("utf-8", "replace") if key is not None else None,
            at_ms=_milliseconds(self._at(body), timestamp_ms) if self._at else timestamp_ms,
            fields=body,
        )

    def extra(self, source: SourceText) -> dict[str, Any]:
        """The record's other fields, as they came; dropped and marked where they are larger than EXTRA_MAX_BYTES."""
        extra = {name: value for name, value in source.fields.items() if name not in self._used}
        if not extra:
            return extra
        try:
            size = _encoded_bytes(extra)
        except (orjson.JSONEncodeError, RecursionError):
            extra, size = _encodable(extra)
        return extra if size <= EXTRA_MAX_BYTES else {"headrace_dropped_bytes": size}


def _encoded_bytes(extra: dict[str, Any]) -> int:
    """Its size as JSON, as deep as it will stand in a decision: orjson refuses what is nested deeper than 254 levels."""
    return len(orjson.dumps([[[extra]]])) - 6


def _encodable(extra: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What the parser took and orjson does not write: lone surrogates and NaN replaced, huge integers as text; what is
    nested too deeply is dropped, and the names are kept."""
    try:
        plain = clean_text(json.dumps(extra, ensure_ascii=False, allow_nan=True))
        found = json.loads(plain, parse_constant=lambda _: None, parse_int=_integer)
        return found, _encoded_bytes(found)
    except (orjson.JSONEncodeError, RecursionError, ValueError):
        return {"headrace_dropped_fields": [clean_text(name)[:100] for name in list(extra)[:50]]}, 0


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 and -(2**63) <= int(digits) < 2**64 else digits


def compile_pointer(pointer: str) -> Callable[[Any], Any]:
    """A function that finds what a JSON pointer (RFC 6901) names, or None. Pointers to a field of the record itself, the
    usual ones, are a look-up; the library walks the others."""
    name = pointer[1:]
    if pointer and "/" not in name and "~" not in name:
        return lambda body: body.get(name) if isinstance(body, dict) else None
    resolve = JsonPointer(pointer).resolve

    def find(body: Any) -> Any:
        try:
            return resolve(body, None)
        except (JsonPointerException, TypeError):
            return None

    return find


def _plain_text(value: bytes) -> str:
    try:
        text = clean_text(value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MessageError("not_utf8", f"the record is no UTF-8 text: {error}") from error
    if not text.strip():
        raise MessageError("empty_text", "the record's text is empty")
    return text


def _load_json(value: bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        pass
    try:  # the standard library's parser takes what orjson refuses and the world sends: lone surrogates, NaN
        return json.loads(value.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MessageError("not_utf8", f"the record is no UTF-8: {error}") from error
    except (ValueError, RecursionError) as error:
        raise MessageError("not_json", f"the record is no JSON: {error}") from error


def _milliseconds(at: Any, fallback_ms: int) -> int:
    """A time given as RFC 3339 or seconds or milliseconds since 1970; the record's own where that makes no sense."""
    found: float | None = None
    if isinstance(at, str):
        try:
            parsed = datetime.fromisoformat(at)
            found = parsed.replace(tzinfo=parsed.tzinfo or UTC).timestamp() * 1000
        except (ValueError, OverflowError):
            found = None
    elif isinstance(at, int | float) and not isinstance(at, bool) and abs(at) < 1e15:  # false of NaN as well
        found = float(at) if abs(at) > 1e11 else float(at) * 1000
    if found is None or abs(found - fallback_ms) > TIME_SPAN_MS:
        return max(fallback_ms, 0)
    return int(found)


def _symbols(found: Any) -> tuple[str, ...]:
    if isinstance(found, str):
        found = found.split()
    if not isinstance(found, list):
        return ()
    return tuple(clean_text(str(symbol))[:32] for symbol in found[:32])
