"""What a fine-tuning starts from and learns: an encoder's files, and texts with labels as numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]
Ids = Sequence[NDArray[np.int32]]

NO_LABEL: Final = -1


@dataclass(frozen=True, slots=True)
class Pretrained:
    """Where to start. weights: by name, as the file has them. config: its config.json, with its pooling."""

    weights: Weights
    config: Mapping[str, Any]
    tokenizer_json: str


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """labels: by head, the primary one first: (texts,), numbers from 0; -1 where the head has no label for a text."""

    texts: Sequence[str]
    labels: Mapping[str, NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.texts)


def shuffled_batches(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Batches of texts of like length: shuffled first, sorted by length in windows of 50 batches, shuffled again."""
    order = rng.permutation(len(lengths))
    window = size * 50
    parts = [order[start : start + window] for start in range(0, len(order), window)]
    ordered = np.concatenate([part[np.argsort(np.array(lengths)[part], kind="stable")] for part in parts])
    batches = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def batches_by_length(ids: Ids, size: int) -> Iterator[list[int]]:
    """All texts, shortest first, so that little is padded."""
    order = sorted(range(len(ids)), key=lambda row: len(ids[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
