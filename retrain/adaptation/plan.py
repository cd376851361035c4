"""How an encoder is adapted, and what an adaptation came to: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEAST_TEXTS: Final = 100  # different ones; with fewer, too few are held out to tell better from chance
HELD_OUT_SHARE: Final = 0.1
HELD_OUT_TEXTS: Final = 512  # at most


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How to adapt. steps: 0: by epochs. learning_rate: the highest; it rises over `warm_up` of the steps, then falls
    to 0. evaluations: how often the texts held out are asked, spread evenly over the steps. max_tokens: of a text that
    are read. half: matrix products in bfloat16 where the processor has instructions for it.

    By a teacher: relations: weight of how alike the texts of a batch are, beside each text's own embedding.
    Without one: dropout: of the two passes over each text; temperature: of the contrast with the batch's others.
    """

    epochs: int = 5
    steps: int = 0
    learning_rate: float = 2e-4
    batch_texts: int = 32
    weight_decay: float = 0.01
    warm_up: float = 0.06
    evaluations: int = 10
    clip: float = 1.0
    max_tokens: int = 128
    half: bool = True
    relations: float = 1.0
    dropout: float = 0.1
    temperature: float = 0.05

    def total_steps(self, texts: int) -> int:
        """For so many texts that are learnt."""
        return self.steps or max(1, self.epochs * -(-texts // self.batch_texts))


BY_TEACHER: Final = Adaptation()
# Without a teacher little is to be learnt and much to be lost: slower, shorter, more texts to be told apart from.
BY_ITSELF: Final = Adaptation(epochs=1, learning_rate=3e-5, batch_texts=64)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of the texts held out. loss: mean of what was minimised. cosine: mean, to the teacher; without one to the encoder
    as it was. neighbours_kept: mean share of a text's ten nearest others that are so in that space as well."""

    loss: float
    cosine: float
    neighbours_kept: float

    def as_json(self) -> dict[str, float]:
        """Rounded for people."""
        return {
            "loss": round(self.loss, 5),
            "cosine": round(self.cosine, 4),
            "neighbours_kept": round(self.neighbours_kept, 4),
        }


@dataclass(frozen=True, slots=True)
class Adapted:
    """weights, config: of the best evaluation, for `build_encoder_graph`; with a dense layer where a map to the
    teacher's space was learnt. before: as it started, the map fitted. losses: on the texts held out by evaluation, the
    first of before. best: which of them is kept, 0: the start. is_better: whether the loss of the texts held out fell
    by more than one standard error of the difference."""

    weights: dict[str, NDArray[np.float32]]
    config: Mapping[str, Any]
    before: Figures
    after: Figures
    losses: tuple[float, ...]
    best: int
    steps: int
    is_better: bool


def neighbours_kept(first: NDArray[np.float32], second: NDArray[np.float32], count: int = 10) -> float:
    """Mean share of a text's `count` nearest other texts in the first space that are so in the second one as well.

    first, second: embeddings of the same texts, unit length; they may have different numbers of dimensions.
    """
    count = min(count, len(first) - 1)
    nearest = []
    for space in (first, second):
        alike = space @ space.T
        np.fill_diagonal(alike, -np.inf)
        nearest.append(np.argsort(-alike, axis=1, kind="stable")[:, :count])
    shared = [len(set(one) & set(other)) for one, other in zip(*(each.tolist() for each in nearest), strict=True)]
    return float(np.mean(shared) / count)
