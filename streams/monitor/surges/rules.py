"""Rules that turn what the monitor sees into alerts: one alert for one cause, resolved when it is over.

A surge fires when a label's share in a full window reaches its limit *and* could hardly come from the group's
own baseline; it resolves well below the limit, and then cools down for one window. It resolves as well when nothing of
its groups has come for as long as their windows remember, by event time. A group whose window holds mostly the events
of a surge that fires already (a symbol of a topic) joins that surge instead of firing once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from scipy.special import bdtrc  # scipy.stats takes half a second to import

from streams.application import Surge
from streams.monitor.event_clock import EventClock
from streams.monitor.surges.alerts import resolved_surge, silent_surge, surge_alert, surge_fingerprint
from streams.monitor.surges.windows import GroupedWindows, LabelWindow, WindowEntry
from streams.wire.records import Alert
from streams.wire.signals import MonitorSignal

_RECOVERED: Final = 0.7  # of the limit: hysteresis, three standard deviations of a window of 40
_CHANCE: Final = 1e-4  # a share that the baseline gives at least so often is no surge
_BASELINE_WINDOWS: Final = 10.0  # how many windows the baseline remembers
_SAME_CAUSE: Final = 0.5  # share of a window's hits that belong to a surge that fires already
_HITS_REMEMBERED: Final = 2_000  # of a surge, so that a long one stays as small as a short one

Member = tuple[int, str]  # a rule's number and a group


@dataclass(slots=True)
class FiringSurge:
    """A surge that fires. rule, group: where it began. hits: event numbers that belong to it. members: groups that
    joined."""

    rule: int
    group: str
    hits: set[int]
    members: set[Member]

    def extend(self, number: int) -> None:
        """One more event belongs to it."""
        self.hits.add(number)
        if len(self.hits) > _HITS_REMEMBERED:
            self.hits = set(sorted(self.hits)[-_HITS_REMEMBERED // 2 :])


@dataclass(slots=True)
class Rule:
    """One [[surges]] entry with its windows. baseline: each group's long-run share; that of all together under "".
    cooldown_events: of a group, before it may fire again."""

    number: int
    surge: Surge
    windows: GroupedWindows
    baseline: dict[str, float] = field(default_factory=dict)
    cooldown_events: dict[str, int] = field(default_factory=dict)


class AlertRules:
    """The surge rules of one application. State: bounded windows, the surges that fire now, and event time."""

    def __init__(self, surges: Sequence[Surge]) -> None:
        """surges: as they stand in the application's file."""
        self.rules = [Rule(number, surge, GroupedWindows(surge.window)) for number, surge in enumerate(surges)]
        self.surges: dict[str, FiringSurge] = {}
        self.clock = EventClock()
        self.events = 0

    @property
    def firing(self) -> list[str]:
        """Fingerprints of the surges that fire now."""
        return list(self.surges)

    def observe(self, app: str, signal: MonitorSignal, arrival_ms: int = 0) -> list[Alert]:
        """Take one decided event in; the alerts that fire or resolve with it. arrival_ms: when the broker took it,
        milliseconds since 1970; 0 where nobody knows."""
        self.events += 1
        at = signal.at
        at_seconds = self.clock.observe(at, arrival_ms)
        alerts = []
        for rule in self.rules:
            surge = rule.surge
            if surge.head not in signal.labels:
                continue
            for group in signal.groups(surge.by, surge.relevance_min):
                said = signal.each_in(surge.by, group, surge.head)
                label = surge.label if surge.label in said else said[0]  # one of several is the one that counts here
                entry = WindowEntry(self.events, label, at_seconds, signal.id)
                alert = self._observe_group(app, rule, group, entry, at)
                if alert is not None:
                    alerts.append(alert)
        return alerts + self._expire(app, at)

    def alerts(self, app: str, at: str) -> list[Alert]:
        """The surges that fire now, each as an alert with what its window holds now."""
        firing = []
        for surge in self.surges.values():
            rule = self.rules[surge.rule]
            window = rule.windows.windows.get(surge.group) or LabelWindow(rule.surge.window)
            baseline = rule.baseline.get(surge.group, 0.0)
            firing.append(surge_alert(app, rule.surge, surge.group, window, baseline, at))
        return firing

    def _observe_group(self, app: str, rule: Rule, group: str, entry: WindowEntry, at: str) -> Alert | None:
        window = rule.windows.add(group, entry, self.clock.now_seconds)
        is_hit = entry.label == rule.surge.label
        joined = self._surge_of((rule.number, group))
        if joined is not None:
            if is_hit:
                joined.extend(entry.number)
            return self._leave_if_recovered(app, rule, group, window, joined, at)
        baseline = _update_baseline(rule, group, is_hit)
        if not _is_surge(rule, group, window, baseline):
            return None
        hits = {entry.number for entry in window.entries if entry.label == rule.surge.label}
        name = surge_fingerprint(app, rule.surge, group)
        same_cause = self.surges.get(name) or next(
            (surge for surge in self.surges.values() if len(hits & surge.hits) > _SAME_CAUSE * len(hits)), None
        )
        if same_cause is not None:
            same_cause.members.add((rule.number, group))
            return None
        self.surges[name] = FiringSurge(rule.number, group, hits, {(rule.number, group)})
        return surge_alert(app, rule.surge, group, window, baseline, at)

    def _surge_of(self, member: Member) -> FiringSurge | None:
        return next((surge for surge in self.surges.values() if member in surge.members), None)

    def _leave_if_recovered(
        self, app: str, rule: Rule, group: str, window: LabelWindow, surge: FiringSurge, at: str
    ) -> Alert | None:
        """Leave the surge when this group has recovered; the last member to leave resolves it."""
        limit, baseline = rule.surge.share, rule.baseline.get(group, 0.0)
        recovered = _RECOVERED * limit  # a group whose baseline is above that has recovered half way to the limit
        if window.share(rule.surge.label) > (recovered if baseline < recovered else (limit + baseline) / 2):
            return None
        surge.members.discard((rule.number, group))
        rule.cooldown_events[group] = rule.surge.window
        if surge.members:
            return None
        began = self.rules[surge.rule].surge
        del self.surges[surge_fingerprint(app, began, surge.group)]
        return resolved_surge(app, began, surge.group, window, baseline, at)

    def _expire(self, app: str, at: str) -> list[Alert]:
        """Groups that fell silent, or are forgotten, leave their surges."""
        over = []
        for name, surge in list(self.surges.items()):
            surge.members = {member for member in surge.members if not self._is_silent(member)}
            if not surge.members:
                del self.surges[name]
                over.append(silent_surge(app, self.rules[surge.rule].surge, surge.group, at))
        return over

    def _is_silent(self, member: Member) -> bool:
        number, group = member
        window = self.rules[number].windows.windows.get(group)
        return window is None or window.is_silent(self.clock.now_seconds)


def _is_surge(rule: Rule, group: str, window: LabelWindow, baseline: float) -> bool:
    if rule.cooldown_events.get(group, 0) > 0:
        rule.cooldown_events[group] -= 1
        return False
    if not window.is_full or window.share(rule.surge.label) < rule.surge.share:
        return False
    return bool(bdtrc(window.counts[rule.surge.label] - 1, len(window.entries), baseline) < _CHANCE)


def _update_baseline(rule: Rule, group: str, is_hit: bool) -> float:
    """The group's baseline before this event; a new group starts at that of all groups together.

    A group in a surge does not come here, so that a surge does not become its baseline.
    """
    memory = _BASELINE_WINDOWS * rule.surge.window
    together = rule.baseline.setdefault("", 0.5 * rule.surge.share)
    baseline = rule.baseline.setdefault(group, together)
    rule.baseline[""] = together + (is_hit - together) / memory
    rule.baseline[group] = baseline + (is_hit - baseline) / memory
    if len(rule.baseline) > 2 * rule.windows.groups_max:
        for known in [name for name in rule.baseline if name and name not in rule.windows.windows]:
            del rule.baseline[known]
            rule.cooldown_events.pop(known, None)
    return baseline
