"""Which hour a stream is in, by its sources' time."""

from collections.abc import Mapping
from typing import Any, Final

from streams.monitor.event_clock import EventClock, seconds_of

HOURS_OF_DAY: Final = 24
HOURS_OF_WEEK: Final = 168
_HOUR_SECONDS: Final = 3_600
_AGREED: Final = 200  # texts in a row of an earlier hour, after which that is the stream's


class StreamHours:
    """Tells the hour that a stream is in, which one record out of place does not move. Not thread-safe."""

    def __init__(self) -> None:
        self._clock = EventClock()
        self._hour: int | None = None
        self._earlier = 0

    def take(self, at: str) -> int | None:
        """The hour in which a text counts, since 1970, UTC; None where it counts in none: its time cannot be read, or
        is of another hour than the stream's. at: RFC 3339, the source's time."""
        if seconds_of(at) is None:
            return None
        seconds = self._clock.observe(at, 0)
        hour = int(self._clock.now_seconds // _HOUR_SECONDS)
        self._earlier = self._earlier + 1 if self._hour is not None and hour < self._hour else 0
        if self._hour is None or hour > self._hour or self._earlier >= _AGREED:
            self._hour, self._earlier = hour, 0
        return hour if hour == self._hour == int(seconds // _HOUR_SECONDS) else None

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        return {"clock": self._clock.state(), "hour": self._hour, "earlier": self._earlier}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        hour, earlier = state["hour"], int(state["earlier"])
        self._clock.restore([float(time) for time in state["clock"]])
        self._hour, self._earlier = None if hour is None else int(hour), earlier
