"""What a drift episode's alerts say, when it is found and when it is over."""

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
            "detected_event": episode.detected_event,
            "detectors": list(episode.detectors),
            "labels": dict(episode.labels),
            "words": list(episode.words),
            "share_before": episode.share_before,
            "share_after": episode.share_after,
            "share_range": list(episode.share_range),
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
