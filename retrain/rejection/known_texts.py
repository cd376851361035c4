"""Known out-of-scope texts: a direction of the embedding space that tells them from those in scope."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from models.heads import Floats

MIN_KNOWN_TEXTS: Final = 50  # fewer span no direction of some hundred dimensions
FOLDS: Final = 5
_STRENGTH: Final = 0.1  # scikit-learn's C: embeddings are of unit length, and known texts few


@dataclass(frozen=True, slots=True)
class Strangeness:
    """direction: (dimensions,). values: (all texts,), the product with it, of a text that it was fitted on by a
    direction that was not."""

    direction: Floats
    values: Floats


def fit_strangeness(
    embeddings: Floats, in_scope: NDArray[np.int64], strange: NDArray[np.int64], seed: int
) -> Strangeness | None:
    """None where there are fewer than MIN_KNOWN_TEXTS. embeddings: of all texts. in_scope, strange: which of them are
    fitted on."""
    if len(strange) < MIN_KNOWN_TEXTS:
        return None
    rows = np.concatenate([in_scope, strange])
    is_strange = np.arange(len(rows)) >= len(in_scope)
    folds = np.random.default_rng(seed).permutation(len(rows)) % FOLDS
    direction = _direction(embeddings[rows], is_strange)
    values = embeddings @ direction
    for fold in range(FOLDS):
        inside = folds != fold
        values[rows[~inside]] = embeddings[rows[~inside]] @ _direction(embeddings[rows[inside]], is_strange[inside])
    return Strangeness(direction, values)


def _direction(embeddings: Floats, is_strange: NDArray[np.bool_]) -> Floats:
    fitted = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=300).fit(embeddings, is_strange)
    return np.asarray(fitted.coef_[0], dtype=np.float32)
