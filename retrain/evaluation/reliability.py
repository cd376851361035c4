"""Do probabilities mean what they say?"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.shares import wilson_interval

BINS: Final = 15
CHANCE_DRAWS: Final = 200


def expected_calibration_error(probabilities: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> float:
    """Mean distance between what was promised and what came true, over equally filled bins.

    Source: Guo et al. (2017); equal filling after Nguyen and O'Connor (2015).
    """
    parts = _bins(probabilities, bins)
    gaps = [abs(probabilities[part].mean() - right[part].mean()) * len(part) for part in parts]
    return float(sum(gaps) / len(probabilities))


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Texts of neighbouring probabilities, from `low` to `high`. promised: their mean probability. came_true: the share
    of them that is right, with Wilson's interval."""

    low: float
    high: float
    texts: int
    promised: float
    came_true: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Reliability:
    """ece: expected calibration error. by_chance: what it would be on as many texts of the same probabilities, if these
    were right: below it lies no better calibration."""

    ece: float
    by_chance: float
    bins: tuple[ReliabilityBin, ...]

    @classmethod
    def of(cls, probabilities: NDArray[np.float64], right: NDArray[np.bool_], seed: int = 0) -> "Reliability":
        """probabilities: of the decided labels, right: whether they are, both (texts,).

        Source: consistency resampling, Broecker and Smith, Increasing the Reliability of Reliability Diagrams (2007).
        """
        random = np.random.default_rng(seed)
        draws = [
            expected_calibration_error(probabilities, random.random(len(probabilities)) < probabilities)
            for _ in range(CHANCE_DRAWS)
        ]
        bins = [
            ReliabilityBin(
                float(probabilities[part].min()),
                float(probabilities[part].max()),
                len(part),
                float(probabilities[part].mean()),
                float(right[part].mean()),
                wilson_interval(int(right[part].sum()), len(part)),
            )
            for part in _bins(probabilities, BINS)
        ]
        return cls(expected_calibration_error(probabilities, right), float(np.mean(draws)), tuple(bins))

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        bins = [
            {
                "low": round(one.low, 4),
                "high": round(one.high, 4),
                "texts": one.texts,
                "promised": round(one.promised, 4),
                "came_true": round(one.came_true, 4),
                "ci95": [round(bound, 4) for bound in one.ci95],
            }
            for one in self.bins
        ]
        return {"ece": round(self.ece, 4), "by_chance": round(self.by_chance, 4), "bins": bins}


def _bins(probabilities: NDArray[np.float64], bins: int) -> list[NDArray[np.int64]]:
    order = np.argsort(probabilities, kind="stable")
    return np.array_split(order, min(bins, len(order)))
