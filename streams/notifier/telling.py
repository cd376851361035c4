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
from streams.notifier.deliveries import Deliveries, Due
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import Told, format_time

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
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
    ) -> None:
        """note: of what was told; confirmed when it returns, raises BrokerUnavailable. mask: what may leave of a
        text."""
        self._app, self.spec, self._receiver, self._deliveries, self._note = app, spec, receiver, deliveries, note
        self._mask, self._clock = mask, clock
        self.counts = {"told": 0, "refused": 0, "failed": 0}
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._repeated_at = clock()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"{app.name}-tells-{spec.name}", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to tell."""
        self._wake.set()

    def stop(self, seconds: float) -> bool:
        """End after the word that is being told; whether it has ended within so many seconds."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            wait = LOOK_SECONDS
            try:
                self.tell_due()
                self._failures = 0
            except ConnectorError as error:
                wait = self._back_off(error)
            except Exception:
                log.exception("%s: telling %s failed", self._app.name, self.spec.name)
                wait = self._back_off(None)
            self._wake.wait(wait) if not self._failures else self._stopping.wait(wait)
            self._wake.clear()

    def tell_due(self) -> None:
        """Tell all that is due. Raises where the receiver, or the broker to note it, is away: nothing is lost by it."""
        for due in self._deliveries.due(self.spec):
            if self._stopping.is_set():
                return
            self._tell(due)
        repeat_seconds = self._receiver.repeat_seconds
        if repeat_seconds and self._clock() - self._repeated_at >= repeat_seconds:
            self._receiver.repeat([self._notice(due) for due in self._deliveries.firing(self.spec)])
            self._repeated_at = self._clock()

    def _tell(self, due: Due) -> None:
        refused = None
        try:
            self._receiver.deliver(self._notice(due))
            self.counts["told"] += 1
        except ReceiverRefused as error:
            self.counts["refused"] += 1
            refused = str(error)
            log.error("%s: %s will not be told of %s: %s", self._app.name, self.spec.name, due.alert.fingerprint, error)
        told = Told(
            app=self._app.name,
            receiver=self.spec.name,
            fingerprint=due.alert.fingerprint,
            key=due.key,
            state=due.alert.state,
            fired_at=due.fired_at,
            at=format_time(wall_clock_ms()),
            refused=refused,
        )
        self._note(told)
        self._deliveries.note(told)

    def _notice(self, due: Due) -> Notice:
        alert = due.alert
        return Notice(
            key=due.key,
            fingerprint=alert.fingerprint,
            app=self._app.name,
            rule=alert.rule,
            severity=alert.severity,
            is_firing=due.is_firing,
            summary=self._mask(alert.summary),
            fired_at=due.fired_at,
            at=alert.at,
            values=alert.values,
            evidence=_masked(alert.evidence, self._mask),
            runbook=self._app.runbook,
        )

    def _back_off(self, error: ConnectorError | None) -> float:
        """How long to wait; longer each time, and not the same as others'."""
        self.counts["failed"] += 1
        first, longest = BACK_OFF_SECONDS
        wait = min(first * 2.0**self._failures, longest)
        if error is not None and self._failures == 0:
            log.warning("%s: %s was not told: %s; trying again", self._app.name, self.spec.name, error)
        self._failures += 1
        return wait * random.uniform(0.5, 1.0)


def _masked(evidence: Sequence[object], mask: Callable[[str], str]) -> list[object]:
    return [
        {name: mask(value) if isinstance(value, str) and name == "text" else value for name, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in evidence
    ]
