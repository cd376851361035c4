"""How many events come in a day, and so how often a stated rate gives a false alarm. Pure: by records' times alone."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from models.figures import in_few_digits
from streams.monitor.event_clock import EventClock

BY_CHANCE: Final = "by_chance"  # where an alert's values hold it
_HOUR_MS: Final = 3_600_000
_HOURS: Final = 168  # a week: days and nights, working days and others alike
_LEAST_HOURS: Final = 1.0  # of less nothing is said


@dataclass(frozen=True, slots=True)
class ByChance:
    """How often a stream that does not change gives an alarm. one_in_events: as stated. events_per_day: as seen in the
    last `hours_seen` hours. per_day: alarms."""

    one_in_events: int
    events_per_day: float
    per_day: float
    hours_seen: float

    def as_values(self) -> dict[str, Any]:
        """For an alert's values."""
        return asdict(self)


class EventRate:
    """Of one application, over the last week. Not thread-safe. Memory: a number an hour."""

    def __init__(self) -> None:
        self._hours: dict[int, int] = {}  # hours since 1970 to events
        self._first_ms, self._last_ms = 0, 0
        self._clock = EventClock()

    def take(self, arrival_ms: int) -> None:
        """An event came. arrival_ms: the time of its record, milliseconds since 1970; a single one of a time to come
        moves nothing."""
        if arrival_ms <= 0:
            return
        at_ms = round(1_000 * self._clock.observe("", arrival_ms))
        now_ms = round(1_000 * self._clock.now_seconds)
        self._first_ms, self._last_ms = min(self._first_ms or now_ms, now_ms), now_ms
        hour, newest = min(at_ms, now_ms) // _HOUR_MS, now_ms // _HOUR_MS
        oldest = newest - _HOURS + 1
        if hour not in self._hours:
            self._hours = {one: n for one, n in self._hours.items() if oldest <= one <= newest}
        if hour >= oldest:
            self._hours[hour] = self._hours.get(hour, 0) + 1

    def by_chance(self, false_alarm_every: int) -> ByChance | None:
        """What a stated rate of one alarm in so many events is a day; None: too little was seen to say."""
        begin = max(self._first_ms, (self._last_ms // _HOUR_MS - _HOURS + 1) * _HOUR_MS)
        hours = (self._last_ms - begin) / _HOUR_MS
        if hours < _LEAST_HOURS:
            return None
        per_day = 24.0 * sum(self._hours.values()) / hours
        return ByChance(
            false_alarm_every, round(per_day, 1), float(f"{per_day / false_alarm_every:.3g}"), round(hours, 1)
        )

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        hours = [[hour, n] for hour, n in self._hours.items()]
        return {"hours": hours, "span": [self._first_ms, self._last_ms], "clock": self._clock.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError."""
        hours = {int(hour): int(n) for hour, n in state["hours"]}
        first, last = (int(one) for one in state["span"])
        self._clock.restore([float(time) for time in state.get("clock", [])])
        self._hours, self._first_ms, self._last_ms = hours, first, last


def in_words(values: Mapping[str, Any]) -> str:
    """What `ByChance.as_values` gave, for a person."""
    every, per_day, alarms = (float(values[name]) for name in ("one_in_events", "events_per_day", "per_day"))
    days = 1.0 / alarms if alarms else float("inf")
    often = f"{in_few_digits(alarms, 2)} a day" if alarms >= 1.0 else f"one in {in_few_digits(days, 2)} days"
    seen = float(values["hours_seen"])
    span = f"{seen / 24:.0f} days" if seen >= 48 else f"{seen:.0f} hours"
    return f"one alarm in {every:,.0f} events: {often}, at {per_day:,.0f} events a day as seen in {span}"
