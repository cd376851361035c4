"""Other people's records: where text, key and time stand in them.

`SourceReader` is the gate: it gives a text or raises MessageError, never anything else.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from jsonpointer import JsonPointer, JsonPointerException

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
    """Its size as JSON, as deep as it will stand in a decision: orjson refuses what is nested deeper than 254
    levels."""
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
    """A function that finds what a JSON pointer (RFC 6901) names, or None. Pointers to a field of the record itself,
    the usual ones, are a look-up; the library walks the others."""
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
