"""Which texts are worth a person's time.

Source of the choice: uncertainty weighted by distance to what is chosen already, Sener and Savarese (2018),
"Active learning for convolutional neural networks: a core-set approach" (greedy k-centre), with the weights
of Zhdanov (2019), "Diverse mini-batch active learning", arXiv 1901.05954.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LONELY: Final = 0.05  # weight of a text that the model is sure of: diversity still counts a little


@dataclass(frozen=True, slots=True)
class Candidate:
    """A decided text. confidence: of its label, in [0, 1]. embedding: unit length, or None."""

    id: str
    confidence: float
    embedding: NDArray[np.float32] | None = None
    text: str | None = None


def choose_for_labelling(candidates: Sequence[Candidate], limit: int, labelled: Sequence[str] = ()) -> list[Candidate]:
    """Up to `limit` texts, the most useful first: the least sure ones, each unlike those before it.

    labelled: ids that have a label already; they are not chosen again. Equal texts are chosen once. Without
    embeddings the order is by uncertainty alone. The same candidates give the same choice.
    """
    known = set(labelled)
    open_ones = list(
        {candidate.text or candidate.id: candidate for candidate in candidates if candidate.id not in known}.values()
    )
    if not open_ones or limit < 1:
        return []
    uncertainty = np.array([_LONELY + 1.0 - min(max(candidate.confidence, 0.0), 1.0) for candidate in open_ones])
    vectors = _vectors(open_ones)
    gaps = np.ones(len(open_ones))
    chosen: list[Candidate] = []
    for _ in range(min(limit, len(open_ones))):
        best = int(np.argmax(uncertainty * gaps))
        chosen.append(open_ones[best])
        if vectors is not None:
            gaps = np.minimum(gaps, np.maximum(1.0 - vectors @ vectors[best], 1e-6))
        gaps[best] = -1.0
    return chosen


def _vectors(candidates: Sequence[Candidate]) -> NDArray[np.float32] | None:
    """Unit vectors of all candidates; zero where one has none; None where no one has any."""
    size = next((candidate.embedding.size for candidate in candidates if candidate.embedding is not None), 0)
    if not size:
        return None
    zero = np.zeros(size, np.float32)
    return np.stack([zero if candidate.embedding is None else candidate.embedding for candidate in candidates])
