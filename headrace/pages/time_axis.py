"""The axis of time below a picture: a few round moments in UTC, and where they stand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from models.figures import moments

MOST_TICKS: Final = 7  # that stand beside each other on a phone
_MINUTES: Final = (1, 5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS: Final = (1, 2, 7, 14, 28, 56, 91, 182, 364, 728, 1_820, 3_640)
_DAY: Final = timedelta(1)
_STEPS: Final = (*(timedelta(minutes=one) for one in _MINUTES), *(timedelta(one) for one in _DAYS))


class Tick(NamedTuple):
    """left: its place, in per cent of the axis. words: "12:00", or the day where it begins. below: what is new beside
    the tick before: the day, the year; "" where nothing is."""

    left: float
    words: str
    below: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """From `start` to `end`, later than that; both in UTC."""

    start: datetime
    end: datetime

    def place(self, at: datetime) -> float:
        """In per cent of the axis, 0 at its start."""
        return round(100 * ((at - self.start) / (self.end - self.start)), 3)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """At most MOST_TICKS, at round moments as far apart as each other."""
        length = self.end - self.start
        step = next((one for one in _STEPS if length / one < MOST_TICKS), length)
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        first = midnight - (midnight - self.start) // step * step
        ticks, before = list[Tick](), None
        for number in range((self.end - first) // step + 1):
            at = first + number * step
            ticks.append(Tick(self.place(at), *_words(at, before, step)))
            before = at
        return tuple(ticks)

    @property
    def words(self) -> str:
        """What it spans."""
        return moments(self.start.isoformat(), self.end.isoformat())


def _words(at: datetime, before: datetime | None, step: timedelta) -> tuple[str, str]:
    day = f"{at.day} {at:%b}"
    if step >= _DAY:
        return day, "" if before is not None and before.year == at.year else f"{at.year}"
    return f"{at:%H:%M}", "" if before is not None and before.date() == at.date() else day
