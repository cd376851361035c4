"""What a surge's alerts say, when it fires and when it is over."""

from typing import Any, Final

from models.figures import number_of, readable
from streams.application import Surge
from streams.monitor.surges.windows import LabelWindow
from streams.wire.alerts import fingerprint
from streams.wire.records import Alert
from streams.wire.signals import ALL

EVIDENCE: Final = 10  # decisions named in an alert
_CRITICAL_SHARE: Final = 0.9


def surge_fingerprint(app: str, surge: Surge, group: str) -> str:
    """The cause: this label in this group."""
    return fingerprint("surge", app, surge.head, surge.label, surge.by or ALL, group)


def surge_alert(app: str, surge: Surge, group: str, window: LabelWindow, baseline: float, at: str) -> Alert:
    """A surge that fires. baseline: the group's long-run share, in [0, 1]."""
    share = window.share(surge.label)
    hits = [entry.id for entry in window.entries if entry.label == surge.label]
    return Alert(
        fingerprint=surge_fingerprint(app, surge, group),
        rule=surge_title(surge),
        severity="critical" if share >= _CRITICAL_SHARE else "warning",
        state="firing",
        summary=(
            f"{app}: {share:.0%} of the last "
            f"{number_of(len(window.entries), 'text')}{_where(surge, group)} are {readable(surge.label)}; "
            f"usual is {baseline:.0%}."
        ),
        values=_values(app, surge, group) | _figures(window, surge, baseline),
        evidence=hits[-EVIDENCE:],
        at=at,
    )


def resolved_surge(app: str, surge: Surge, group: str, window: LabelWindow, baseline: float, at: str) -> Alert:
    """A surge whose last group has recovered."""
    back = f"{readable(surge.label)} {surge.head}{_where(surge, group)} is back to {window.share(surge.label):.0%}"
    return _resolved(app, surge, group, back, _figures(window, surge, baseline), at)


def silent_surge(app: str, surge: Surge, group: str, at: str) -> Alert:
    """A surge whose groups were not heard of for as long as their windows remember."""
    gone = f"{readable(surge.label)} {surge.head}{_where(surge, group)} was not heard of for a day"
    return _resolved(app, surge, group, gone, {}, at)


def _resolved(app: str, surge: Surge, group: str, words: str, figures: dict[str, Any], at: str) -> Alert:
    return Alert(
        fingerprint=surge_fingerprint(app, surge, group),
        rule=surge_title(surge),
        severity="warning",
        state="resolved",
        summary=f"{app}: {words}.",
        values=_values(app, surge, group) | figures,
        at=at,
    )


def surge_title(surge: Surge) -> str:
    """The `rule` of its alerts."""
    return f"surge:{surge.head}={surge.label}"


def _where(surge: Surge, group: str) -> str:
    return "" if surge.by is None else f" in {group}"


def _values(app: str, surge: Surge, group: str) -> dict[str, Any]:
    return {"app": app, "head": surge.head, "label": surge.label, "by": surge.by, "group": group}


def _figures(window: LabelWindow, surge: Surge, baseline: float) -> dict[str, Any]:
    return {
        "share": round(window.share(surge.label), 3),
        "usual": round(baseline, 3),
        "trend": round(window.trend(surge.label), 3),
        "texts": len(window.entries),
    }
