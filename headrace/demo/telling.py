"""The roles' part of the story: what the monitor asks for, what the gate says, what is swapped; and when it is over."""

import threading
from collections import Counter
from dataclasses import dataclass, field

from headrace.demo.ledger import Ledger
from headrace.process.builder import ProcessRoles
from models.figures import number_of
from streams.wire.records import Release

AFTER_RELEASE_SHARE = 0.2  # of the planned time that goes on after a release, so that its effect is seen
AFTER_RELEASE_SECONDS = 10.0  # at most
QUIET_SECONDS = 20.0  # without a label or a word of a role: nothing more will come
SWAP_SECONDS = 8.0  # for which the gate's word is waited for, so that it stands before what followed from it
PATIENCE_SECONDS = 300.0  # how much longer than planned the story may take at most: on a busy machine training does


@dataclass(slots=True)
class Teller:
    """Follows the roles in this process.

    planned_seconds: how long customers write at least. released: set when a better release serves.
    """

    ledger: Ledger
    built: ProcessRoles
    planned_seconds: float
    released: threading.Event = field(default_factory=threading.Event)
    _requests: int = 0
    _verdicts: int = 0
    _labels: int = 0
    _moved_at: float = 0.0
    _released_at: float | None = None
    _swaps: list[tuple[float, str, str]] = field(default_factory=list)

    def tell(self) -> None:
        """What is new since the last time."""
        assert self.built.job is not None
        requests = [request for monitor in self.built.monitors.values() for request in monitor.counts.requests]
        verdicts, labels = list(self.built.job.verdicts), sum(self.ledger.labelled.values())
        for request in requests[self._requests :]:
            words = f"people have labelled {number_of(request.evidence['labels'], 'more text')} of {request.app}"
            is_first = request.app not in self.ledger.in_training
            then = (
                "a challenger is trained on them too"
                if is_first
                else "another challenger comes after the one in training"
            )
            self.ledger.tell(f"{words}: {then}")
        for app, verdict in verdicts[self._verdicts :]:
            self.ledger.tell(f"{app}: {verdict}", "gate")
        if (len(requests), len(verdicts), labels) != (self._requests, self._verdicts, self._labels):
            self._moved_at = self.ledger.seconds
        self._requests, self._verdicts, self._labels = len(requests), len(verdicts), labels
        waiting = Counter(request.app for request in requests) - Counter(app for app, _ in verdicts)
        self.ledger.in_training = frozenset(waiting)
        self._tell_swaps()

    def _tell_swaps(self) -> None:
        """After the gate's word, which may only be there once a worker has swapped already."""
        while self._swaps:
            at, app, words = self._swaps[0]
            if app in self.ledger.in_training and self.ledger.seconds < at + SWAP_SECONDS:
                return
            self.ledger.tell(words, "release")
            self._swaps.pop(0)

    def is_over(self, *, expects_release: bool) -> bool:
        """Whether nothing more will come. A refused challenger is no end: people go on to label, and another one is
        asked for."""
        now = self.ledger.seconds
        if self.released.is_set() and self._released_at is None:
            self._released_at = now
        if now < self.planned_seconds:
            return False
        if self._released_at is not None:
            after = min(self.planned_seconds * AFTER_RELEASE_SHARE, AFTER_RELEASE_SECONDS)
            return now >= self._released_at + after
        is_moving = bool(self.ledger.in_training) or now < self._moved_at + QUIET_SECONDS
        return not expects_release or not is_moving or now >= self.planned_seconds + PATIENCE_SECONDS

    def swapped(self, release: Release, seconds: float) -> None:
        """A worker serves another release."""
        serving = f"{release.model}@{release.champion} serves"
        words = f"{serving} ({seconds:.1f} s to load, prove and warm up); nothing stopped"
        self._swaps.append((self.ledger.seconds, release.model, words))
        self.ledger.swaps.append({"app": release.model, "from": release.previous, "to": release.champion})
        self.released.set()
