"""What the alert of a label's burst says."""

from collections.abc import Sequence
from datetime import datetime

from models.figures import number_of, readable
from streams.monitor.drift.bursts import BurstChange, LabelBurst
from streams.wire.alerts import fingerprint, resolution
from streams.wire.records import Alert

RULE = "label_burst"


def burst_alert(app: str, version: str, burst: LabelBurst) -> Alert:
    """A burst that goes on. One cause for each label, whichever release serves."""
    times = f"{burst.times_usual:.0f} times its usual" if burst.times_usual >= 2.0 else "more than its usual"
    span = _span(burst.first_at, burst.last_at)
    return Alert(
        fingerprint=fingerprint(RULE, app, burst.label),
        rule=RULE,
        severity="warning",
        state="firing",
        summary=f"{app}: {readable(burst.label)}: {number_of(burst.texts, 'text')}{span}, {times}.",
        values={
            "app": app,
            "version": version,
            "label": burst.label,
            "texts": burst.texts,
            "events": burst.events,
            "usual_share": round(burst.share, 5),
            "times_usual": round(burst.times_usual, 1),
            "since_id": burst.first_id,
            "since_at": burst.first_at,
        },
        evidence=[{"id": identity, "label": burst.label, "text": text} for identity, text in burst.examples],
        at=burst.last_at,
    )


def burst_alerts(app: str, version: str, changes: Sequence[BurstChange]) -> list[Alert]:
    """Bursts that begin or end, as alerts."""
    return [
        burst_alert(app, version, change.burst)
        if change.state == "firing"
        else resolution(burst_alert(app, version, change.burst), _why_over(change.burst), change.at)
        for change in changes
    ]


def _why_over(burst: LabelBurst) -> str:
    if not burst.is_known:
        return "by now its texts look like none that the release learnt with this label; if that goes on it is drift"
    return "the label is again about as frequent as it was"


def _span(first: str, last: str) -> str:
    """How long the texts took, in words; nothing where their times do not say."""
    try:
        seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    except (ValueError, TypeError):
        return ""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f" in {seconds / size:.0f} {unit}"
    return f" in {seconds:.0f} seconds" if seconds >= 0 else ""
