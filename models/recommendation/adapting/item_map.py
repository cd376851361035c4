"""A linear map of the items' embeddings: the encoder stays as it is, what counts as alike is learnt (in `retrain`).

Source: a trained linear map from frozen text embeddings to the space in which items are compared (DenseRec, 2025, for
cold items).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class ItemMap:
    """matrix: float32 (dimensions, dimensions), rows times it. version: of the release; empty: of none."""

    matrix: NDArray[np.float32]
    version: str = ""

    def __post_init__(self) -> None:
        matrix = self.matrix
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
            raise ModelError(f"a map of embeddings is a square matrix, not one of shape {matrix.shape}")
        if not np.isfinite(matrix).all():
            raise ModelError("a map of embeddings holds numbers that are not finite; train it again")

    @classmethod
    def identity(cls, dimensions: int) -> "ItemMap":
        """Embeddings stay as the encoder made them."""
        return cls(np.eye(dimensions, dtype=np.float32))

    @property
    def dimensions(self) -> int:
        """Length of the embeddings."""
        return len(self.matrix)

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return bool((self.matrix == np.eye(self.dimensions, dtype=np.float32)).all())

    def of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit rows, float32 (items, dimensions), as `vectors`, which are unit rows around the catalogue's mean; a row
        of zeros stays one. Raises ModelError for vectors of other dimensions."""
        self.check(vectors.shape[1])
        return unit_rows(vectors @ self.matrix)

    def check(self, dimensions: int) -> None:
        """Raises ModelError where embeddings of other dimensions are to be mapped."""
        if dimensions != self.dimensions:
            raise ModelError(
                f"a map for embeddings of {self.dimensions} numbers, the catalogue's have {dimensions}; train it again "
                f"with this encoder"
            )


def unit_rows(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row at length 1, float32; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), np.float32)
