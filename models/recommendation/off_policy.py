"""What other settings would have got in the places that are drawn, by what was drawn and how probable that was.

Sources: inverse propensity scores, Horvitz, Thompson (1952); self-normalised, Swaminathan, Joachims (2015), "The
self-normalized estimator for counterfactual learning"; doubly robust, Dudík, Langford, Li (2011), "Doubly robust policy
evaluation and learning"; effective sample size, Kong (1992).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

_Z: Final = 1.959964  # of a normal distribution, two-sided 95 %


@dataclass(frozen=True, slots=True)
class Drawn:
    """One for each draw, float64 (draws,). taken: 1 where the drawn item was taken, else 0. propensities: of the draw
    when it was made. chances: of the same item with the other settings. foretold: how often that item is taken, as
    foretold without this draw; expected: the same of what the other settings would have drawn."""

    taken: NDArray[np.float64]
    propensities: NDArray[np.float64]
    chances: NDArray[np.float64]
    foretold: NDArray[np.float64]
    expected: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of draws that are taken, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimates:
    """draws: how many. effective: how many equally weighted draws tell as much. logged: the share that was taken."""

    draws: int
    effective: float
    logged: Estimate
    ips: Estimate
    self_normalised: Estimate
    doubly_robust: Estimate


def estimates(drawn: Drawn) -> Estimates:
    """Raises ModelError where there are fewer than two draws, a propensity is not above 0 and at most 1, or the other
    settings would have drawn none of what was drawn."""
    count = len(drawn.taken)
    if count < 2:
        raise ModelError(
            f"{count} draws tell nothing: it takes decisions with drawn items (exploration) and later ones"
        )
    if not ((drawn.propensities > 0) & (drawn.propensities <= 1)).all():
        raise ModelError("some drawn items have no propensity above 0 and at most 1, so nothing follows from them")
    weights = drawn.chances / drawn.propensities
    if not weights.any():
        raise ModelError("the other settings would have drawn none of the items that were drawn")
    normalised = float(weights @ drawn.taken / weights.sum())
    return Estimates(
        count,
        float(weights.sum() ** 2 / (weights @ weights)),
        _of_terms(drawn.taken),
        _of_terms(weights * drawn.taken),
        _within(normalised, float((weights * (drawn.taken - normalised)).std(ddof=1) / weights.mean()), count),
        _of_terms(drawn.expected + weights * (drawn.taken - drawn.foretold)),
    )


def _of_terms(terms: NDArray[np.float64]) -> Estimate:
    return _within(float(terms.mean()), float(terms.std(ddof=1)), len(terms))


def _within(value: float, deviation: float, count: int) -> Estimate:
    half = _Z * deviation / count**0.5
    return Estimate(value, value - half, value + half)
