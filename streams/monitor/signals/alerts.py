"""What the alert of signals that changed says, where no drift episode explains them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from streams.application import Drift
from streams.monitor.drift.alerts import USUAL, episode_fingerprint
from streams.monitor.episodes.cost import severity_of
from streams.monitor.episodes.error_rise import cost_in_words, errors_cost
from streams.monitor.signals.watch import SignalChange, SignalEpisode
from streams.wire.alerts import fingerprint, resolution
from streams.wire.records import Alert

RULE: Final = "drift_signal"


def signal_alert(
    app: str, version: str, episode: SignalEpisode, weights: Drift = USUAL, events_per_hour: float | None = None
) -> Alert:
    """An episode of signals that goes on. A note, as nobody knows what it costs (a new subject that costs is drift);
    but where labels say that decisions are wrong more often it weighs as drift of that cost does. weights: which cost
    weighs how much. events_per_hour: of the application; None: not known."""
    first, cost = episode.symptoms[0], errors_cost(episode.symptoms, events_per_hour)
    weight = (weights.note_below_errors_per_hour, weights.critical_from_errors_per_hour)
    return Alert(
        fingerprint=fingerprint(RULE, app, version, episode.detected_id),
        rule=RULE,
        severity="info" if cost is None else severity_of(cost, *weight),
        state="firing",
        summary=f"{app}: changed: {'; '.join(one.in_words() for one in episode.symptoms)}.{cost_in_words(cost)}",
        values={
            "app": app,
            "version": version,
            "onset_event": episode.onset_event,
            "detected_event": episode.detected_event,
            "symptoms": [asdict(symptom) for symptom in episode.symptoms],
            "told_event": episode.told_event,
            "cost": None if cost is None else asdict(cost),
            "headline": f"{first.name} changed, found at {first.id}",
        },
        at=first.at,
    )


def signal_alerts(
    app: str,
    version: str,
    changes: Sequence[SignalChange],
    at: str,
    weights: Drift = USUAL,
    events_per_hour: float | None = None,
) -> list[Alert]:
    """Episodes of signals that began, grew or ended. at: when one ended. weights, events_per_hour: see
    `signal_alert`."""
    alerts = []
    for change in changes:
        alert = signal_alert(app, version, change.episode, weights, events_per_hour)
        if change.merged_into:
            into = episode_fingerprint(app, version, change.merged_into)
            alert = resolution(alert, f"it is a symptom of drift episode {into}", at)
            alert = alert.model_copy(update={"values": {**alert.values, "merged_into": into}})
        elif change.is_over:
            alert = resolution(alert, "the signals stay as they are now", at)
        alerts.append(alert)
    return alerts
