"""Other people's records: where text, key and time stand in them.

`SourceReader` is the gate: it gives a text, says that there is nothing to decide (a tombstone, a delete), or raises
MessageError, never anything else, whatever bytes, key and time a record has. What it gives can be written again.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from models.errors import MessageError, json_kind
from models.texts.reading import Reading
from streams.application import Application, Source
from streams.wire.masking import Mask, masked_value, record_mask
from streams.wire.source_extra import ExtraFields, SegmentFields
from streams.wire.source_json import (
    compile_delete_check,
    compile_pointer,
    compile_presence_check,
    load_json,
    refuse_encoded_twice,
    refuse_registry_frame,
    without_byte_order_mark,
)
from streams.wire.source_keys import SourceKey, identity_text, is_blank, key_of_bytes, key_of_value, names_nobody
from streams.wire.source_times import TimeSpan, event_time
from streams.wire.text import as_text, clean_text

log = logging.getLogger(__name__)

SYMBOLS_MAX: Final = 32
SYMBOL_CHARACTERS: Final = 32
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class SourceText(NamedTuple):
    """A record as the classifier needs it (a tuple, as one is made for every record).

    key: what it belongs to, as text. at_ms: when it happened; written_ms: when the record was written; milliseconds
    since 1970, UTC. record_key: the key of the records that it leads to. marks: what was done to what the record says,
    for the decision's `extra`. picture: what stands for one in the record, of whatever kind; None: nothing.
    """

    text: str
    key: str | None
    at_ms: int
    symbols: tuple[str, ...] = ()
    fields: Mapping[str, Any] = NOTHING
    written_ms: int = 0
    record_key: bytes | None = None
    marks: Mapping[str, Any] = NOTHING
    picture: Any = None


@dataclass(frozen=True, slots=True)
class SourceEvent:
    """What a user did with an item. None: the record does not say. segments: as `[source] segments` names them."""

    source: SourceText
    user: str | None
    item: str | None
    action: str | None
    segments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A record that holds nothing to decide and is no mistake."""

    reason: Literal["tombstone", "delete"]


TOMBSTONE: Final = PassedOver("tombstone")
DELETE: Final = PassedOver("delete")


