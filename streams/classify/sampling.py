"""Which events are audited, and which are shown to the monitor when there are too many: by a hash of the event's id.

The same events are chosen in every process and at every replay, and nothing about a text decides whether it is.
"""

import time
import zlib
from collections.abc import Callable

AUDIT_SHARE = 0.05  # of the texts that the fast path decides go through the encoder as well
AUDITS_PER_SECOND = (
    20.0  # of one worker at the most: a window of them in ten seconds says enough, and the encoder is dear
)
SIGNALS_PER_SECOND = 200.0  # of one worker; a monitor follows some thousands a second
RATE_SECONDS = 5.0  # over which the rate of events is averaged


def sample_position(identity: str) -> float:
    """Where an event stands between 0 and 1; uniform over events."""
    return zlib.crc32(identity.encode()) / 2**32


class Sample:
    """Says what share of the events is chosen: `share` of them up to `per_second`, then so many that this rate is
    kept."""

    def __init__(self, per_second: float, share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._share, self._clock = per_second, share, clock
        self._last, self._rate = clock(), 0.0

    def of(self, events: int) -> float:
        """The share of a batch of `events` that is chosen, in [0, share]."""
        now = self._clock()
        elapsed = max(now - self._last, 1e-3)
        self._last = now
        weight = min(elapsed / RATE_SECONDS, 1.0)
        self._rate += weight * (events / elapsed - self._rate)
        return min(self._share, self._per_second / max(self._rate, 1e-9))
