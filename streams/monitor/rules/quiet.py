"""No event though some are expected: by the wall clock, which is handed in, within an application's hours."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from models.figures import moment
from streams.daily_hours import DailyHours
from streams.monitor.rules.causes import Finding, Level
from streams.rule_specs import DAYS, SilenceRule
from streams.wire.records import format_time

_DAYS_BACK: Final = 8  # hours that follow each other without a gap are one opening, so far back


class Quiet:
    """Of one rule."""

    def __init__(self, rule: SilenceRule) -> None:
        self.rule = rule
        self._hours = DailyHours.of(rule.hours, rule.time_zone)
        self._days = {DAYS.index(day) for day in rule.days}

    def look(self, last_ms: int, now_ms: int, began_ms: int) -> Finding:
        """last_ms: when the last event came; 0 where none is known of. began_ms: since when somebody looks. All in
        milliseconds since 1970. Outside the hours nothing new is said; what fires goes on until an event comes."""
        since = self._open_since(now_ms)
        limit_ms = round(60_000 * self.rule.minutes)
        if last_ms and now_ms - last_ms < limit_ms:
            return Finding(Level.CALM, "events come again", {"last_at": format_time(last_ms)})
        if since is None or now_ms - max(since, last_ms or began_ms) < limit_ms:
            return Finding(Level.BETWEEN)
        last = f"the last came at {moment(format_time(last_ms))}" if last_ms else "none came so far"
        minutes = (now_ms - max(since, last_ms or began_ms)) / 60_000
        return Finding(
            Level.OVER,
            f"no event for {minutes:.0f} minutes within {self.rule.hours} {self.rule.time_zone}; {last}",
            {"minutes": round(minutes, 1), "last_at": format_time(last_ms) if last_ms else None},
        )

    def _open_since(self, now_ms: int) -> int | None:
        """When the hours that now is in began; None outside them. Those that follow each other are one."""
        now = datetime.fromtimestamp(now_ms / 1_000, UTC)
        today = now.astimezone(self._hours.zone).date()
        for day in (today, today - timedelta(1)):
            begin, end = self._opening(day)
            if day.weekday() in self._days and begin <= now < end:
                for _ in range(_DAYS_BACK):
                    day -= timedelta(1)
                    before, until = self._opening(day)
                    if day.weekday() not in self._days or until < begin:
                        break
                    begin = before
                return round(begin.timestamp() * 1_000)
        return None

    def _opening(self, day: date) -> tuple[datetime, datetime]:
        hours = self._hours
        last = day if hours.start < hours.end else day + timedelta(1)
        begin, end = datetime.combine(day, hours.start, hours.zone), datetime.combine(last, hours.end, hours.zone)
        return begin.astimezone(UTC), end.astimezone(UTC)
