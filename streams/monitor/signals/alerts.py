"""What the alert of signals that changed says, where no drift episode explains them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from streams.monitor.drift.alerts import episode_fingerprint
from streams.monitor.signals.watch import SignalChange, SignalEpisode
from streams.wire.alerts import fingerprint, resolution
from streams.wire.records import Alert

RULE: Final = "drift_signal"


def signal_alert(app: str, version: str, episode: SignalEpisode) -> Alert:
    """An episode of signals that goes on. A note: what it costs nobody knows; a new subject that costs is drift."""
    first = episode.symptoms[0]
    return Alert(
        fingerprint=fingerprint(RULE, app, version, episode.detected_id),
        rule=RULE,
        severity="info",
        state="firing",
        summary=f"{app}: changed: {'; '.join(symptom.in_words() for symptom in episode.symptoms)}.",
        values={
            "app": app,
            "version": version,
            "onset_event": episode.onset_event,
            "detected_event": episode.detected_event,
            "symptoms": [asdict(symptom) for symptom in episode.symptoms],
            "told_event": episode.told_event,
            "headline": f"{first.name} changed, found at {first.id}",
        },
        at=first.at,
    )


def signal_alerts(app: str, version: str, changes: Sequence[SignalChange], at: str) -> list[Alert]:
    """Episodes of signals that began, grew or ended. at: when one ended."""
    alerts = []
    for change in changes:
        alert = signal_alert(app, version, change.episode)
        if change.merged_into:
            into = episode_fingerprint(app, version, change.merged_into)
            alert = resolution(alert, f"it is a symptom of drift episode {into}", at)
            alert = alert.model_copy(update={"values": {**alert.values, "merged_into": into}})
        elif change.is_over:
            alert = resolution(alert, "the signals stay as they are now", at)
        alerts.append(alert)
    return alerts
