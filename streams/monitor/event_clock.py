"""Event time that no single record can move.

Source times are those of other people's clocks. The largest one so far is no clock: one record dated years ahead would
make all others too late for ever. So the time of a stream is the third largest of its last nine, and no record counts
as later than a little after its arrival (allowed lateness: Akidau et al. (2015), "The Dataflow model", VLDB 8).
"""

from collections import deque
from datetime import UTC, datetime
from typing import Final

_REMEMBERED: Final = 9
_RANK: Final = 3  # two records in nine may be from the future
AHEAD_OF_ARRIVAL_SECONDS: Final = 300.0  # clocks of producers may be that wrong
AHEAD_OF_STREAM_SECONDS: Final = 3_600.0


class EventClock:
    """Tells event time from the source times of one stream. Seconds since 1970, to the millisecond."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def now_seconds(self) -> float:
        """Event time; minus infinity before the first record."""
        ordered = sorted(self._times, reverse=True)
        return ordered[min(_RANK, len(ordered)) - 1] if ordered else float("-inf")

    def observe(self, at: str, arrival_ms: int) -> float:
        """A record's time as it may count. at: RFC 3339; where it cannot be read, the arrival counts. arrival_ms: when
        the broker took the record; 0 where nobody knows."""
        arrival = arrival_ms / 1_000 if arrival_ms > 0 else float("inf")
        seconds = seconds_of(at)
        if seconds is None:
            seconds = arrival if arrival_ms > 0 else 0.0
        seconds = min(seconds, arrival + AHEAD_OF_ARRIVAL_SECONDS)
        self._times.append(seconds)
        return min(seconds, self.now_seconds + AHEAD_OF_STREAM_SECONDS)

    def state(self) -> list[float]:
        """Plain numbers; `restore` takes them."""
        return list(self._times)

    def restore(self, state: list[float]) -> None:
        """Go on where `state` was taken."""
        self._times = deque(state, maxlen=_REMEMBERED)


def seconds_of(at: str) -> float | None:
    """A time in RFC 3339 as seconds since 1970, to the millisecond; None where it cannot be read."""
    try:
        time = datetime.fromisoformat(at)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp(), 3)
    except (ValueError, OverflowError):
        return None
