"""What a model raised while it was asked: counted, and said once a minute for each kind of it."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

log = logging.getLogger(__name__)

QUIET_SECONDS = 60.0
ERROR_CHARACTERS = 300
KINDS_MAX = 100  # of which is remembered when they were said last; errors may name what they failed on


class ModelFailures:
    """Of one application. counts: batches that failed, by step (prepare, encode, decide, trial); may be read by another
    thread. Steps run in threads of their own, and may add at once: what a canary fails on is prepared anew by the
    thread that decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def add(self, step: str, release: str, texts: int, error: Exception) -> None:
        """A batch of so many texts failed in a step."""
        kind = (step, type(error).__name__)
        with self._lock:
            self.counts[step] = so_far = self.counts[step] + 1
            now = self._clock()
            if now - self._said.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
                return
            if len(self._said) >= KINDS_MAX:
                self._said.clear()
            self._said[kind] = now
        log.warning(
            "%s fails in step %s on a batch of %d texts (%d batches so far): %s",
            release,
            step,
            texts,
            so_far,
            f"{error!r}"[:ERROR_CHARACTERS],
            exc_info=(type(error), error, error.__traceback__) if log.isEnabledFor(logging.DEBUG) else None,
        )
