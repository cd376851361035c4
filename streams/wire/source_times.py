"""When an event happened, by a record that may say it in many ways, or say nonsense.

A time that lies outside a span is not believed: the next best known time stands in its place, and the decision says
so. Three times follow each other: the one in the record's body, the record's own (which a producer may have set), and
the moment at which it was read. So nothing that a producer writes moves a decision more than the span's width.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from streams.wire.text import as_text, cut_text

DAY_MS: Final = 86_400_000
LATEST_MS: Final = 4_102_444_799_999  # the end of 2099: stores take times from 1970 until then
MARK_BYTES: Final = 100  # of a time that was set aside
TEXT_CHARACTERS: Final = 64  # no time takes more

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"[+-]?\d{1,20}(\.\d{1,20})?", re.ASCII)
_BASIC_DATE: Final = re.compile(r"\d{8}", re.ASCII)
_LEAP_SECOND: Final = re.compile(r"(.{10,17}):60(.*)", re.ASCII)
# By their size: as seconds the year 5138, as milliseconds 1973 to 5138, and so on. No unit's present meets another's.
_SECONDS, _MILLISECONDS, _MICROSECONDS, _NANOSECONDS = 10**11, 10**14, 10**17, 10**20


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """How far a time may lie before and after the one it is compared with, in milliseconds."""

    back_ms: int
    ahead_ms: int

    @classmethod
    def of_days(cls, back: float, ahead: float) -> "TimeSpan":
        """From days."""
        return cls(int(back * DAY_MS), int(ahead * DAY_MS))

    def holds(self, at_ms: int, around_ms: int) -> bool:
        """Whether `at_ms` lies within the span around `around_ms`, and within what can be stored."""
        return max(around_ms - self.back_ms, 0) <= at_ms <= min(around_ms + self.ahead_ms, LATEST_MS)


class EventTime(NamedTuple):
    """at_ms: when it happened. written_ms: when its record was written. set_aside: times that were given and are not
    believed, `source` (in the body) and `record` (the record's own), as they stood there."""

    at_ms: int
    written_ms: int
    set_aside: dict[str, str] | None = None


def event_time(given: Any, timestamp_ms: int, arrived_ms: int | None, span: TimeSpan) -> EventTime:
    """The times of a record, all in milliseconds since 1970, UTC. Never raises.

    given: what stands in the body; None or a blank text: nothing. timestamp_ms: the record's own. arrived_ms: when it
    was read; None for history, whose records may be of any age.
    """
    if arrived_ms is None:
        written_ms = written_time(timestamp_ms)
    else:
        known_ms = _in_milliseconds(timestamp_ms)
        written_ms = known_ms if known_ms is not None and span.holds(known_ms, arrived_ms) else arrived_ms
    set_aside: dict[str, str] | None = None if written_ms == timestamp_ms else {"record": str(timestamp_ms)}
    at_ms = written_ms
    if given is not None and not (isinstance(given, str) and not given.strip()):
        found_ms = read_time(given)
        if found_ms is not None and span.holds(found_ms, written_ms):
            at_ms = found_ms
        else:
            set_aside = {**(set_aside or {}), "source": cut_text(as_text(given), MARK_BYTES)}
    return EventTime(at_ms, written_ms, set_aside)


def written_time(timestamp_ms: int) -> int:
    """A record's own time where nobody knows when it was read, milliseconds since 1970, between then and LATEST_MS."""
    known_ms = _in_milliseconds(timestamp_ms)
    return min(max(timestamp_ms if known_ms is None else known_ms, 0), LATEST_MS)


def _in_milliseconds(timestamp_ms: int) -> int | None:
    """Producers set it in other units now and then."""
    return timestamp_ms if _SECONDS <= timestamp_ms < _MILLISECONDS else time_of_number(timestamp_ms)


def read_time(value: Any) -> int | None:
    """Milliseconds since 1970 of a time given as ISO 8601 or RFC 3339 (UTC where no zone is named), or as seconds,
    milliseconds, microseconds or nanoseconds since 1970, in digits or as a number; None for anything else."""
    if isinstance(value, str):
        return _time_of_text(value.strip())
    if isinstance(value, int | float) and not isinstance(value, bool):
        return time_of_number(value)
    return None


def time_of_number(number: int | float) -> int | None:
    """Its unit is told by its size; None for NaN, infinity, and what no unit brings near."""
    size = abs(number)
    if size < _SECONDS:
        return round(number * 1_000)
    if size < _MILLISECONDS:
        return round(number)
    if size < _MICROSECONDS:
        return round(number // 1_000)
    return round(number // 1_000_000) if size < _NANOSECONDS else None


def _time_of_text(text: str) -> int | None:
    if len(text) > TEXT_CHARACTERS:
        return None
    if text[4:5] == "-":  # a year: the usual case
        return _time_of_iso(text)
    if _NUMBER.fullmatch(text) and not (_BASIC_DATE.fullmatch(text) and _time_of_iso(text) is not None):
        return time_of_number(float(text) if "." in text else int(text))
    return _time_of_iso(text)


def _time_of_iso(text: str) -> int | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return _time_of_odd_iso(text)
    return _since_1970(parsed)


def _time_of_odd_iso(text: str) -> int | None:
    """What RFC 3339 allows and Python does not know: small letters, and 23:59:60, the second after 23:59:59."""
    leap = _LEAP_SECOND.fullmatch(text)
    try:
        parsed = datetime.fromisoformat((f"{leap[1]}:59{leap[2]}" if leap else text).upper())
    except ValueError:
        return None
    return _since_1970(parsed) + (1_000 if leap else 0)


def _since_1970(moment: datetime) -> int:
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND
