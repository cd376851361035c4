"""What turns a head's margins into several labels for a text: calibrated log-odds of each label, one threshold, and how
often the whole set is right. All of it is fitted on texts that the head has not seen.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.heads import Floats
from models.several_labels import SeveralLabels, chances, log_joint

Doubles = NDArray[np.float64]
Wanted = NDArray[np.bool_]

_PRIOR: Final = 10.0  # a label's own calibration weighs as much as all labels' in common once it has some ten texts
_THRESHOLDS: Final = (0.05, 0.95)  # beyond these, a threshold says more about the held-out texts than about the head


def fit_calibration(logits: Floats, wanted: Wanted) -> tuple[Floats, Floats]:
    """Slope and bias of each label, (labels,) both, that turn its logits into log-odds.

    logits: (texts, labels), of texts that the head was not fitted on. wanted: which labels they have. All labels share
    one calibration, from which each departs as far as its own texts bear it out: most have too few for their own.
    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999).
    """
    pooled = _fit_odds(logits.reshape(-1, 1), wanted.reshape(-1, 1), np.array([[1.0], [0.0]]), 1e-6)
    found = _fit_odds(logits, wanted, np.repeat(pooled, logits.shape[1], axis=1), _PRIOR)
    return found[0].astype(np.float32), found[1].astype(np.float32)


def choose_threshold(probabilities: Floats, wanted: Wanted) -> float:
    """The threshold of all labels' probabilities with the highest micro-F1 on these texts.

    probabilities, wanted: (texts, labels).
    """
    flat = probabilities.ravel().astype(np.float64)
    order = np.argsort(-flat, kind="stable")
    ordered, right = flat[order], wanted.ravel()[order].cumsum()
    f1 = 2 * right / (np.arange(1, len(flat) + 1) + wanted.sum())
    last = int(f1.argmax())
    below = ordered[last + 1] if last + 1 < len(ordered) else 0.0
    return float(np.clip((ordered[last] + below) / 2, *_THRESHOLDS))


def fit_several(logits: Floats, wanted: Wanted) -> SeveralLabels:
    """The threshold, and how often sets are right. logits: calibrated log-odds. wanted: both (texts, labels)."""
    threshold = choose_threshold(chances(logits), wanted)
    gives = SeveralLabels(threshold, 1.0, 0.0)
    given = gives.given(logits)
    right = (given == wanted).all(axis=1)
    slope, bias = _fit_odds(log_joint(logits, given)[:, None], right[:, None], np.array([[1.0], [0.0]]), 1.0)
    return SeveralLabels(threshold, max(float(slope[0]), 0.0), float(bias[0]))


def micro_f1(given: Wanted, wanted: Wanted) -> float:
    """Of all labels of all texts together; 1 where there are none to give and none are given."""
    total = int(given.sum()) + int(wanted.sum())
    return 2 * int((given & wanted).sum()) / total if total else 1.0


def _fit_odds(scores: Floats, wanted: Wanted, prior: Doubles, strength: float) -> Doubles:
    """Slopes and biases, (2, columns): logistic regression of each column by itself, with smoothed targets, drawn to
    the prior of that shape."""
    scores = scores.astype(np.float64)
    positives, texts = wanted.sum(axis=0), len(wanted)
    targets = np.where(wanted, (positives + 1) / (positives + 2), 1 / (texts - positives + 2))

    def loss_and_gradient(flat: Doubles) -> tuple[float, Doubles]:
        slope, bias = flat.reshape(prior.shape)
        odds = slope * scores + bias
        off = flat.reshape(prior.shape) - prior
        loss = float((np.logaddexp(0, odds) - targets * odds).sum() + strength / 2 * np.square(off).sum())
        errors = 1 / (1 + np.exp(-np.clip(odds, -500, 500))) - targets
        gradient = np.stack([(errors * scores).sum(axis=0), errors.sum(axis=0)]) + strength * off
        return loss, gradient.ravel()

    found = minimize(loss_and_gradient, prior.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return np.asarray(found.x, dtype=np.float64).reshape(prior.shape)
