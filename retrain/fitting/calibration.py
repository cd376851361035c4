"""Making a head's numbers mean something: probabilities that come true, and a threshold with a known price."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from models.heads import Floats, label_probabilities


def fit_temperature(logits: Floats, targets: NDArray[np.int64]) -> float:
    """The temperature, in [0.05, 20], with the lowest cross-entropy on texts that the model was not fitted on.

    Source: Guo et al., On Calibration of Modern Neural Networks (2017).
    """

    def loss(log_temperature: float) -> float:
        return _cross_entropy(logits, targets, float(np.exp(log_temperature)))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def calibrated_loss(logits: Floats, targets: NDArray[np.int64]) -> float:
    """The cross-entropy that is left at the best temperature."""
    return _cross_entropy(logits, targets, fit_temperature(logits, targets))


def choose_threshold(scores: Floats, right: NDArray[np.bool_], *, max_lost: float) -> float:
    """The lowest out-of-scope threshold that rejects at most `max_lost` of the in-scope texts that were decided
    rightly.

    scores: of in-scope texts. right: whether each was decided rightly. max_lost: a share of all in-scope texts.
    """
    of_right = np.sort(scores[right])[::-1]
    allowed = int(max_lost * len(scores))
    return float(of_right[min(allowed, len(of_right) - 1)]) if len(of_right) else float("inf")


def _cross_entropy(logits: Floats, targets: NDArray[np.int64], temperature: float) -> float:
    probabilities = label_probabilities(logits, temperature)[np.arange(len(targets)), targets]
    return float(-np.log(np.maximum(probabilities, 1e-12)).mean())
