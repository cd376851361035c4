"""One receiver's own thread: what is due is told, noted, and told again where it was not taken.

A receiver that is slow or away keeps no other one waiting.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from connectors.errors import ReceiverRefused
from connectors.ports import Notice, Receiver
from models.errors import ConnectorError
from streams.application import Application, ReceiverSpec
from streams.clock import wall_clock_ms
from streams.notifier.deliveries import Deliveries, Due, knows_firing
from streams.notifier.hushing import HushKeeper
from streams.wire.records import Told, format_time

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0  # between looks at what is due; so long one list of it is told from
REPEAT_AGAIN_SECONDS: Final = 10.0
FAILURES_AT_ONCE: Final = 3  # then the receiver itself may be what fails
BACK_OFF_SECONDS: Final = (1.0, 60.0)  # the first wait, and the longest


class Teller:
    """start, stop. Counts by outcome in `counts`: told, refused, failed (to be told again)."""

    def __init__(
        self,
        app: Application,
        spec: ReceiverSpec,
        receiver: Receiver,
        deliveries: Deliveries,
        note: Callable[[Told], None],
        mask: Callable[[str], str] = lambda text: text,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """note: of what was told; confirmed when it returns, raises BrokerUnavailable. mask: what may leave of a
        text. now_ms: for the end of silences."""
        self._app, self.spec, self._receiver, self._deliveries, self._note = app, spec, receiver, deliveries, note
        self._mask, self._clock, self._now_ms = mask, clock, now_ms
        self.counts = {"told": 0, "refused": 0, "failed": 0}
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._repeated_at = clock()
        self._failures, self._said, self._failed = 0, "", set[str]()
        self._hushes = HushKeeper(app.name, spec.name, receiver, clock)
        self._unnoted: Told | None = None  # what came of a word, while the broker was away
        self._thread = threading.Thread(target=self._run, name=f"{app.name}-tells-{spec.name}", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def ask_to_stop(self) -> None:
        """End after the word that is being told."""
        self._stopping.set()
        self._wake.set()

    def stop(self, seconds: float) -> bool:
        """The same, and wait for it; whether it has ended within so many seconds."""
        self.ask_to_stop()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                wait = 0.0 if self.tell_due() else LOOK_SECONDS
                self._failures, self._said = 0, ""
            except Exception as error:  # whatever it is: this thread is all that tells this receiver
                wait = self._back_off(error)
            if self._failures:
                self._stopping.wait(wait)
            else:
                self._wake.wait(wait)
            self._wake.clear()

    def tell_due(self) -> bool:
        """Tell what is due; whether more is. A receiver may take a while for each word: after a second what is due is
        asked anew, so that it hears of nothing that was over or silenced meanwhile, and of what fires when it wants.

        A word that is not taken keeps no other one waiting: those that fail go last the next time, and after some the
        receiver is left alone for a while. Raises the first failure; nothing is lost by it."""
        if self._unnoted is not None:
            self._note_told(self._unnoted)
        failures: list[Exception] = []
        now_ms = self._now_ms()
        has_silences = self._hushes.keep(lambda: self._deliveries.hushes(now_ms))
        due = self._deliveries.due(self.spec, now_ms, has_silences=has_silences)
        due.sort(key=lambda word: word.key in self._failed)
        until, left = self._clock() + LOOK_SECONDS, len(due)
        for word in due:
            if self._stopping.is_set() or len(failures) >= FAILURES_AT_ONCE:
                break
            if left < len(due) and self._clock() >= until:
                break
            left -= 1
            try:
                self._tell(word)
                self._failed.discard(word.key)
            except Exception as error:
                if self._unnoted is not None:  # the broker is away: nothing can be noted now, and so nothing told
                    raise
                self.counts["failed"] += 1
                self._failed.add(word.key)
                failures.append(error)
        self._failed &= {word.key for word in due}
        self._repeat()
        if failures:
            raise failures[0]
        return left > 0

    def _repeat(self) -> None:
        repeat_seconds = self._receiver.repeat_seconds
        if repeat_seconds and self._clock() - self._repeated_at >= repeat_seconds:
            self._repeated_at = self._clock()
            try:
                self._receiver.repeat([self._notice(due) for due in self._deliveries.firing(self.spec)])
            except ConnectorError as error:
                self._repeated_at -= repeat_seconds - REPEAT_AGAIN_SECONDS
                log.warning("%s: %s was not told again of what fires: %s", self._app.name, self.spec.name, error)

    def _tell(self, due: Due) -> None:
        """Noted before it is told, so that whoever comes after a death in between knows that it may have been heard."""
        begun = self._deliveries.begin(self.spec.name, due, format_time(wall_clock_ms()))
        if begun is None:
            return
        telling, before = begun
        try:
            self._note(telling)
        except Exception:
            self._unnoted = before
            raise
        refused = None
        try:
            self._receiver.deliver(self._notice(due))
            self.counts["told"] += 1
        except ReceiverRefused as error:
            self.counts["refused"] += 1
            refused = str(error)
            log.error("%s: %s will not be told of %s: %s", self._app.name, self.spec.name, due.alert.fingerprint, error)
        except Exception:
            self._note_told(before)
            raise
        self._note_told(_taken(telling, due, refused))

    def _note_told(self, told: Told) -> None:
        """Until it is noted nothing is told again: a broker that is away must not repeat a word."""
        self._unnoted = told
        self._note(told)
        self._deliveries.note(told)
        self._unnoted = None

    def _notice(self, due: Due) -> Notice:
        alert = due.alert
        return Notice(
            key=due.key,
            fingerprint=alert.fingerprint,
            app=self._app.name,
            rule=alert.rule,
            severity=due.severity,
            is_firing=due.is_firing,
            summary=self._mask(alert.summary),
            fired_at=due.fired_at,
            at=alert.at,
            values=alert.values,
            evidence=_masked(alert.evidence, self._mask),
            runbook=alert.runbook or self._app.runbook,
        )

    def _back_off(self, error: Exception) -> float:
        """How long to wait; longer each time, and not the same as others'."""
        first, longest = BACK_OFF_SECONDS
        wait = min(first * 2.0 ** min(self._failures, 16), longest)
        if str(error) != self._said:
            self._said = str(error)
            if isinstance(error, ConnectorError):
                log.warning("%s: %s was not told: %s; trying again", self._app.name, self.spec.name, error)
            else:
                log.error("%s: telling %s failed", self._app.name, self.spec.name, exc_info=error)
        self._failures += 1
        return wait * random.uniform(0.5, 1.0)


def _taken(telling: Told, due: Due, refused: str | None) -> Told:
    """What is known of a receiver after this word. One that refused it knows what it knew before."""
    knew = refused is not None and knows_firing(telling)
    word = {
        "key": due.key,
        "state": due.alert.state,
        "severity": telling.severity if knew else due.severity,
        "fired_at": telling.fired_at if knew else due.fired_at,
        "at": format_time(wall_clock_ms()),
        "refused": refused,
        "knows_firing": True if knew else None,
        "telling": None,
    }
    return telling.model_copy(update=word)


def _masked(evidence: Sequence[object], mask: Callable[[str], str]) -> list[object]:
    return [
        {name: mask(value) if isinstance(value, str) and name == "text" else value for name, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in evidence
    ]
