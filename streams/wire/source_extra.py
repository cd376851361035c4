"""Which fields of a source record stay with its decision, and that they can be written again whatever they hold."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from streams.application import Source
from streams.wire.source_json import compile_pointer
from streams.wire.text import clean_text, cut_text

EXTRA_MAX_BYTES: Final = 65_536
SEGMENT_BYTES: Final = 64
OF_A_DECISION: Final = ("text", "body", "key", "at", "picture")  # pointers to what stands in a decision's own fields


class ExtraFields:
    """A decision's `extra`, as `[source] keep` wants it. Records hold customers' data, so only what is asked for is
    copied into every decision and its store."""

    def __init__(self, source: Source) -> None:
        self._keeps_all = source.keep == "all"
        own = [pointer for name in OF_A_DECISION if (pointer := getattr(source, name))]
        self._own_fields = {pointer.split("/")[1] for pointer in own if pointer.count("/") == 1}
        self._kept: list[tuple[list[str], Callable[[Any], Any]]] = [
            ([part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]], compile_pointer(pointer))
            for pointer in _pointers(source)
        ]

    def of(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The kept fields, where they stood in the record; dropped and marked where they are larger than
        EXTRA_MAX_BYTES."""
        if self._keeps_all:
            extra = {name: value for name, value in fields.items() if name not in self._own_fields}
        else:
            extra = {}
            for path, find in self._kept:
                if (value := find(fields)) is not None:
                    _place(extra, path, value)
        return _within_limit(extra) if extra else extra


class SegmentFields:
    """An event's segments, as `[source] segments` names them: short values only, as text."""

    def __init__(self, source: Source) -> None:
        self._segments = [(name, compile_pointer(pointer)) for name, pointer in source.segments.items()]

    def of(self, fields: Mapping[str, Any]) -> dict[str, str]:
        """Name to value; what the record lacks, or is no text, number or truth value, is left out."""
        values = ((name, find(fields)) for name, find in self._segments)
        return {
            name: cut_text(clean_text(str(value)), SEGMENT_BYTES)
            for name, value in values
            if isinstance(value, str | int | float) and value != ""
        }


def _pointers(source: Source) -> Iterable[str]:
    if isinstance(source.keep, str):
        if source.keep != "named":
            return ()
        named = [name for name in ("symbols", "user", "item", "action") if name in source.model_fields_set]
        return [pointer for name in named if (pointer := getattr(source, name))]
    return source.keep


def _place(extra: dict[str, Any], path: list[str], value: Any) -> None:
    """As deep as it stood, so that a pointer finds it in `extra` as it does in the record."""
    for part in path[:-1]:
        inner = extra.get(part)
        if not isinstance(inner, dict):
            inner = extra[part] = {}
        else:
            inner = extra[part] = dict(inner)  # it may be the record's own, kept by another pointer
        extra = inner
    extra[path[-1]] = value


def _within_limit(extra: dict[str, Any]) -> dict[str, Any]:
    try:
        size = _encoded_bytes(extra)
    except (orjson.JSONEncodeError, RecursionError):
        extra, size = _encodable(extra)
    return extra if size <= EXTRA_MAX_BYTES else {"headrace_dropped_bytes": size}


def _encoded_bytes(extra: dict[str, Any]) -> int:
    """Its size as JSON. Stands deeper here than in a decision, so that orjson, which writes 254 levels, refuses what
    stores refuse (connectors.documents.MAX_DEPTH): else the event would be decided, and its decision lost to them."""
    return len(orjson.dumps([[[[extra]]]])) - 8


def _encodable(extra: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What the parser took and orjson does not write: lone surrogates and NaN replaced, huge integers as text; what is
    nested too deeply is dropped, and the names are kept."""
    try:
        plain = clean_text(json.dumps(extra, ensure_ascii=False, allow_nan=True))
        readable = json.loads(plain, parse_constant=lambda _: None, parse_int=_integer)
        return readable, _encoded_bytes(readable)
    except (orjson.JSONEncodeError, RecursionError, ValueError):
        return {"headrace_dropped_fields": [cut_text(clean_text(name), 100) for name in list(extra)[:50]]}, 0


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 and -(2**63) <= int(digits) < 2**64 else digits
