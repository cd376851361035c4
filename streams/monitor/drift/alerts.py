"""What a drift episode's alerts say, when it is found and when it is over."""

from dataclasses import asdict

from streams.monitor.drift.episode import Episode
from streams.wire.alerts import fingerprint
from streams.wire.records import Alert


def drift_fingerprint(app: str, version: str) -> str:
    """One cause for each release that drift strikes."""
    return fingerprint("drift", app, version)


def alert_for_episode(app: str, version: str, episode: Episode, at: str) -> Alert:
    """A drift episode as a firing alert."""
    return Alert(
        fingerprint=drift_fingerprint(app, version),
        rule="drift",
        severity="warning",
        state="firing",
        summary=f"{app}: {episode.summary}",
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
            "told_event": episode.told_event,
            "headline": f"drift found at {episode.detected_id or episode.detected_event}",
        },
        evidence=[{"id": example.id, "label": example.label, "text": example.text} for example in episode.examples],
        at=at,
    )


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
