"""Shares that changed, tested many at a time."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

FALSE_SHARE: Final = 0.05  # of what is told, so much may be by chance


def stands(chances: NDArray[np.float64], tests: int = 0) -> NDArray[np.bool_]:
    """Which of so many tests stand, so that on average at most FALSE_SHARE of these do by chance. chances: p-values.
    tests: how many there were, where more than these: those that were left out, as they had no chance to stand.

    Source: Benjamini and Hochberg (1995), "Controlling the false discovery rate", JRSS B 57.
    """
    if not len(chances):
        return np.zeros(0, dtype=bool)
    others = np.ones(max(tests - len(chances), 0))
    kept: NDArray[np.bool_] = false_discovery_control(np.concatenate([chances, others]), method="bh") <= FALSE_SHARE
    return kept[: len(chances)]


def chance_of_rise(count: int, texts: int, other_count: int, others: int) -> float:
    """How probable it is that a share is so much higher here than elsewhere by chance alone.

    Exact (Fisher, 1935): the log-likelihood ratio's limit (Dunning, 1993) passed a word of two texts in thousands far
    too often.
    """
    return float(hypergeom.sf(count - 1, texts + others, count + other_count, texts))
