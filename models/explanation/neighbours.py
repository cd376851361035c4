"""Which known texts lie nearest to a text in the encoder's space."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.heads import Floats


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A known text near another one. label: None where it has none. similarity: cosine of their embeddings."""

    text: str
    label: str | None
    similarity: float


def nearest(embedding: Floats, known: Floats, count: int) -> list[tuple[int, float]]:
    """Rows of `known` by falling cosine, at most `count`, each with it. embedding: (dimensions,). known: (texts,
    dimensions). All of unit length, but for what rounding takes."""
    cosines: NDArray[np.float64] = known.astype(np.float64) @ embedding.astype(np.float64)
    rows = np.argsort(-cosines, kind="stable")[:count]
    return [(int(row), float(min(cosines[row], 1.0))) for row in rows]
