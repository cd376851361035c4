"""What alerts of a stretch are worth, beside events that people know of: how many were told, and how many alerts are
about one.

An alert is about an event where it fired while the event lasted, or within the tolerance before or after it, and fits
what the event names: the rule (`surge:sentiment=negative`, or its kind, `surge`), the label, the symbol, the entity. It
may be about several; an event that several alerts are about was found once. Events that did not happen within the
stretch are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from statistics import median
from typing import Any, Final

from connectors.table_files import Reject, open_table
from models.errors import ConfigError
from models.shares import wilson_interval
from streams.application import Application
from streams.application.names import meant_instead
from streams.monitor.event_clock import seconds_of
from streams.monitor.surges.alerts import surge_title
from streams.wire.records import Alert, format_time

NAMED: Final = ("rule", "label", "symbol", "entity")
OF_DRIFT: Final = ("drift", "drift_signal", "drift_unwatched", "label_burst")  # alerts of every application
_TIMES: Final = ("at", "start", "end")
_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """start_seconds, end_seconds: since 1970, both inclusive. names: what alerts about it must say, of NAMED."""

    line: int
    start_seconds: float
    end_seconds: float
    names: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """One JSON object."""
        times = {
            "start": format_time(round(self.start_seconds * 1_000)),
            "end": format_time(round(self.end_seconds * 1_000)),
        }
        return {"line": self.line, **times, **self.names}


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """alerts: numbers among those that fired. delay_seconds: from the event's start to the first of them, below 0
    where that was told before; None where it was missed."""

    event: KnownEvent
    alerts: tuple[int, ...]
    delay_seconds: float | None


@dataclass(frozen=True, slots=True)
class AlertVerdict:
    """events: those within the stretch. outside: how many were not. right: of each alert that fired, whether it is
    about an event."""

    tolerance_minutes: float
    events: tuple[FoundEvent, ...]
    outside: int
    right: tuple[bool, ...]

    @property
    def found(self) -> int:
        """Events that an alert is about."""
        return sum(bool(one.alerts) for one in self.events)

    def as_json(self) -> dict[str, Any]:
        """One JSON object. Shares of nothing are null; intervals are Wilson's, 95 %."""
        delays = [one.delay_seconds for one in self.events if one.delay_seconds is not None]
        return {
            "tolerance_minutes": self.tolerance_minutes,
            "alerts": len(self.right),
            "right": sum(self.right),
            **_share("precision", sum(self.right), len(self.right)),
            "events": len(self.events),
            "found": self.found,
            "outside": self.outside,
            **_share("recall", self.found, len(self.events)),
            "delay_seconds_median": round(median(delays), 3) if delays else None,
            "known": [
                one.event.as_json() | {"alerts": list(one.alerts), "delay_seconds": one.delay_seconds}
                for one in self.events
            ],
        }


def read_known_events(path: Path) -> list[KnownEvent]:
    """Columns `at`, or `start` and `end`; those of NAMED where an event has them, others as one likes. A day without a
    time is all of it. Raises ConfigError, which names the line."""
    events = []
    with open_table(path) as table:
        if "at" not in table.columns and not {"start", "end"} <= set(table.columns):
            raise ConfigError(
                f"{table.name} must have a column at, or start and end; it has: {', '.join(table.columns)}"
            )
        _refuse_slips(table.name, table.columns)
        for row in table.rows:
            if isinstance(row, Reject):
                raise ConfigError(f"{table.name}, line {row.line}: {row.reason}")
            events.append(_known_event(table.name, row.line, row.fields))
    if not events:
        raise ConfigError(f"{path} names no event")
    return events


