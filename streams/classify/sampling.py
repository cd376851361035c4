"""Which events are audited, shown to the monitor when there are too many, drawn for labelling: by a hash of the id.

The same events are chosen in every process and at every replay, and nothing about a text decides whether it is.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Literal

Purpose = Literal["audit", "signals", "canary", "labels"]

AUDIT_SHARE = 0.05  # of the texts that the fast path decides go through the encoder as well
AUDITS_PER_SECOND = (
    20.0  # of one worker at the most: a window of them in ten seconds says enough, and the encoder is dear
)
SIGNALS_PER_SECOND = 200.0  # of one worker: more say no more, and each takes 2 kB
ALL_SIGNALS_PER_SECOND = 1_000.0  # of all workers of an application: one monitor follows them, in less than 1 ms each
RATE_SECONDS = 5.0  # over which the rate of events is averaged


def sample_position(purpose: Purpose, identity: str) -> float:
    """Where an event (or a key) stands between 0 and 1, for one purpose: uniform, and the same in every process.

    Purposes are independent, so that an audited event is in the canary as often as any other. Source: Kohavi, Tang, Xu,
    Trustworthy Online Controlled Experiments (2020), chapter 14: one hash for several experiments, or one as weak as a
    CRC, correlates them.
    """
    digest = hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=8, person=purpose.encode()).digest()
    return int.from_bytes(digest, "big") / 2**64


class Sample:
    """Says what share of the events is chosen: `share` of them up to `per_second`, then so many that this rate is
    kept."""

    def __init__(self, per_second: float, share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._share, self._clock = per_second, share, clock
        self._last, self._rate = clock(), 0.0

    def limit(self, per_second: float) -> None:
        """From now on up to so many a second are chosen."""
        self._per_second = per_second

    def of(self, events: int) -> float:
        """The share of a batch of `events` that is chosen, in [0, share]."""
        now = self._clock()
        elapsed = max(now - self._last, 1e-3)
        self._last = now
        weight = min(elapsed / RATE_SECONDS, 1.0)
        self._rate += weight * (events / elapsed - self._rate)
        return min(self._share, self._per_second / max(self._rate, 1e-9))