class SourceReader:
    """Finds text, key and time in records of one shape, and what else stands in them. mask: what is made of each text
    and of the fields that are kept, before anybody else sees them; not of keys.

    times_set_aside: how many times were not believed, by where they stood (source, record); may be read by another
    thread.
    """

    def __init__(self, source: Source, mask: Mask | None = None) -> None:
        self._source, self._mask, self._reading = source, mask, Reading(source.markup)
        self._span = TimeSpan.of_days(source.max_age_days, source.max_ahead_days)
        self._text = compile_pointer(source.text)
        self._body = compile_pointer(source.body) if source.body is not None else None
        self._stand = [compile_presence_check(place) for place in (source.text, source.body) if place is not None]
        self._key = compile_pointer(source.key) if source.key else None
        self._at = compile_pointer(source.at) if source.at else None
        self._symbols = compile_pointer(source.symbols) if source.symbols else None
        self._picture = compile_pointer(source.picture) if source.picture else None
        self._user, self._item, self._action = map(compile_pointer, (source.user, source.item, source.action))
        self._is_delete = compile_delete_check(source.text)
        self._is_event_delete = compile_delete_check(source.user)
        self._extra, self._segments = ExtraFields(source), SegmentFields(source)
        self.times_set_aside: Counter[str] = Counter()

    @classmethod
    def of(cls, app: Application) -> "SourceReader":
        """As an application reads them."""
        return cls(app.source, record_mask(app))

    def parse(
        self,
        value: bytes | None,
        key: bytes | None,
        timestamp_ms: int,
        arrived_ms: int | None = None,
        *,
        wordless: bool = False,
    ) -> SourceText | PassedOver:
        """A record's text with its key and time. arrived_ms: when it was read; None for history (see `event_time`).
        wordless: whether a JSON record whose text is null or empty is taken, where it belongs to something; never one
        without such a field.
        Raises MessageError (too_large, schema_registry, not_utf8, not_json, encoded_twice, no_text, empty_text)."""
        if value is None:
            return TOMBSTONE
        self._refuse_too_large(value)
        if self._source.format == "text":
            text = self._reading.seen(_plain_text(value))
            if not text:
                raise MessageError("empty_text", "the record's text is empty")
            return self._source_text(text, None, key, timestamp_ms, arrived_ms)
        body = load_json(value)
        if self._is_delete(body):
            return DELETE
        text, reading = self._text(body), self._reading
        text = reading.seen(text) if self._body is None else reading.titled(text, self._body(body))
        if isinstance(text, str) and text.strip():
            return self._source_text(clean_text(text), body, key, timestamp_ms, arrived_ms)
        if not isinstance(text, str):
            refuse_encoded_twice(body, self._source.text)
        says_nothing = isinstance(text, str) or (text is None and any(stands(body) for stands in self._stand))
        if wordless and says_nothing:
            source = self._source_text(clean_text(text or ""), body, key, timestamp_ms, arrived_ms)
            if source.key is not None:
                return source
        raise self._no_words(text)

    def _no_words(self, text: Any) -> MessageError:
        if isinstance(text, str):
            return MessageError("empty_text", f"the text at {self._source.text} is empty")
        found = "nothing or null" if text is None else json_kind(text)
        return MessageError("no_text", f"no text at {self._source.text or 'the top'}: {found}")

    def parse_event(
        self, value: bytes | None, key: bytes | None, timestamp_ms: int, arrived_ms: int | None = None
    ) -> SourceEvent | PassedOver:
        """A record that need not hold a text (user events); without a key it belongs to its user. Raises MessageError
        (too_large, schema_registry, not_utf8, not_json, encoded_twice, not_object)."""
        if value is None:
            return TOMBSTONE
        self._refuse_too_large(value)
        body = load_json(value)
        if self._is_event_delete(body):
            return DELETE
        if not isinstance(body, dict | list):
            refuse_encoded_twice(body, self._source.user)
            raise MessageError("not_object", f"the record is {json_kind(body)}, not an object")
        text, user, action = self._text(body), identity_text(self._user(body)), self._action(body)
        source = self._source_text(
            clean_text(text) if isinstance(text, str) else "", body, key, timestamp_ms, arrived_ms, user
        )
        named_action = as_text(action)[:SYMBOL_CHARACTERS] if action is not None else None
        return SourceEvent(source, user, identity_text(self._item(body)), named_action, self.segments(source))

    def _refuse_too_large(self, value: bytes) -> None:
        """Before anything is parsed: what was compressed on the wire may be a thousand times larger here."""
        if len(value) > self._source.max_bytes:
            raise MessageError(
                "too_large", f"the record's value has {len(value)} bytes, [source] max_bytes = {self._source.max_bytes}"
            )

    def _source_text(
        self,
        text: str,
        body: Any,
        key: bytes | None,
        timestamp_ms: int,
        arrived_ms: int | None,
        owner: str | None = None,
    ) -> SourceText:
        given = self._at(body) if self._at and body is not None else None
        times = event_time(given, timestamp_ms, arrived_ms, self._span)
        own = self._source_key(body, key, owner)
        marks: Mapping[str, Any] = own.marks
        if times.set_aside is not None:
            marks = {**marks, "headrace_time_clamped": times.set_aside}
            self._count_set_aside(times.set_aside)
        return SourceText(
            text=self._masked(text),
            key=own.text,
            at_ms=times.at_ms,
            symbols=tuple(map(self._masked, _symbols(self._symbols(body))))
            if self._symbols and body is not None
            else (),
            fields=_fields(body),
            written_ms=times.written_ms,
            record_key=own.record_key,
            marks=marks,
            picture=(self._picture(body) or None) if self._picture and body is not None else None,
        )

    def _count_set_aside(self, times: Mapping[str, str]) -> None:
        if "record" in times and not self.times_set_aside["record"]:
            log.warning(
                "a record's own time, %s, is more than max_age_days = %g old or max_ahead_days = %g ahead, or not in "
                "milliseconds; it is set aside and the decision says so, as with all others like it. To decide history "
                "live, widen them in [source]",
                times["record"],
                self._source.max_age_days,
                self._source.max_ahead_days,
            )
        self.times_set_aside.update(times.keys())

    def _source_key(self, body: Any, key: bytes | None, owner: str | None) -> SourceKey:
        named = self._key(body) if self._key and body is not None else None
        if names_nobody(named):  # as a record's own key that is blank
            named = None
        if named is None and (key is None or is_blank(key)):
            named = owner
        return key_of_bytes(key) if named is None else key_of_value(named)

    def extra(self, source: SourceText) -> dict[str, Any]:
        """The fields of the record that stay with its decision (`ExtraFields`), and what was done to it."""
        return {**self._masked(self._extra.of(source.fields)), **source.marks}

    def segments(self, source: SourceText) -> dict[str, str]:
        """What drift is told by (`SegmentFields`)."""
        segments: dict[str, str] = self._masked(self._segments.of(source.fields))
        return segments

    def _masked(self, value: Any) -> Any:
        return value if self._mask is None else masked_value(value, self._mask)


def _fields(body: Any) -> Mapping[str, Any]:
    if isinstance(body, dict):
        return body
    return {str(place): value for place, value in enumerate(body)} if isinstance(body, list) else {}


def _plain_text(value: bytes) -> str:
    refuse_registry_frame(value)
    try:
        text = clean_text(without_byte_order_mark(value).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MessageError("not_utf8", f"the record is no UTF-8 text: {error}") from error
    if not text.strip():
        raise MessageError("empty_text", "the record's text is empty")
    return text


def _symbols(value: Any) -> tuple[str, ...]:
    symbols = value.split() if isinstance(value, str) else value
    if not isinstance(symbols, list):
        return ()
    return tuple(as_text(symbol)[:SYMBOL_CHARACTERS] for symbol in symbols[:SYMBOLS_MAX])
