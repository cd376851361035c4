"""Rules that turn what the monitor sees into alerts: one alert for one cause, resolved when it is over.

A surge fires when a label's share in a full window reaches its limit *and* could hardly come from the group's
own usual share; it resolves well below the limit, and then keeps still for one window. A group whose window
holds mostly the events of a surge that is already told (a symbol of a topic) joins that surge instead of
telling it again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from scipy.special import bdtrc  # scipy.stats takes half a second to import, and a worker starts with this

from streams.application import Surge
from streams.monitor.drift.episode import Episode
from streams.monitor.surges.windows import GroupedWindows, LabelWindow, WindowEntry
from streams.wire.records import Alert

ALL: Final = "all"
_CALM: Final = 0.7  # of the limit: hysteresis, three standard deviations of a window of 40
_CHANCE: Final = 1e-4  # a share that the usual one gives at least so often is no surge
_USUAL_WINDOWS: Final = 10.0  # how many windows the usual share remembers
_SAME_CAUSE: Final = 0.5  # share of a window's hits that belong to a surge already told
_EVIDENCE: Final = 10

Severity = Literal["info", "warning", "critical"]


def fingerprint(*parts: str) -> str:
    """Stable name of a cause: 16 hex digits."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def alert_for_episode(app: str, version: str, episode: Episode, at: str) -> Alert:
    """A drift episode as a firing alert; one fingerprint for each release that it strikes."""
    return Alert(
        fingerprint=fingerprint("drift", app, version),
        rule="drift",
        severity="warning",
        state="firing",
        summary=f"{app}: {episode.summary}",
        values={
            "app": app,
            "version": version,
            "onset_event": episode.onset_event,
            "detected_event": episode.detected_event,
            "detectors": list(episode.detectors),
            "labels": dict(episode.labels),
            "words": list(episode.words),
            "share_before": episode.share_before,
            "share_after": episode.share_after,
        },
        evidence=[{"id": example.id, "label": example.label, "text": example.text} for example in episode.examples],
        at=at,
    )


def resolved_episode(app: str, version: str, reason: str, at: str) -> Alert:
    """The end of an episode: a new release serves, or the stream went back to what it was."""
    return Alert(
        fingerprint=fingerprint("drift", app, version),
        rule="drift",
        severity="warning",
        state="resolved",
        summary=f"{app}: the drift that {app}@{version} met is over: {reason}.",
        values={"app": app, "version": version},
        at=at,
    )


@dataclass(slots=True)
class _FiringSurge:
    """A surge that was told. group: where it fired. hits: event numbers that belong to it. members: groups
    that joined."""

    group: str
    by: str
    hits: set[int]
    members: set[str]


@dataclass(slots=True)
class _Rule:
    """One [[surges]] entry with its windows. usual: each group's long-run share. still: events to keep still
    for."""

    surge: Surge
    windows: GroupedWindows
    usual: dict[str, float] = field(default_factory=dict)
    still: dict[str, int] = field(default_factory=dict)


