"""The best of a row of scores."""

import numpy as np
from numpy.typing import NDArray


def best(scores: NDArray[np.floating], length: int) -> NDArray[np.int64]:
    """Indices of the largest scores, best first; equal ones in their order. Fewer than `length` where there are not so
    many, or the others are minus infinity: what must not be shown."""
    if len(scores) > 4 * length:
        threshold = np.partition(scores, len(scores) - length)[len(scores) - length]
        candidates = np.flatnonzero(scores >= threshold)
    else:
        candidates = np.arange(len(scores))
    candidates = candidates[scores[candidates] > -np.inf]
    return candidates[np.argsort(-scores[candidates], kind="stable")[:length]]
