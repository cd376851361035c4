"""What each receiver is to be told, and what it was told: level by level, never by having heard an event. Pure.

Wanted is the last word on each cause in `alerts`; told is the last record of each receiver and cause in `alerts.told`.
What differs is due. So a receiver that was away is told what stands when it is back, and who dies between telling and
noting tells that one word again, with the same key.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.ports import Record
from models.errors import MessageError
from streams.application import Application, ReceiverSpec
from streams.wire.records import Alert, Told, decode

SEVERITIES: Final = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Due:
    """A word that a receiver is to be told. fired_at: when its cause began to fire, RFC 3339."""

    alert: Alert
    key: str
    fired_at: str

    @property
    def is_firing(self) -> bool:
        """Else it is over."""
        return self.alert.state == "firing"


@dataclass(frozen=True, slots=True)
class _Standing:
    offset: int
    alert: Alert


class Deliveries:
    """Of one application. Records may be taken by one thread and receivers asked about by others."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._standing: dict[str, _Standing] = {}
        self._told: dict[tuple[str, str], Told] = {}
        self._lock = threading.Lock()

    def take_alert(self, record: Record) -> None:
        """Take a record of `alerts`; one that was taken before, or is of another application or none, changes
        nothing."""
        try:
            alert = decode(Alert, record.value)
        except MessageError:
            return
        if alert.values.get("app") != self._app.name:
            return
        with self._lock:
            known = self._standing.get(alert.fingerprint)
            if known is None or known.offset < record.offset:
                self._standing[alert.fingerprint] = _Standing(record.offset, alert)

    def take_told(self, record: Record) -> None:
        """Take a record of `alerts.told`."""
        try:
            told = decode(Told, record.value)
        except MessageError:
            return
        if told.app == self._app.name:
            self.note(told)

    def note(self, told: Told) -> None:
        """A receiver has taken a word."""
        with self._lock:
            self._told[told.receiver, told.fingerprint] = told

    def due(self, receiver: ReceiverSpec) -> list[Due]:
        """What a receiver is still to be told, what was said first first."""
        with self._lock:
            standing = sorted(self._standing.values(), key=lambda one: one.offset)
            words = [self._word(receiver, one.alert) for one in standing]
        return [word for word in words if word is not None]

    def firing(self, receiver: ReceiverSpec) -> list[Due]:
        """What a receiver was told that fires, and still does."""
        with self._lock:
            firing = []
            for one in self._standing.values():
                told = self._told.get((receiver.name, one.alert.fingerprint))
                if told is not None and told.state == "firing" and told.refused is None and one.alert.state == "firing":
                    firing.append(Due(one.alert, told.key, told.fired_at))
            return firing

    def _word(self, receiver: ReceiverSpec, alert: Alert) -> Due | None:
        told = self._told.get((receiver.name, alert.fingerprint))
        key = word_key(alert)
        was_firing = told is not None and told.state == "firing"
        if told is not None and told.key == key:
            return None
        if alert.state == "resolved":  # nothing is over that nobody was told of
            return Due(alert, key, told.fired_at) if told is not None and was_firing else None
        if not _is_wanted(receiver, alert):
            return None
        return Due(alert, key, told.fired_at if told is not None and was_firing else alert.at)

    def pending(self, receivers: Mapping[str, ReceiverSpec]) -> dict[str, int]:
        """Receiver to how many words it is still to be told."""
        return {name: len(self.due(spec)) for name, spec in receivers.items()}


def word_key(alert: Alert) -> str:
    """Names a word: the same however often it is told, another for each that says something new."""
    parts = (alert.fingerprint, alert.state, alert.at, alert.summary)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:20]


def _is_wanted(receiver: ReceiverSpec, alert: Alert) -> bool:
    rule = alert.rule.partition(":")[0]
    is_heavy = SEVERITIES.index(alert.severity) >= SEVERITIES.index(receiver.least)
    return is_heavy and (not receiver.rules or rule in receiver.rules or alert.rule in receiver.rules)
