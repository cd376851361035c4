"""Alerts that follow from what stands in `model.releases`: somebody is asked whether a version may serve."""

from streams.wire.alerts import fingerprint
from streams.wire.records import Alert, Release

WAITING = "release_waiting"


def ending_of(release: Release) -> str:
    """Why an alert that followed from the state before is over."""
    step = release.step
    if step is None or step.version is None:
        return f"{release.model}@{release.champion} serves"
    return f"{step.kind} {release.model}@{step.version} by {step.who or release.by}"


def alerts_of_release(app: str, release: Release) -> dict[str, Alert]:
    """Fingerprint to alert, for as long as this state stands."""
    candidate = release.candidate
    if candidate is None or candidate.stage != "waiting":
        return {}
    name = f"{app}@{candidate.version}"
    alert = Alert(
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
    return {alert.fingerprint: alert}
