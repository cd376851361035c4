"""How much likelier an item tells a story because that was told a short, or a long, while ago: learnt from the feed.

Of items that an open story surely tells, by their cosines alone, it is counted how long ago those stories had been
told, and how long ago all open ones had: where every open story was as likely, both would be alike. Their ratio for
each length of time, on a scale of powers of two on which neighbours share what they saw, is what recency says for or
against a story. A feed that hands on one story after the other makes it sharp, one whose stories come side by side
leaves it near one; no length of time is given beforehand. Where little was seen it is drawn to one. What was decided
with its help alone is no evidence.

Sources: the recurrent and the distance-dependent Chinese restaurant process, Ahmed, Xing (2008), "Dynamic
non-parametric mixture models and the recurrent Chinese restaurant process", SDM, and Blei, Frazier (2011), "Distance
dependent Chinese restaurant processes", JMLR 12, whose decay is estimated here; ratios drawn to one by a gamma prior,
DuMouchel (1999), "Bayesian data mining in large frequency tables", The American Statistician 53.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.packing import Arrays

LENGTHS: Final = 20  # of time: below a second, then each twice the one before, to six days and more
_NEAR_LENGTHS: Final = np.array([1, 2, 3, 2, 1]) / 3.0  # what a length of time shares with those beside it
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RecencyPolicy:
    """margin: of cosine above the least one, from which on an item surely tells a story. items: how many such count, as
    older ones fade. prior: seen beforehand for each length of time, as if every story were as likely. weight: of
    cosine, that one unit of log ratio is worth; 0: recency says nothing. up, down: the most of cosine, for and
    against."""

    margin: float = 0.15
    items: float = 1_000.0
    prior: float = 20.0
    weight: float = 0.05
    up: float = 0.2
    down: float = 0.3


class Recency:
    """What is known of one feed. Not thread-safe."""

    def __init__(self, policy: RecencyPolicy) -> None:
        self.policy = policy
        self._told, self._expected = np.zeros((2, LENGTHS))

    def worth(self, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each open story, in units of cosine: how much its recency says that it is the one. ages: seconds since it
        was told."""
        policy = self.policy
        told, expected = (np.convolve(counts, _NEAR_LENGTHS, "same") for counts in (self._told, self._expected))
        ratios = np.log((told + policy.prior) / (expected + policy.prior))
        worth: NDArray[np.float64] = np.clip(policy.weight * ratios, -policy.down, policy.up)[_lengths(ages)]
        return worth

    def learn(self, ages: NDArray[np.float64], cosines: Floats, least: float) -> None:
        """From an item. ages, cosines: of the open stories. least: cosine with which it joins one."""
        sure = cosines >= least + self.policy.margin
        if len(ages) < 2 or not sure.any():
            return
        lengths, fading = _lengths(ages), 1.0 - 1.0 / self.policy.items
        told = np.bincount(lengths[sure], minlength=LENGTHS) / np.count_nonzero(sure)
        expected = np.bincount(lengths, minlength=LENGTHS) / len(ages)
        self._told = fading * self._told + told
        self._expected = fading * self._expected + expected

    def state(self) -> list[NDArray[Any]]:
        """For `restore`."""
        return [self._told, self._expected]

    def restore(self, arrays: Arrays) -> None:
        """Go on where `state` was taken. Raises ValueError where it does not fit."""
        self._told, self._expected = arrays.take(np.float64, (LENGTHS,)), arrays.take(np.float64, (LENGTHS,))
        if min(self._told.min(), self._expected.min()) < 0:
            raise ValueError("counts below zero")


def _lengths(ages: NDArray[np.float64]) -> NDArray[np.int64]:
    """Exact, as the exponent of a float is: the same on every machine."""
    exponents = np.frexp(np.maximum(ages, 0.0) + 1.0)[1] - 1
    lengths: NDArray[np.int64] = np.minimum(exponents, LENGTHS - 1).astype(np.int64)
    return lengths
