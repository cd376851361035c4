"""Alerts that follow from what stands in `model.releases`: somebody is asked whether a version may serve, or one was
stopped or rolled back by the watch over releases."""

from streams.wire.alerts import fingerprint
from streams.wire.records import Alert, Release

WAITING = "release_waiting"
ROLLED_BACK = "release_rolled_back"
STOPPED = "release_stopped"


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
