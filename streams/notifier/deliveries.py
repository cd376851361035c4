"""What each receiver is to be told, and what it was told: level by level, never by having heard an event. Pure.

Wanted is the last word on each cause in `alerts`; told is the last record of each receiver and cause in `alerts.told`.
What differs is due. So a receiver that was away is told what stands when it is back. A word is noted before it is told,
and again when it was taken: in between, and after a death in between, the receiver may know it. Then what stands is
told, the same word with the same key, or that it is over. What is silenced, or looked after by somebody, is not due.
What is over, and nobody is to be told of any more, is forgotten: causes come and go for years.
"""

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.ports import Hush, Record
from models.errors import MessageError
from streams.application import Application, ReceiverSpec
from streams.notifier.silences import ACKNOWLEDGEMENT, Silences
from streams.wire.records import Alert, Severity, Silence, Told, Word, decode

SEVERITIES: Final = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Due:
    """A word that a receiver is to be told. fired_at: when its cause began to fire, RFC 3339. severity: the one that
    the receiver knows the cause by."""

    alert: Alert
    key: str
    fired_at: str
    severity: Severity

    @property
    def is_firing(self) -> bool:
        """Else it is over."""
        return self.alert.state == "firing"


class Deliveries:
    """Of one application: its silences and what was told first, then alerts. Records may be taken by one thread and
    receivers asked about by others."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._standing: dict[str, Alert] = {}  # what was said first stands first
        self._receivers = {spec.name for spec in app.receivers}
        self._next: dict[int, int] = {}  # partition of `alerts` to the offset from which on records are new
        self._told: dict[tuple[str, str], Told] = {}
        self._silences = Silences()
        self._over_ms: dict[str, int] = {}  # of causes that do not say since when they fire: when one was over last
        self._lock = threading.Lock()

    def take_alert(self, record: Record) -> None:
        """Take a record of `alerts`; one that was taken before, or is of another application or none, changes
        nothing."""
        with self._lock:
            if record.offset < self._next.get(record.partition, 0):
                return
            self._next[record.partition] = record.offset + 1
        try:
            alert = decode(Alert, record.value)
        except MessageError:
            return
        if alert.values.get("app") != self._app.name:
            return
        with self._lock:
            self._standing.pop(alert.fingerprint, None)
            self._standing[alert.fingerprint] = alert
            if alert.state == "resolved" and alert.fired_at is None:
                self._over_ms[alert.fingerprint] = record.timestamp_ms
            self._forget(alert.fingerprint)

    def take_silence(self, record: Record) -> None:
        """Take a record of `alerts.silences`."""
        with self._lock:
            self._silences.take(record)

    def take_told(self, record: Record) -> None:
        """Take a record of `alerts.told`."""
        try:
            told = decode(Told, record.value)
        except MessageError:
            return
        if told.app == self._app.name and told.receiver in self._receivers:
            self.note(told)

    def begin(self, receiver: str, due: Due, at: str) -> tuple[Told, Told] | None:
        """A word is about to be told: from here on the receiver may know it. Returns what to note before it is told,
        and what to note where it is not taken; None where it is not what stands any more. at: RFC 3339."""
        name = due.alert.fingerprint
        word = Word(key=due.key, state=due.alert.state, severity=due.severity, fired_at=due.fired_at)
        with self._lock:
            if self._standing.get(name) != due.alert:
                return None
            before = self._told.get((receiver, name)) or Told(
                app=self._app.name,
                receiver=receiver,
                fingerprint=name,
                key="",
                state="resolved",
                severity=due.severity,
                fired_at=due.fired_at,
                at=at,
            )
            begun = _settled(before, word).model_copy(update={"telling": word, "at": at})
            self._told[receiver, name] = begun
            return begun, before

    def note(self, told: Told) -> None:
        """A receiver has taken a word, or has not taken the one that was begun."""
        with self._lock:
            self._told[told.receiver, told.fingerprint] = told
            self._forget(told.fingerprint)

    def _forget(self, fingerprint: str) -> None:
        """A cause that is over, where no receiver knows it as one that fires."""
        alert = self._standing.get(fingerprint)
        if alert is None or alert.state == "firing":
            return
        if not any(self._knows_firing(name, fingerprint) for name in self._receivers):
            del self._standing[fingerprint]
            for name in self._receivers:
                self._told.pop((name, fingerprint), None)

    def due(self, receiver: ReceiverSpec, now_ms: int, *, has_silences: bool = False) -> list[Due]:
        """What a receiver is still to be told, what was said first first. now_ms: milliseconds since 1970.
        has_silences: whether it keeps silences of its own, which were told to it: then it is told all."""
        with self._lock:
            alerts = list(self._standing.values())
            words = [self._word(receiver, alert) for alert in alerts if has_silences or self._may_tell(alert, now_ms)]
        return [word for word in words if word is not None]

    def hushes(self, now_ms: int) -> list[Hush]:
        """What stands in `alerts.silences` about this application's alerts, for a receiver with silences of its own."""
        with self._lock:
            names = self._standing.keys()
            wanted = [
                one
                for one in self._silences.standing(now_ms)
                if one.kind != ACKNOWLEDGEMENT
                and one.app in (None, self._app.name)
                and (one.fingerprint is None or one.fingerprint in names)
            ]
            held = [self._acknowledged(alert) for alert in self._standing.values()]
        return [self._hush(silence) for silence in (*wanted, *held) if silence is not None]

    def _hush(self, silence: Silence) -> Hush:
        name = hashlib.sha256(b"|".join((self._app.name.encode(), silence.record_key))).hexdigest()[:16]
        what = self._app.name, silence.fingerprint, silence.rule
        return Hush(name, *what, silence.until_ms, silence.by, silence.because)

    def _may_tell(self, alert: Alert, now_ms: int) -> bool:
        return self._silences.silence_of(alert, now_ms) is None and self._acknowledged(alert) is None

    def _acknowledged(self, alert: Alert) -> Silence | None:
        return self._silences.acknowledgement_of(alert, self._over_ms.get(alert.fingerprint, -1))

    def firing(self, receiver: ReceiverSpec) -> list[Due]:
        """What a receiver was told that fires, and still does."""
        with self._lock:
            firing = []
            for alert in self._standing.values():
                told = self._knows_firing(receiver.name, alert.fingerprint)
                if told is not None and alert.state == "firing":
                    firing.append(Due(alert, told.key, told.fired_at, told.severity))
            return firing

    def _word(self, receiver: ReceiverSpec, alert: Alert) -> Due | None:
        """None where it has been told: by whomever the same is said again, and whenever."""
        known = self._knows_firing(receiver.name, alert.fingerprint)
        if alert.state == "resolved":  # nothing is over that nobody was told of
            if known is None:
                return None
            return Due(alert, word_key(alert, known.fired_at), known.fired_at, known.severity)
        if not _is_wanted(receiver, alert):
            return None
        told = self._told.get((receiver.name, alert.fingerprint))
        telling = None if told is None else told.telling
        if telling is not None and telling.state == "resolved":
            known = None  # it may know that the firing before is over
        fired_at = alert.fired_at or (alert.at if known is None else known.fired_at)
        key = word_key(alert, fired_at)
        is_told = told is not None and telling is None and told.key == key
        return None if is_told else Due(alert, key, fired_at, alert.severity)

    def _knows_firing(self, receiver: str, fingerprint: str) -> Told | Word | None:
        """What the receiver was told last of this cause, or may have been, where that was that it fires."""
        told = self._told.get((receiver, fingerprint))
        if told is None:
            return None
        if told.telling is not None and told.telling.state == "firing":
            return told.telling
        return told if knows_firing(told) else None

    def pending(self, receivers: Mapping[str, ReceiverSpec], now_ms: int) -> dict[str, int]:
        """Receiver to how many words it is still to be told."""
        return {name: len(self.due(spec, now_ms)) for name, spec in receivers.items()}


