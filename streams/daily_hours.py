"""Hours of the day in a time zone, such as `22:00-06:00` in Europe/Berlin."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

MS: Final = 1_000
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


def time_zone(name: str) -> ZoneInfo:
    """By its IANA name. Raises ValueError with what is wrong."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # what no file can be called, too
        raise ValueError(f"there is no time zone {name!r}: write UTC, or a name such as Europe/Berlin") from None


@dataclass(frozen=True, slots=True)
class DailyHours:
    """From `start` until `end`, local time, every day; where `end` is not later, it is the next day's."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def of(cls, span: str, zone: str = "UTC") -> Self:
        """From `HH:MM-HH:MM` and the name of a time zone (IANA). Raises ValueError with what is wrong."""
        match = _SPAN.fullmatch(span)
        if match is None:
            raise ValueError(f"{span!r} are no hours of a day: write them as 22:00-06:00")
        first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
        if (last_hour, last_minute) == (24, 0):
            last_hour = 0
        try:
            start, end = time(first_hour, first_minute), time(last_hour, last_minute)
        except ValueError:
            raise ValueError(f"{span!r} are no hours of a day: they end with 23:59, or 24:00") from None
        return cls(start, end, time_zone(zone))

    def until_open_ms(self, now_ms: int) -> int:
        """Milliseconds from `now_ms` (since 1970) until these hours begin; 0 within them."""
        now = datetime.fromtimestamp(now_ms / MS, self.zone)
        if self._is_open(now.time()):
            return 0
        opens = min(at for at in map(self._starts_on, (now.date(), now.date() + timedelta(1))) if at > now)
        return round((opens.astimezone(UTC) - now.astimezone(UTC)).total_seconds() * MS)

    def _is_open(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def _starts_on(self, day: date) -> datetime:
        return datetime.combine(day, self.start, self.zone)