def refuse_unknown_rules(file: Path, known: Sequence[KnownEvent], app: Application) -> None:
    """A slip in a rule's name would count as an event that was missed. Raises ConfigError, which names the line."""
    titles = [rule.title for rule in app.rules] + [surge_title(surge) for surge in app.surges]
    kinds = [*dict.fromkeys(title.partition(":")[0] for title in titles), *OF_DRIFT]
    for event in known:
        named = event.names.get("rule")
        if named is None or named in titles or named in kinds or named.partition(":")[0] in OF_DRIFT:
            continue
        meant = meant_instead(named, [*titles, *kinds])
        raise ConfigError(f"{file.name}, line {event.line}: {app.name} has no rule {named!r}{meant}")


def judge_alerts(
    fired: Sequence[Alert], known: Sequence[KnownEvent], stretch: tuple[float, float] | None, tolerance_minutes: float
) -> AlertVerdict:
    """fired: alerts, each once. stretch: its earliest and its latest time, seconds since 1970; None: it is empty."""
    slack = tolerance_minutes * 60.0
    within = [one for one in known if stretch and one.start_seconds <= stretch[1] and one.end_seconds >= stretch[0]]
    times = [seconds_of(alert.fired_at or alert.at) for alert in fired]
    found, right = [], [False] * len(fired)
    for event in within:
        about = tuple(
            number
            for number, (alert, at) in enumerate(zip(fired, times, strict=True))
            if at is not None and event.start_seconds - slack <= at <= event.end_seconds + slack and _fits(alert, event)
        )
        for number in about:
            right[number] = True
        first = min((at for number in about if (at := times[number]) is not None), default=None)
        delay = None if first is None else round(first - event.start_seconds, 3)
        found.append(FoundEvent(event, about, delay))
    return AlertVerdict(tolerance_minutes, tuple(found), len(known) - len(within), tuple(right))


def _refuse_slips(file: str, columns: Sequence[str]) -> None:
    """A column that is read over would have every alert of that time pass for one about the event."""
    says_when = "at" in columns or {"start", "end"} <= set(columns)  # then no other column is a slip for a time
    for column in columns:
        near = get_close_matches(column.lower(), (*NAMED, *(() if says_when else _TIMES)), n=1, cutoff=0.8)
        if near and near[0] not in columns:
            raise ConfigError(f"{file} has a column {column!r}; did you mean {near[0]!r}?")


def _known_event(file: str, line: int, fields: Mapping[str, Any]) -> KnownEvent:
    at, begins, ends = (_span(file, line, fields, name) for name in _TIMES)
    start, end = (begins or at or (None, None))[0], (ends or at or (None, None))[1]
    if start is None or end is None:
        raise ConfigError(f"{file}, line {line}: says not when; give at, or start and end")
    if start > end:
        raise ConfigError(f"{file}, line {line}: ends before it starts")
    names = {name: text for name in NAMED if (text := str(fields.get(name) or "").strip())}
    return KnownEvent(line, start, end, names)


def _span(file: str, line: int, fields: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """The first and the last moment that is meant: of a day all of it. None: nothing stands there."""
    written = str(fields.get(name) or "").strip()
    if not written:
        return None
    seconds = seconds_of(written)
    if seconds is None:
        raise ConfigError(f"{file}, line {line}: {name} is {written!r}; times are written as 2026-11-29T04:00:00Z")
    is_day = len(written) <= len("2026-11-29")
    return seconds, seconds + _DAY_SECONDS - 0.001 if is_day else seconds


def _fits(alert: Alert, event: KnownEvent) -> bool:
    group = str(alert.values.get("group", ""))
    groups = {group, group.partition(" ")[2]}  # rules that count stories call a group `symbols ACME`
    said = {
        "rule": {alert.rule, alert.kind},
        "label": {*groups, str(alert.values.get("label", ""))},
        "symbol": groups,
        "entity": groups,
    }
    return all(text in said[name] for name, text in event.names.items())


def _share(name: str, right: int, total: int) -> dict[str, Any]:
    if not total:
        return {name: None, f"{name}_ci95": None}
    low, high = wilson_interval(right, total)
    return {name: round(right / total, 4), f"{name}_ci95": [round(low, 4), round(high, 4)]}
