"""Which texts are worth a person's time, and when there are labels enough to train again.

Source of the choice: uncertainty weighted by distance to what is chosen already, Sener and Savarese (2018),
"Active learning for convolutional neural networks: a core-set approach" (greedy k-centre), with the weights
of Zhdanov (2019), "Diverse mini-batch active learning", arXiv 1901.05954.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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


def choose_for_labelling(
    candidates: Sequence[Candidate], limit: int, labelled: Sequence[str] = ()
) -> list[Candidate]:
    """Up to `limit` texts, the most useful first: the least sure ones, each unlike those before it.

    labelled: ids that have a label already; they are not chosen again. Equal texts are chosen once. Without
    embeddings the order is by uncertainty alone. The same candidates give the same choice.
    """
    known = set(labelled)
    open_ones = list(
        {
            candidate.text or candidate.id: candidate for candidate in candidates if candidate.id not in known
        }.values()
    )
    if not open_ones or limit < 1:
        return []
    doubts = np.array([_LONELY + 1.0 - min(max(candidate.confidence, 0.0), 1.0) for candidate in open_ones])
    vectors = _vectors(open_ones)
    gaps = np.ones(len(open_ones))
    chosen: list[Candidate] = []
    for _ in range(min(limit, len(open_ones))):
        best = int(np.argmax(doubts * gaps))
        chosen.append(open_ones[best])
        if vectors is not None:
            gaps = np.minimum(gaps, np.maximum(1.0 - vectors @ vectors[best], 1e-6))
        gaps[best] = -1.0
    return chosen


@dataclass(slots=True)
class RetrainState:
    """Labels that came in since the release that serves: how many of each."""

    labels: Counter[str] = field(default_factory=Counter)

    def add(self, label: str) -> None:
        """Count one more."""
        self.labels[label] += 1

    @property
    def total(self) -> int:
        """All labels together."""
        return sum(self.labels.values())


@dataclass(frozen=True, slots=True)
class RetrainPolicy:
    """When to ask for a better model.

    after_episode: labels that are enough once drift was found. without_episode: labels that are enough by
    themselves. per_label: how often a label must have come to count as learnable; after an episode, at least
    one must have.
    """

    after_episode: int = 40
    without_episode: int = 500
    per_label: int = 8

    def is_due(self, state: RetrainState, *, has_episode: bool) -> bool:
        """Whether the labels so far are enough."""
        if state.total >= self.without_episode:
            return True
        learnable = any(count >= self.per_label for count in state.labels.values())
        return has_episode and learnable and state.total >= self.after_episode

    def missing(self, state: RetrainState, *, has_episode: bool) -> Mapping[str, int]:
        """What is still wanted, for people to see: `labels` in all, `of_one_label` of the most frequent
        one."""
        wanted = self.after_episode if has_episode else self.without_episode
        most = max(state.labels.values(), default=0)
        return {
            "labels": max(wanted - state.total, 0),
            "of_one_label": max(self.per_label - most, 0) if has_episode else 0,
        }


def _vectors(candidates: Sequence[Candidate]) -> NDArray[np.float32] | None:
    """Unit vectors of all candidates; zero where one has none; None where no one has any."""
    size = next((candidate.embedding.size for candidate in candidates if candidate.embedding is not None), 0)
    if not size:
        return None
    zero = np.zeros(size, np.float32)
    return np.stack(
        [zero if candidate.embedding is None else candidate.embedding for candidate in candidates]
    )
