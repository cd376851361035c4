"""How sure a share is that was seen in so many texts."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_NORMAL_95: Final = 1.959963984540054  # of a normal distribution, 95 % lie within so many standard deviations


def wilson_interval(right: float, total: float, z: float = _NORMAL_95) -> tuple[float, float]:
    """Wilson's score interval of a share. Not whole numbers: of weighted texts, an effective number. Source: Wilson
    (1927), "Probable inference, the law of succession, and statistical inference", JASA 22."""
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = share + z * z / (2 * total)
    spread = z * float(np.sqrt(share * (1 - share) / total + z * z / (4 * total * total)))
    scale = 1 + z * z / total
    low, high = (middle - spread) / scale, (middle + spread) / scale
    return (low if right else 0.0), (high if right < total else 1.0)


def weighted_share(
    is_so: Sequence[bool] | NDArray[np.bool_],
    probabilities: Sequence[float] | NDArray[np.float64],
    z: float = _NORMAL_95,
) -> tuple[float, tuple[float, float]]:
    """The share among all, and its interval, from some that were drawn, each with its own probability in (0, 1].

    Each counts by one over its probability (Hájek's estimator); the interval goes by the number of equal ones that
    would say as much. Not defined for none. Source: Kish, Survey Sampling (1965).
    """
    weights = 1.0 / np.asarray(probabilities, dtype=np.float64)
    share = float(np.average(np.asarray(is_so, dtype=np.float64), weights=weights))
    alike = float(weights.sum() ** 2 / (weights**2).sum())
    return share, wilson_interval(share * alike, alike, z)
