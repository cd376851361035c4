"""Alerts that follow from what stands in `model.releases`: somebody is asked whether a version may serve, or one was
stopped or rolled back by the watch over releases.

The first stands as long as the question. The others tell what happened, once and for all: they end with the next step
of the model's releases, once somebody looks after them, and after some days.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from streams.monitor.retrain_requests import milliseconds
from streams.wire.alerts import fingerprint, resolution
from streams.wire.records import Alert, Release, format_time

WAITING = "release_waiting"
ROLLED_BACK = "release_rolled_back"
STOPPED = "release_stopped"
_DAY_MS: Final = 24 * 3_600_000


class StepAlerts:
    """Of one application. take what stands, look at the time; `firing` follows from both and from nothing else."""

    def __init__(self, app: str, days: float) -> None:
        """days: after which what happened is told no more."""
        self._app, self._days = app, days
        self._follow: dict[str, Alert] = {}  # by fingerprint, from what stands, over or not
        self._over: dict[str, str] = {}  # fingerprint to why it is over, though the state stands

    @property
    def firing(self) -> dict[str, Alert]:
        """Fingerprint to alert."""
        return {name: alert for name, alert in self._follow.items() if name not in self._over}

    @property
    def about_steps(self) -> Sequence[Alert]:
        """Those that somebody can end by looking after them, as they stand in `alerts`, over or not."""
        happened = [alert for alert in self._follow.values() if alert.rule != WAITING]
        return [alert.model_copy(update={"fired_at": alert.at}) for alert in happened]

    def take(self, release: Release) -> list[Alert]:
        """What begins and ends with this state."""
        before, follow = self.firing, alerts_of_release(self._app, release)
        self._over = {
            name: why for name, why in self._over.items() if name in follow and follow[name].at == self._follow[name].at
        }
        self._follow = follow
        return _changes(before, self.firing, dict.fromkeys(before, ending_of(release)), release.at)

    def look(self, now_ms: int, looked_after: Mapping[str, str] | None) -> list[Alert]:
        """What begins and ends with the time. now_ms: milliseconds since 1970. looked_after: of `about_steps`,
        fingerprint to who looks after it; None where nobody can say: what is over stays so."""
        before = self.firing
        if looked_after is not None:
            self._over = {name: f"{who} looks after it" for name, who in looked_after.items()}
        for alert in self.about_steps:
            if now_ms - milliseconds(alert.at) >= self._days * _DAY_MS:
                self._over[alert.fingerprint] = f"it is {self._days:g} days ago"
        return _changes(before, self.firing, self._over, format_time(now_ms))


def _changes(before: Mapping[str, Alert], after: Mapping[str, Alert], why: Mapping[str, str], at: str) -> list[Alert]:
    """An alert that goes on is none; one of the same cause that began anew is."""
    over = [alert for name, alert in before.items() if name not in after or after[name].at != alert.at]
    begun = [alert for name, alert in after.items() if name not in before or before[name].at != alert.at]
    return [resolution(alert, why[alert.fingerprint], at) for alert in over] + begun


def ending_of(release: Release) -> str:
    """Why an alert that followed from the state before is over."""
    step = release.step
    if step is None or step.version is None:
        return f"{release.model}@{release.champion} serves"
    return f"{step.kind} {release.model}@{step.version} by {step.who or release.by}"


def alerts_of_release(app: str, release: Release) -> dict[str, Alert]:
    """Fingerprint to alert, for as long as this state stands."""
    alerts = [alert for alert in (_waiting(app, release), _by_the_watch(app, release)) if alert is not None]
    return {alert.fingerprint: alert for alert in alerts}


def _by_the_watch(app: str, release: Release) -> Alert | None:
    """What was done without asking anybody, and speaks against a release."""
    step = release.step
    if release.by != "watch" or step is None or step.kind not in ("rolled_back", "stopped"):
        return None
    rolled_back = step.kind == "rolled_back"
    rule = ROLLED_BACK if rolled_back else STOPPED
    version = release.previous if rolled_back else step.version
    done = f"was rolled back, {release.champion} serves again" if rolled_back else "goes no further on its way to serve"
    return Alert(
        fingerprint=fingerprint(rule, app, version or ""),
        rule=rule,
        severity="critical" if rolled_back else "warning",
        state="firing",
        summary=f"{app}@{version} {done}: {step.reason} (`headrace models history {app}`)",
        values={"app": app, "version": version, "champion": release.champion, **step.figures},
        at=release.at,
    )


def _waiting(app: str, release: Release) -> Alert | None:
    candidate = release.candidate
    if candidate is None or candidate.stage != "waiting":
        return None
    name = f"{app}@{candidate.version}"
    return Alert(
        fingerprint=fingerprint(WAITING, app, candidate.version),
        rule=WAITING,
        severity="warning",
        state="firing",
        summary=(
            f"{name} passed the gate and waits for somebody's word ({candidate.reason}): `headrace models verdict "
            f"{name}` shows how it was judged, `headrace models approve {name}` lets it go on, `reject` ends it"
        ),
        values={"app": app, "version": candidate.version, "champion": release.champion, "reason": candidate.reason},
        at=candidate.since,
    )
