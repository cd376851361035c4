"""What a drift episode's alerts say, when it is found and when it is over."""

from dataclasses import asdict
from typing import Final, get_args

from streams.application import Drift
from streams.monitor.drift.episode import Episode
from streams.monitor.episodes.cost import Cost, Labelled, severity_of
from streams.monitor.episodes.error_rise import cost_in_words, errors_cost
from streams.wire.alerts import fingerprint, resolution
from streams.wire.records import Alert, Severity

USUAL: Final = Drift()
FOUND_MS: Final = "found_ms"  # among an alert's values: time of the record that the episode was found with


def drift_fingerprint(app: str, version: str, episode: Episode) -> str:
    """One cause for each episode of a release."""
    return episode_fingerprint(app, version, episode.detected_id)


def episode_fingerprint(app: str, version: str, identity: str) -> str:
    """The same. identity: `Episode.detected_id`."""
    return fingerprint("drift", app, version, identity)


def episode_ended(told: Alert, merged_into: str, at: str) -> Alert:
    """The end of an episode's alert. merged_into: fingerprint of the episode that it is a part of; "": its texts do not
    come any more."""
    if not merged_into:
        return resolution(told, "the stream is again what the release knows", at)
    over = resolution(told, f"it is a part of episode {merged_into}", at)
    return over.model_copy(update={"values": {**over.values, "merged_into": merged_into}})


def alert_for_episode(
    app: str, version: str, episode: Episode, at: str, weights: Drift = USUAL, labelled: Labelled | None = None
) -> Alert:
    """A drift episode as a firing alert. weights: which cost weighs how much. labelled: what labels say of it."""
    origin = episode_fingerprint(app, version, episode.split_from) if episode.split_from else ""
    labels_say = f" Told with episode {origin} before." if origin else ""
    labels_say += "" if labelled is None else f" {labelled.in_words()}"
    if episode.symptoms:
        labels_say += f" Changed with it: {'; '.join(symptom.in_words() for symptom in episode.symptoms)}."
    errors = errors_cost(episode.symptoms)
    if errors is not None:
        labels_say += cost_in_words(errors)
    weight = (weights.note_below_errors_per_hour, weights.critical_from_errors_per_hour)
    return Alert(
        fingerprint=drift_fingerprint(app, version, episode),
        rule="drift",
        severity=_severity(episode, weight, errors),
        state="firing",
        summary=f"{app}: {episode.summary}{labels_say}",
        values={
            "app": app,
            "version": version,
            "onset_event": episode.onset_event,
            "onset_id": episode.onset_id,
            "onset_at": episode.onset_at,
            "onset_between": [asdict(place) for place in episode.onset_between],
            "detected_event": episode.detected_event,
            "detectors": list(episode.detectors),
            "labels": dict(episode.labels),
            "name": episode.name,
            "words": list(episode.words),
            "phrases": list(episode.phrases),
            "rose": [asdict(move) for move in episode.rose],
            "fell": [asdict(move) for move in episode.fell],
            "segments": [asdict(segment) for segment in episode.segments],
            "share_before": episode.share_before,
            "share_after": episode.share_after,
            "share_range": list(episode.share_range),
            "cost": None if episode.cost is None else asdict(episode.cost),
            "labelled": None if labelled is None else asdict(labelled),
            "told_event": episode.told_event,
            "centre": episode.centre,
            "parts": episode.parts,
            "part_centres": list(episode.part_centres),
            **({"split_from": origin} if origin else {}),
            "symptoms": [asdict(symptom) for symptom in episode.symptoms],
            "headline": f"drift found at {episode.detected_id or episode.detected_event}",
        },
        evidence=[{"id": example.id, "label": example.label, "text": example.text} for example in episode.examples],
        at=at,
    )


def _severity(episode: Episode, weight: tuple[float, float], errors: Cost | None) -> Severity:
    """The heavier one: by the texts, or by labels where these say that errors rose."""
    by_texts: Severity = "warning" if episode.cost is None else severity_of(episode.cost, *weight)
    by_labels: Severity = "info" if errors is None else severity_of(errors, *weight)
    return max(by_texts, by_labels, key=get_args(Severity).index)


def unwatched_alert(app: str, version: str, reason: str, at: str) -> Alert:
    """A release that cannot be watched for drift; everything else goes on."""
    return Alert(
        fingerprint=fingerprint("drift_unwatched", app, version),
        rule="drift_unwatched",
        severity="warning",
        state="firing",
        summary=f"{app}: nobody watches {app}@{version} for drift: {reason}",
        values={"app": app, "version": version},
        at=at,
    )