def knows_firing(told: Told) -> bool:
    """Whether a receiver that was told this takes the cause for one that fires."""
    return told.state == "firing" and (told.refused is None or bool(told.knows_firing))


def _settled(told: Told, word: Word) -> Told:
    """What the receiver knew before this word. Where another one that fires was on its way, it may know that: then it
    knows it as one that fires, and by no key that would keep a word from it."""
    telling = told.telling
    if telling is None or telling.state == "resolved" or telling.key == word.key:
        return told
    known = {"key": "", "state": "firing", "severity": telling.severity, "fired_at": telling.fired_at, "refused": None}
    return told.model_copy(update=known)


def word_key(alert: Alert, fired_at: str) -> str:
    """Names a word: the same however often it is said and told, another for each that says something new. fired_at:
    of its cause. Where the values have a `headline`, a summary that changed under it says the same, only better."""
    said = str(alert.values.get("headline") or alert.summary)
    parts = (alert.fingerprint, alert.state, alert.severity, said, fired_at)
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:20]


def _is_wanted(receiver: ReceiverSpec, alert: Alert) -> bool:
    is_heavy = SEVERITIES.index(alert.severity) >= SEVERITIES.index(receiver.least)
    return is_heavy and (not receiver.rules or alert.kind in receiver.rules or alert.rule in receiver.rules)
