"""When people are there to answer: several periods a day, holidays, a time zone with its summer time.

Open means that the clock on the wall says so: where a clock is put back, an hour that comes twice is open twice, and
where it is put forward, what is left out is not there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, Self
from zoneinfo import ZoneInfo

from streams.daily_hours import time_zone

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MINUTES_OF_A_DAY: Final = 24 * 60
_PERIOD: Final = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_ONE_DAY: Final = timedelta(days=1)
_EARLIEST: Final = timedelta(hours=16)  # before UTC's, a day begins nowhere sooner
_STEP: Final = timedelta(hours=1)  # no zone's clock is changed twice within it

Period = tuple[int, int]  # minutes after local midnight, the end not included; past 24 hours: until the next day
Span = tuple[datetime, datetime]  # UTC, the end not included


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """zone: whose clock is meant. week: the periods of each weekday, Monday first. holidays: local dates on which no
    period begins."""

    zone: ZoneInfo
    week: tuple[tuple[Period, ...], ...]
    holidays: frozenset[date] = field(default_factory=frozenset)

    @classmethod
    def of(cls, zone: str, periods: Mapping[str, Sequence[str]], holidays: Sequence[date] = ()) -> Self:
        """From a time zone's name (IANA), and for weekdays (`monday`, …) periods such as `09:00-12:30`; one that ends
        no later than it begins ends on the next day. Raises ValueError with what is wrong."""
        known = time_zone(zone)
        week = tuple(tuple(sorted(map(_period, periods.get(day, ())))) for day in WEEKDAYS)
        if not any(week):
            raise ValueError('nothing is ever open: give a weekday its periods, such as monday = ["09:00-17:00"]')
        _refuse_overlaps(week)
        return cls(known, week, frozenset(holidays))

    @property
    def minutes_a_week(self) -> int:
        """Of open time, where no day is a holiday and no clock is changed."""
        return sum(ends - begins for day in self.week for begins, ends in day)

    def after(self, start: datetime, open_time: timedelta) -> datetime:
        """The moment at which so much open time has passed since `start`, both in UTC. Of no time: `start` itself
        where it is open, else when it opens next."""
        left = open_time
        for begins, ends in self._spans_from(start):
            if left < ends - begins or (left == ends - begins and left):
                return begins + left
            left -= ends - begins
        raise AssertionError("a week with open hours never ends")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """How much open time lies between two moments in UTC; nothing where `end` is not later."""
        passed = timedelta()
        for begins, ends in self._spans_from(start):
            if begins >= end:
                break
            passed += min(ends, end) - begins
        return passed

    def _spans_from(self, start: datetime) -> Iterator[Span]:
        """Open spans from a moment on, in order, none within another; without end."""
        day = start.astimezone(self.zone).date() - _ONE_DAY  # a period of the day before may still be open
        pending: list[Span] = []
        while True:
            # Where a clock is put back at midnight, spans of two days may alternate.
            pending = sorted([*pending, *self._spans_of(day)])
            day += _ONE_DAY
            told = _as_utc(day) - _EARLIEST
            for begins, ends in pending:
                if begins < told and ends > start:
                    yield max(begins, start), ends
            pending = [span for span in pending if span[0] >= told]

    def _spans_of(self, day: date) -> list[Span]:
        """Of the periods that begin on a local date."""
        periods = () if day in self.holidays else self.week[day.weekday()]
        if not periods:
            return []
        midnight = _as_utc(day)
        spans = []
        for first, last, offset in _offsets_around(self.zone, day):
            for begins, ends in periods:
                opens, closes = (midnight + timedelta(minutes=minute) - offset for minute in (begins, ends))
                if max(opens, first) < min(closes, last):
                    spans.append((max(opens, first), min(closes, last)))
        return sorted(spans)


@lru_cache(maxsize=4096)
def _offsets_around(zone: ZoneInfo, day: date) -> tuple[tuple[datetime, datetime, timedelta], ...]:
    """Which distance from UTC holds from when to when, over all that may be this local date or the next."""
    start = _as_utc(day) - _ONE_DAY
    moments = [start + number * _STEP for number in range(4 * 24 + 1)]
    changes = [_change(zone, *pair) for pair in pairwise(moments) if _offset(zone, pair[0]) != _offset(zone, pair[1])]
    edges = [moments[0], *changes, moments[-1]]
    return tuple((first, last, _offset(zone, first)) for first, last in pairwise(edges))


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second with the later moment's distance from UTC."""
    seconds = round((after - before).total_seconds())
    low, high = 0, seconds
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, before + timedelta(seconds=middle)) == _offset(zone, before):
            low = middle
        else:
            high = middle
    return before + timedelta(seconds=high)


def _offset(zone: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _as_utc(day: date) -> datetime:
    """Midnight, as the clock on the wall shows it, as if it were UTC's."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _period(written: str) -> Period:
    match = _PERIOD.fullmatch(written)
    if match is None:
        raise ValueError(f"{written!r} is no period of a day: write it as 09:00-12:30")
    hours_minutes = tuple(map(int, match.groups()))
    begins, ends = hours_minutes[0] * 60 + hours_minutes[1], hours_minutes[2] * 60 + hours_minutes[3]
    minutes_fit = all(minute < 60 for minute in hours_minutes[1::2])
    if not minutes_fit or begins >= MINUTES_OF_A_DAY or ends > MINUTES_OF_A_DAY:
        raise ValueError(f"{written!r} is no period of a day: it begins by 23:59 and ends by 24:00")
    return begins, ends if ends > begins else ends + MINUTES_OF_A_DAY


def _refuse_overlaps(week: Sequence[Sequence[Period]]) -> None:
    week_long = len(week) * MINUTES_OF_A_DAY
    periods = [
        (number * MINUTES_OF_A_DAY + begins, number * MINUTES_OF_A_DAY + ends, WEEKDAYS[number])
        for number, day in enumerate(week)
        for begins, ends in day
    ]
    first_again = (periods[0][0] + week_long, periods[0][1] + week_long, periods[0][2])
    for (_, ends, day), (begins, _, next_day) in pairwise([*periods, first_again]):
        if begins < ends:
            of = day if day == next_day else f"{day} and {next_day}"
            raise ValueError(f"two periods of {of} overlap: write them as one")
