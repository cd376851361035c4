"""How far the integers of a linear layer's input reach: all that calibration saw, or less.

A range that leaves out the rarest values rounds the others more finely. Sources: `percentile`, `entropy`: Migacz, 8-bit
Inference with TensorRT (2017), the latter the range whose 256 levels keep most of the distribution, by Kullback-Leibler
divergence.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

RangeBy = Literal["min-max", "percentile", "entropy"]

BINS: Final = 4096
_LEVELS: Final = 256
_SHARES: Final = np.linspace(0.3, 1.0, 36)  # of the whole range, tried by entropy


class Histogram:
    """Counts of values within a range that is known beforehand."""

    def __init__(self, low: float, high: float) -> None:
        """low, high: of all values to come; 0 lies between."""
        self.low, self.high = low, max(high, low + 1e-12)
        self.counts = np.zeros(BINS, dtype=np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count them."""
        self.counts += np.histogram(values, bins=BINS, range=(self.low, self.high))[0]


def choose_range(histogram: Histogram, by: RangeBy, percentile: float) -> tuple[float, float]:
    """Lowest and highest value that the integers stand for; 0 lies between."""
    if by == "percentile":
        return _by_percentile(histogram, percentile)
    return _by_entropy(histogram) if by == "entropy" else (histogram.low, histogram.high)


def _by_percentile(histogram: Histogram, percentile: float) -> tuple[float, float]:
    """The middle `percentile` per cent of the values."""
    shares = np.cumsum(histogram.counts) / max(1, histogram.counts.sum())
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    outside = (1 - percentile / 100) / 2
    first = int(np.searchsorted(shares, outside, side="right"))
    last = int(np.searchsorted(shares, 1 - outside, side="left"))
    return min(float(edges[first]), 0.0), max(float(edges[min(last, BINS - 1) + 1]), 0.0)


def _by_entropy(histogram: Histogram) -> tuple[float, float]:
    edges = np.linspace(histogram.low, histogram.high, BINS + 1)
    best, chosen = np.inf, (histogram.low, histogram.high)
    for share in _SHARES:
        first = int(np.searchsorted(edges, share * histogram.low, side="right")) - 1
        last = int(np.searchsorted(edges, share * histogram.high, side="left"))
        inside = histogram.counts[max(first, 0) : last].astype(np.float64)
        divergence = _divergence(inside, histogram.counts[: max(first, 0)].sum(), histogram.counts[last:].sum())
        if divergence < best:
            best, chosen = divergence, (share * histogram.low, share * histogram.high)
    return float(chosen[0]), float(chosen[1])


def _divergence(inside: NDArray[np.float64], below: int, above: int) -> float:
    """How much of the distribution is lost when the values inside become 256 levels, and those outside the ends."""
    exact = inside.copy()
    exact[0] += below
    exact[-1] += above
    level = np.arange(len(inside)) * _LEVELS // len(inside)
    filled = inside > 0
    sums, counts = np.bincount(level, inside, _LEVELS), np.bincount(level[filled], minlength=_LEVELS)
    rounded = np.where(filled, sums[level] / np.maximum(counts[level], 1), 0.0)
    given = exact > 0
    p, q = exact / exact.sum(), np.maximum(rounded / max(rounded.sum(), 1.0), 1e-12)
    return float((p[given] * np.log(p[given] / q[given])).sum())
