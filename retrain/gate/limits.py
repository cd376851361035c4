"""What speaks against a challenger that decides more texts rightly: probabilities that promise more than before and do
not keep it, more bytes, less speed. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrain.evaluation import HeadMetrics, expected_calibration_error

RESAMPLES: Final = 500
# In fewer texts a bin, chance alone makes the error of both so large that it hides a release that is off by 0.1.
BIN_TEXTS: Final = 50
MAX_BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Footprint:
    """What serving a release takes. size_bytes: of all files that serve. texts_per_second: of both releases on the same
    texts, by `retrain.gate.speed`."""

    size_bytes: int
    texts_per_second: float


def calibration_objection(
    champion: HeadMetrics, challenger: HeadMetrics, max_increase: float, significance: float
) -> str | None:
    """That the calibration error rises by more than `max_increase` beyond doubt, in words: that the lower end of the
    one-sided bootstrap interval, over the texts that both decided, lies above it. The same results give the same
    answer.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13 (percentile interval).
    """
    everything = np.arange(champion.texts)
    before, after = (_calibration_error(metrics, everything) for metrics in (champion, challenger))
    if after - before <= max_increase:
        return None
    random = np.random.default_rng(0)
    increases = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        drawn = random.integers(0, champion.texts, champion.texts)
        increases[number] = _calibration_error(challenger, drawn) - _calibration_error(champion, drawn)
    if float(np.quantile(increases, significance)) <= max_increase:
        return None
    return (
        f"{challenger.head}'s probabilities are off by {after:.3f} (calibration error) against {before:.3f} on "
        f"{challenger.texts} texts"
    )


def _calibration_error(metrics: HeadMetrics, texts: NDArray[np.int64]) -> float:
    bins = min(MAX_BINS, max(2, len(texts) // BIN_TEXTS))
    return expected_calibration_error(metrics.probabilities[texts], metrics.right[texts], bins)


def footprint_objection(
    champion: Footprint, challenger: Footprint, max_size_ratio: float, max_time_ratio: float
) -> str | None:
    """What of the challenger's footprint passes its limit, in words."""
    if challenger.size_bytes > max_size_ratio * champion.size_bytes:
        return (
            f"it has {challenger.size_bytes / 1e6:.1f} MB against {champion.size_bytes / 1e6:.1f} MB, more than "
            f"{max_size_ratio:g} times as large"
        )
    if challenger.texts_per_second * max_time_ratio < champion.texts_per_second:
        return (
            f"it decides {challenger.texts_per_second:.0f} texts a processor second against "
            f"{champion.texts_per_second:.0f}, more than {max_time_ratio:g} times as slow"
        )
    return None
