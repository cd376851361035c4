"""Texts that the fast path decided and the encoder saw as well: a stratum with a sum of its own.

To the other detectors a text that the fast path decides says the least that a text can say. A new subject whose words
the n-grams take for known ones would never be found by them. The audit draws a share of the fast texts, whatever they
say; so each audited text is compared with the reference's own fast texts, by its distance to the nearest centroid, with
the same arithmetic as `embeddings` (streams/monitor/drift/evidence.py) and a live correction of its own.

The threshold is for a run in events. How many of these are audited the stream says itself; until it has, the share
counts as larger than it is, so that the threshold is higher while the stream is young.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.cusum import Cusum
from streams.monitor.drift.evidence import EMBEDDINGS, TAILS, Evidence, EvidencePolicy, tail_evidence
from streams.monitor.drift.reference import Doubles, Reference
from streams.monitor.drift.thresholds import threshold_from_climbs

FAST_AUDITS: Final = "fast_audits"
ALARM_SHARE: Final = 0.1  # of the rate that all detectors give together
_RUNS: Final = 256  # simulated streams side by side
_AUDITS: Final = 1_000  # audited texts of each
_SCALES: Final = (0.94, 1.06)  # of their exponents, as the live correction leaves them of 1 to 1.12
_LEAST_SHARE: Final = 0.005  # of audited texts among all, for which a threshold is known
_WEIGHT: Final = 100  # events that count as audited before the stream has said how many are


class FastAudits:
    """The sum of one stream. Not thread-safe. Memory: the texts that `Evidence` waits for."""

    def __init__(self, distances: Doubles, heights: tuple[float, float], policy: EvidencePolicy) -> None:
        """distances: of the reference's fast texts, in order. heights: of the threshold where all texts are audited,
        and where `_LEAST_SHARE` are. `of` sets them."""
        self._distances, self._heights, self._policy = distances, heights, policy
        self.cusum = Cusum(heights[0])
        self._evidence = Evidence(policy, 1, 0, 1.0)
        self._events = self._audits = 0

    @classmethod
    def of(cls, reference: Reference, policy: EvidencePolicy, false_alarm_every: float) -> Self | None:
        """For a release's reference; None where it has no fast texts. Takes hundredths of a second, the same each
        time."""
        distances = reference.fast_distances
        if not len(distances):
            return None
        climbs = _climbs(distances)
        run, audits = false_alarm_every / ALARM_SHARE, _RUNS * _AUDITS
        every, few = (threshold_from_climbs(climbs, audits, run * share) for share in (1.0, _LEAST_SHARE))
        return cls(distances, (every, few), policy)

    def anew(self) -> Self:
        """The same of a stream of which nothing is known yet."""
        return type(self)(self._distances, self._heights, self._policy)

    def surprisal(self, distance: float) -> float:
        """Minus the logarithm of the share of the reference's fast texts that lie at least as far out."""
        return float(_exponents(self._distances, np.array([distance]))[0])

    def increment(self, surprisal: float | None, nth: int) -> float:
        """What the next text adds; 0 of one that is no audited fast text (None). nth: of what counts as one."""
        self._events += 1
        self._audits += surprisal is not None
        self._set_height()
        if surprisal is None:
            return 0.0
        exponents = np.full((1, len(TAILS)), surprisal)
        if nth == 1:
            return float(self._evidence.add(exponents, np.zeros((1, 0), np.float32))[0, EMBEDDINGS])
        return float(self._evidence.repeated(exponents, nth, is_fast=False, has_embedding=True)[0, EMBEDDINGS])

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here, for JSON."""
        sums = [self.cusum.value, self.cusum.texts_since_zero]
        return {
            "sum": sums,
            "events": self._events,
            "audits": self._audits,
            "evidence": self._evidence.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        self._events, self._audits = int(state["events"]), int(state["audits"])
        self._evidence.restore(state["evidence"])
        value, texts_since_zero = state["sum"]
        self.cusum.value, self.cusum.texts_since_zero = max(float(value), 0.0), int(texts_since_zero)
        self._set_height()

    def _set_height(self) -> None:
        """Heights fall evenly with the logarithm of the share, as a climb's chance does."""
        share = max((self._audits + _WEIGHT) / (self._events + _WEIGHT), _LEAST_SHARE)
        every, few = self._heights
        self.cusum.threshold = every + (few - every) * float(np.log(share) / np.log(_LEAST_SHARE))


def _exponents(ordered: Doubles, distances: Doubles) -> Doubles:
    above = len(ordered) - np.searchsorted(ordered, distances, side="left")
    exponents: Doubles = -np.log((above + 1.0) / (len(ordered) + 1.0))
    return exponents


def _climbs(distances: Doubles) -> Doubles:
    """How high sums over known texts climb between two zeros. Each stream has its own random half of them, as those of
    streams/monitor/drift/thresholds.py do, and a scale of its own."""
    random = np.random.default_rng(0)
    count = len(distances)
    own: NDArray[np.int64] = random.random((_RUNS, count)).argsort(axis=1)[:, : max(count // 2, 1)]
    rows = np.take_along_axis(own, random.integers(own.shape[1], size=(_RUNS, _AUDITS)), axis=1)
    exponents = _exponents(distances, distances)[rows] * random.uniform(*_SCALES, (_RUNS, 1))
    paths = np.cumsum(tail_evidence(exponents), axis=1)
    sums = paths - np.minimum(np.minimum.accumulate(paths, axis=1), 0.0)
    # A climb ends at a zero, and each stream's last one where the stream ends.
    padded = np.pad(sums, ((0, 0), (1, 1))).ravel()
    starts = np.flatnonzero(padded == 0.0)
    highest: Doubles = np.maximum.reduceat(padded, starts)
    return highest[highest > 0.0]
