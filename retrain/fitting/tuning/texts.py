"""What a fine-tuning starts from and learns: an encoder's files, and texts with labels as numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.heads import Floats
from retrain.fitting.spans import Spans

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
    """labels: by head, the primary one first: (texts,), numbers from 0; -1 where the head has no label for a text.

    soft: by head, what a teacher answers that does not know the text: (texts, labels), probabilities at the plan's
    `distillation_temperature`; a row of zeros where it answers nothing. Heads without a teacher are not in it.

    spans: in characters; None where none are learnt. Beside them there need not be any head.
    """

    texts: Sequence[str]
    labels: Mapping[str, NDArray[np.int64]]
    soft: Mapping[str, Floats] = field(default_factory=dict)
    spans: Spans | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def label_count(self, head: str, other: "LabelledTexts") -> int:
        """How many labels of a head these texts and others have."""
        return int(max(self.labels[head].max(), other.labels[head].max())) + 1

    def span_label_count(self, other: "LabelledTexts") -> int:
        """How many labels the spans of these texts and others have; 0 where either has none."""
        if self.spans is None or other.spans is None:
            return 0
        return int(max(self.spans.labels.max(), other.spans.labels.max())) + 1

    def and_more(self, other: "LabelledTexts") -> "LabelledTexts":
        """With texts behind these that have spans, and no label of any head."""
        assert other.spans is not None
        texts, more = len(self), len(other)
        labels = {head: np.pad(values, (0, more), constant_values=NO_LABEL) for head, values in self.labels.items()}
        soft = {head: np.pad(values, ((0, more), (0, 0))) for head, values in self.soft.items()}
        behind = replace(other.spans, text=other.spans.text + texts)
        spans = behind if self.spans is None else self.spans.and_more(behind)
        return LabelledTexts([*self.texts, *other.texts], labels, soft, spans)

    def of(self, rows: NDArray[np.int64]) -> "LabelledTexts":
        """Some of the texts. rows: their numbers."""
        return LabelledTexts(
            [self.texts[row] for row in rows],
            {head: values[rows] for head, values in self.labels.items()},
            {head: values[rows] for head, values in self.soft.items()},
            None if self.spans is None else self.spans.of(rows),
        )


@dataclass(frozen=True, slots=True)
class TextsBeside:
    """Texts without a label of any head. outside: known to be out of scope. unlabelled: of the live stream, say."""

    outside: Sequence[str] = ()
    unlabelled: Sequence[str] = ()


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