class AlertRules:
    """The surge rules of one application. State: bounded windows and the surges that fire now."""

    def __init__(self, surges: Sequence[Surge]) -> None:
        """surges: as they stand in the application's file."""
        self._rules = [_Rule(surge, GroupedWindows(surge.window)) for surge in surges]
        self._told: dict[str, _FiringSurge] = {}
        self._events = 0

    @property
    def firing(self) -> list[str]:
        """Fingerprints of the surges that fire now."""
        return list(self._told)

    def observe(self, app: str, signal: Mapping[str, Any], at: str) -> list[Alert]:
        """Take one decided event in; the alerts that fire or resolve with it.

        signal: with `id`, `labels` {head: [label, probability]} and perhaps `symbols`. at: RFC 3339, the
        source's time.
        """
        self._events += 1
        alerts = []
        for rule in self._rules:
            decided = signal["labels"].get(rule.surge.head)
            if decided is None:
                continue
            entry = WindowEntry(self._events, str(decided[0]), _seconds(at), str(signal.get("id", "")))
            for group in _groups(rule.surge, signal):
                alert = self._observe_group(app, rule, group, entry, at)
                if alert is not None:
                    alerts.append(alert)
        return alerts

    def _observe_group(self, app: str, rule: _Rule, group: str, entry: WindowEntry, at: str) -> Alert | None:
        surge = rule.surge
        window = rule.windows.add(group, entry)
        name = fingerprint("surge", app, surge.head, surge.label, surge.by or ALL, group)
        joined = next((told for told in self._told.values() if _key(surge, group) in told.members), None)
        if joined is not None:
            self._extend(joined, entry, surge)
            return self._calm(app, rule, group, window, joined, at)
        usual = _update_usual(rule, group, entry.label == surge.label)
        if not self._is_surge(rule, group, window, usual):
            return None
        hits = _hits(window, surge.label)
        for told in self._told.values():
            if len(hits & told.hits) > _SAME_CAUSE * len(hits):
                told.members.add(_key(surge, group))
                return None
        self._told[name] = _FiringSurge(group, surge.by or ALL, hits, {_key(surge, group)})
        return _surge_alert(app, surge, group, window, usual, name, "firing", at)

    def _is_surge(self, rule: _Rule, group: str, window: LabelWindow, usual: float) -> bool:
        if rule.still.get(group, 0) > 0:
            rule.still[group] -= 1
            return False
        if not window.is_full or window.share(rule.surge.label) < rule.surge.share:
            return False
        return bool(bdtrc(window.counts[rule.surge.label] - 1, len(window.entries), usual) < _CHANCE)

    def _extend(self, told: _FiringSurge, entry: WindowEntry, surge: Surge) -> None:
        if entry.label == surge.label:
            told.hits.add(entry.number)
            if len(told.hits) > 10_000:
                told.hits = set(sorted(told.hits)[-5_000:])

    def _calm(
        self, app: str, rule: _Rule, group: str, window: LabelWindow, told: _FiringSurge, at: str
    ) -> Alert | None:
        """Leave the surge when this group is calm; the last member to leave resolves it."""
        surge = rule.surge
        usual = rule.usual.get(group, 0.0)
        calm = _CALM * surge.share  # a group for which even that is usual is calm half way to the limit
        if window.share(surge.label) > (calm if usual < calm else (surge.share + usual) / 2):
            return None
        told.members.discard(_key(surge, group))
        rule.still[group] = surge.window
        if told.members:
            return None
        name = next(name for name, other in self._told.items() if other is told)
        del self._told[name]
        resolved = surge.model_copy(update={"by": None if told.by == ALL else told.by})
        return _surge_alert(app, resolved, told.group, window, usual, name, "resolved", at)


def _surge_alert(
    app: str,
    surge: Surge,
    group: str,
    window: LabelWindow,
    usual: float,
    name: str,
    state: Literal["firing", "resolved"],
    at: str,
) -> Alert:
    share, where = window.share(surge.label), "" if surge.by is None else f" in {group}"
    fires = f"{share:.0%} of the last {len(window.entries)} texts{where} are {surge.label}; usual is {usual:.0%}"
    calm = f"{surge.label} {surge.head}{where} is back to {share:.0%}"
    hits = [entry.id for entry in window.entries if entry.label == surge.label]
    return Alert(
        fingerprint=name,
        rule=f"surge:{surge.head}={surge.label}",
        severity="critical" if share >= 0.9 and state == "firing" else "warning",
        state=state,
        summary=f"{app}: {fires if state == 'firing' else calm}.",
        values={
            "app": app,
            "head": surge.head,
            "label": surge.label,
            "by": surge.by,
            "group": group,
            "share": round(share, 3),
            "usual": round(usual, 3),
            "trend": round(window.trend(surge.label), 3),
            "texts": len(window.entries),
        },
        evidence=hits[-_EVIDENCE:] if state == "firing" else [],
        at=at,
    )


def _groups(surge: Surge, signal: Mapping[str, Any]) -> list[str]:
    if surge.by is None:
        return [ALL]
    if surge.by == "symbols":
        return list(dict.fromkeys(str(symbol) for symbol in signal.get("symbols") or ()))
    decided = signal["labels"].get(surge.by)
    return [str(decided[0])] if decided is not None else []


def _key(surge: Surge, group: str) -> str:
    return f"{surge.head}\x1f{surge.label}\x1f{surge.by}\x1f{group}"


def _hits(window: LabelWindow, label: str) -> set[int]:
    return {entry.number for entry in window.entries if entry.label == label}


def _update_usual(rule: _Rule, group: str, hit: bool) -> float:
    """The group's usual share before this event; a new group starts at that of all groups together.

    A group in a surge does not come here, so that a surge does not become usual.
    """
    memory = _USUAL_WINDOWS * rule.surge.window
    together = rule.usual.setdefault("", 0.5 * rule.surge.share)
    usual = rule.usual.setdefault(group, together)
    rule.usual[""] = together + (hit - together) / memory
    rule.usual[group] = usual + (hit - usual) / memory
    if len(rule.usual) > 2 * rule.windows.groups_max:
        for known in [name for name in rule.usual if name and name not in rule.windows.windows]:
            del rule.usual[known]
            rule.still.pop(known, None)
    return usual


def _seconds(at: str) -> float:
    try:
        return datetime.fromisoformat(at).timestamp()
    except ValueError:
        return 0.0
