"""The linear map from a student's space into its teacher's."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.graph import DENSE
from models.errors import ConfigError

SAME_SPACE: Final = 0.5  # mean cosine from which a student of as many dimensions stands in its teacher's space
_PENALTIES: Final = (1e-3, 1e-2, 1e-1, 1.0)

Floats = NDArray[np.float32]


def needs_map(embeddings: Floats, wanted: Floats) -> bool:
    """Whether the student's embeddings stand in another space than the teacher's: of other dimensions, or of as many by
    chance. embeddings, wanted: of the same texts, unit length."""
    if embeddings.shape[1] != wanted.shape[1]:
        return True
    return float((embeddings * wanted).sum(axis=1).mean()) < SAME_SPACE


def require_no_dense(config: Mapping[str, Any]) -> None:
    """Raises ConfigError for a student that ends with a layer already."""
    if config.get("dense") is not None:
        raise ConfigError(
            "the student ends with a dense layer of its own, and its space is another than the teacher's; give "
            "--student an encoder without one, or a teacher of its space"
        )


def fitted_map(pooled: Floats, wanted: Floats, held_out: Floats, held_out_wanted: Floats) -> dict[str, Floats]:
    """The dense layer that brings the student nearest to the teacher before anything is learnt, by least squares; of
    four penalties the one that is best on the texts held out, so that what is learnt is compared with the best start.

    pooled: (texts, dimensions) of the student, not of unit length. wanted: the teacher's, of unit length. Returns
    weights under the graph's names.
    """
    mean, target = pooled.mean(axis=0), wanted.mean(axis=0)
    centred = (pooled - mean).astype(np.float64)
    product, right = centred.T @ centred, centred.T @ (wanted - target)
    found: list[tuple[float, Floats]] = []
    for penalty in _PENALTIES:
        ridge = penalty * np.trace(product) / len(product) * np.eye(len(product))
        weight = np.linalg.solve(product + ridge, right).astype(np.float32)
        mapped = (held_out - mean) @ weight + target
        mapped /= np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)
        found.append((float((mapped * held_out_wanted).sum(axis=1).mean()), weight))
    _, weight = max(found, key=lambda one: one[0])
    bias = (target - mean @ weight).astype(np.float32)
    return {f"{DENSE}.weight": np.ascontiguousarray(weight.T), f"{DENSE}.bias": bias}
