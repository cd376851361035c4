"""Do probabilities mean what they say?"""

import numpy as np
from numpy.typing import NDArray


def expected_calibration_error(probabilities: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between what was promised and what came true, over equally filled bins.

    Source: Guo et al. (2017); equal filling after Nguyen and O'Connor (2015).
    """
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(probabilities[part].mean() - right[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(order))
