"""A file's rows in the shape that an application reads: its pointers, its key, its time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from models.errors import ConfigError
from streams.application import Application
from streams.wire.source_json import compile_pointer
from streams.wire.text import clean_text


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column goes. column: None where the file has none for it. pointer: in the record, None: its key only."""

    role: str
    column: str | None
    pointer: str | None


class RecordShape:
    """Builds records of one application from the columns of one file.

    A field stands in the column that the user named, else in one called like the end of its pointer (`/payload/body`:
    `body`), else like the application says of its examples (`text_column`), else like its role (`text`, `key`, `at`).
    Rows of JSON lines that have the shape already stay as they are.
    """

    def __init__(
        self,
        app: Application,
        columns: Sequence[str],
        *,
        text_column: str | None,
        key_column: str | None,
        time_column: str | None = None,
    ) -> None:
        """Raises ConfigError where the file has no column for what the application cannot do without."""
        self._is_text = app.source.format == "text"
        source, own = app.source, dict[str, str]()
        if app.kind == "recommend":
            named = {"user": source.user, "item": source.item, "action": source.action, "at": source.at}
            needed, asked = "user", {"user": key_column, "at": time_column}
        else:
            named = {"text": source.text, "body": source.body, "key": source.key, "at": source.at}
            named |= {"symbols": source.symbols}
            needed, asked = "text", {"text": text_column, "key": key_column, "at": time_column}
            if source.body is not None and app.title_column is not None:
                own = {"text": app.title_column, "body": app.text_column}
            else:
                own = {"text": app.text_column}
        self._places = [
            Place(role, asked.get(role) or _column_for(role, pointer, columns, own.get(role)), pointer)
            for role, pointer in named.items()
            if role in (needed, "key") or pointer is not None
        ]
        self._needed = next(place for place in self._places if place.role == needed)
        body = next((place for place in self._places if place.role == "body" and place.column is not None), None)
        texts = [self._needed] if body is None else [self._needed, body]
        self._finds = [compile_pointer(place.pointer or "") for place in texts]
        self._is_named = asked[needed] is not None
        if self._needed.column is None and _root(self._needed) not in columns:  # else rows may have the shape already
            raise ConfigError(
                f"{app.given_as} reads its {needed} at {self._needed.pointer!r}, and the file has no column for it: it "
                f"has {', '.join(columns) or 'none'}; name one with --{'text' if needed == 'text' else 'key'}-column"
            )

        self._without = tuple(
            place
            for place in self._places
            if place.role in ("key", "at") and place.pointer and place.column is None and _root(place) not in columns
        )

    @property
    def without(self) -> dict[str, str]:
        """`key` and `at`, as far as the application reads them and the file has no column for them, with where they
        are read. Records are no one's then, and of the moment of loading."""
        return {place.role: place.pointer or "" for place in self._without}

    def time_of(self, fields: Mapping[str, Any]) -> object:
        """What a row's column of times holds; None without one."""
        return next((fields.get(place.column) for place in self._places if place.role == "at" and place.column), None)

    def record(self, fields: Mapping[str, Any]) -> tuple[bytes | None, bytes]:
        """Key and value. Raises ValueError saying why there is none."""
        values = {place.role: fields.get(place.column) for place in self._places if place.column is not None}
        has_shape = not self._is_named and not self._is_text and bool(self._needed.pointer)
        if has_shape and all(isinstance(find(fields), str) for find in self._finds):
            return _key(values), orjson.dumps(fields)
        value = values.get(self._needed.role)
        text = value if isinstance(value, str) else ""
        if not text.strip() and not _says(values.get("body")):
            raise ValueError(f"no {self._needed.role} in column {self._needed.column}")
        if self._is_text:
            return _key(values), clean_text(text).encode()
        if self._needed.pointer == "":
            return _key(values), orjson.dumps(clean_text(text))
        moved = {place.column for place in self._places if place.pointer is not None}
        body = {name: content for name, content in fields.items() if name not in moved}
        for place in self._places:
            content = values.get(place.role)
            if place.pointer and content not in (None, ""):
                _set(body, place.pointer, clean_text(content) if isinstance(content, str) else content)
        return _key(values), orjson.dumps(body)


def _root(place: Place) -> str:
    return (place.pointer or "").partition("/")[2].partition("/")[0]


def _says(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _column_for(role: str, pointer: str | None, columns: Sequence[str], own: str | None) -> str | None:
    names = [_last(pointer), own, role] if pointer else [own, role]
    return next((name for name in names if name in columns), None)


def _last(pointer: str | None) -> str:
    return (pointer or "").rpartition("/")[2].replace("~1", "/").replace("~0", "~")


def _key(values: Mapping[str, Any]) -> bytes | None:
    key = values.get("key", values.get("user"))
    return None if key in (None, "") else clean_text(str(key)).encode()


def _set(body: dict[str, Any], pointer: str, value: Any) -> None:
    """Put a value where a JSON pointer finds it. Objects on the way are made; a plain value in the way is replaced."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    for name in way:
        inner = body.get(name)
        if not isinstance(inner, dict):
            inner = body[name] = {}
        body = inner
    body[last] = value
