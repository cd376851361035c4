"""Where a rule becomes an alert: one for a cause, fired once, resolved once, with hysteresis and cool-down.

A rule says what it sees of each of its groups; what follows from that is decided here alone, for all of them. Pure.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from streams.rule_specs import RuleSpec
from streams.wire.alerts import fingerprint
from streams.wire.records import Alert

EVIDENCE: Final = 10  # events named in an alert
_COOLING: Final = 1_000  # causes whose cool-down is remembered


class Level(Enum):
    """How it stands with a group. BETWEEN: neither a reason to fire nor to end. INSUFFICIENT: too little to say."""

    INSUFFICIENT = "insufficient"
    CALM = "calm"
    BETWEEN = "between"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule sees of a group now. summary: for a person, without the application's name; where it is CALM, how
    that is. evidence: events' ids, or what a person can look up."""

    level: Level
    summary: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    evidence: Sequence[Any] = ()


class Causes:
    """What fires of one application's rules."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._firing: dict[str, Alert] = {}
        self._cool_until: dict[str, float] = {}  # fingerprint to when it may fire again, on its rule's clock

    @property
    def alerts(self) -> list[Alert]:
        """All that fire, as they were fired."""
        return list(self._firing.values())

    def name(self, rule: RuleSpec, group: str) -> str:
        """The fingerprint of a cause."""
        return fingerprint("rule", self._app, rule.title, group)

    def is_firing(self, rule: RuleSpec, group: str) -> bool:
        """Whether an alert of this cause stands."""
        return self.name(rule, group) in self._firing

    def judge(self, rule: RuleSpec, group: str, finding: Finding, now_seconds: float, at: str) -> Alert | None:
        """The alert that begins or ends with this. now_seconds: on the clock that the rule goes by. at: the same, for
        people, RFC 3339."""
        name = self.name(rule, group)
        fired = self._firing.get(name)
        if fired is None:
            if finding.level is not Level.OVER or now_seconds < self._cool_until.get(name, float("-inf")):
                return None
            self._firing[name] = self._alert(rule, group, finding, name, at)
            return self._firing[name]
        if finding.level is not Level.CALM:
            return None
        del self._firing[name]
        self._cool_down(name, now_seconds + 60.0 * rule.cool_down_minutes)
        over = self._alert(rule, group, finding, name, at)
        return over.model_copy(update={"state": "resolved", "severity": fired.severity, "evidence": []})

    def adopt(self, names: Collection[str], standing: Iterable[Alert]) -> None:
        """Of these causes, take those for what fires that stand so, and no others. names: fingerprints."""
        self._firing = {name: alert for name, alert in self._firing.items() if name not in names}
        for alert in standing:
            if alert.fingerprint in names and alert.state == "firing":
                self._firing[alert.fingerprint] = alert

    def keep(self, is_followed: Callable[[Alert], bool]) -> None:
        """Of what fires, only that which somebody goes on to judge: else nothing would end it."""
        self._firing = {name: alert for name, alert in self._firing.items() if is_followed(alert)}

    def state(self) -> dict[str, Any]:
        """For JSON."""
        return {"firing": [alert.model_dump() for alert in self.alerts], "cooling": dict(self._cool_until)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError."""
        alerts = [Alert.model_validate(alert) for alert in state["firing"]]
        self._firing = {alert.fingerprint: alert for alert in alerts}
        self._cool_until = {str(name): float(until) for name, until in state["cooling"].items()}

    def _cool_down(self, name: str, until_seconds: float) -> None:
        self._cool_until.pop(name, None)
        self._cool_until[name] = until_seconds
        if len(self._cool_until) > _COOLING:
            del self._cool_until[next(iter(self._cool_until))]

    def _alert(self, rule: RuleSpec, group: str, finding: Finding, name: str, at: str) -> Alert:
        return Alert(
            fingerprint=name,
            rule=rule.title,
            severity=rule.severity,
            state="firing",
            summary=f"{self._app}: {finding.summary}",
            values={"app": self._app, "group": group, **finding.values},
            evidence=list(finding.evidence)[-EVIDENCE:],
            at=at,
            runbook=rule.runbook or None,
        )
