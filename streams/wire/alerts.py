"""Alerts: one for one cause, known by its fingerprint, fired once and resolved once.

`alerts` is compacted by fingerprint, so the last record of a key says whether that cause fires now.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Alert, decode


def fingerprint(*parts: str) -> str:
    """Stable name of a cause: 16 hex digits. parts: the kind of alert, the application, and what tells causes apart."""
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:16]


def resolution(fired: Alert, reason: str, at: str) -> Alert:
    """The end of an alert: the same cause and values, and why it is over."""
    return fired.model_copy(
        update={"state": "resolved", "summary": f"over: {reason} ({fired.summary})", "evidence": [], "at": at}
    )


def alerts_of(app: str, records: Iterable[Record]) -> Iterator[Alert]:
    """An application's alerts among the topic's records. What no alert can be read from is nobody's."""
    for record in records:
        with contextlib.suppress(MessageError):
            alert = decode(Alert, record.value)
            if alert.values.get("app") == app:
                yield alert


class Alerts:
    """Which alerts fire, as it stands in the topic. Each method gives the record to publish, or None where the topic
    says so already: after a restart nothing is fired twice, and what ended is resolved.
    """

    def __init__(self) -> None:
        self._firing: dict[str, Alert] = {}

    @property
    def firing(self) -> dict[str, Alert]:
        """Fingerprint to the alert as it was fired."""
        return dict(self._firing)

    def load(self, standing: Iterable[Alert]) -> None:
        """Take what stands in the topic, in its order, for what fires."""
        self._firing.clear()
        for alert in standing:
            if alert.state == "firing":
                self._firing[alert.fingerprint] = alert
            else:
                self._firing.pop(alert.fingerprint, None)

    def fire(self, alert: Alert) -> Alert | None:
        """A cause is there. One that fires already is told again where its story is newer: `told_event` in its
        values."""
        known = self._firing.get(alert.fingerprint)
        if known is not None and _story(alert) <= _story(known):
            return None
        fired = alert.model_copy(update={"fired_at": alert.fired_at or alert.at})
        self._firing[alert.fingerprint] = fired
        return fired

    def resolve(self, alert: Alert) -> Alert | None:
        """A cause is gone. alert: the resolved one."""
        fired = self._firing.pop(alert.fingerprint, None)
        return alert.model_copy(update={"fired_at": fired.fired_at}) if fired is not None else None

    def settle(self, wanted: Iterable[Alert], why_over: Callable[[Alert], str], at: str) -> list[Alert]:
        """Make what fires what should: fires those that are missing, resolves those that are over. why_over: an
        alert's reason."""
        causes = {alert.fingerprint: alert for alert in wanted}
        over = [alert for name, alert in self._firing.items() if name not in causes]
        changes = [self.resolve(resolution(alert, why_over(alert), at)) for alert in over]
        changes += [self.fire(alert) for alert in causes.values()]
        return [alert for alert in changes if alert is not None]


def _story(alert: Alert) -> int:
    """How new it is; 0 of causes whose story does not grow."""
    told_event = alert.values.get("told_event")
    return told_event if isinstance(told_event, int) else 0
