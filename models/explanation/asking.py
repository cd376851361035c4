"""What is explained: one head's answer on the path that decided the text, and how it answers without some words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.decision import Path
from models.heads import Floats
from models.ngrams import find_ngrams

Doubles = NDArray[np.float64]


@dataclass
class Answers:
    """One head of a release on one of its paths.

    head: its name. path: `fast` asks the n-gram heads alone, whether they are sure or not; `full` the encoder's.
    remembers: whether every different text is asked about once. asked: how many texts were so far.
    """

    classifier: Classifier
    head: str
    path: Path
    remembers: bool = True
    asked: int = 0
    _known: dict[str, Floats] = field(default_factory=dict, repr=False)

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of the columns."""
        return self.classifier.heads[self.head].labels

    def logits(self, texts: Sequence[str]) -> Doubles:
        """Calibrated: divided by the head's temperature. float64 (texts, labels). A text's row depends on that text
        only. Raises ModelError."""
        if not self.remembers:
            self.asked += len(texts)
            return self._computed(texts).astype(np.float64)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._computed(new), strict=True))
            self.asked += len(new)
        rows = [self._known[text] for text in texts]
        return np.array(rows, dtype=np.float64).reshape(len(texts), len(self.labels))

    def probabilities(self, texts: Sequence[str]) -> Doubles:
        """Calibrated, float64 (texts, labels)."""
        logits = self.logits(texts)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities: Doubles = exponentials / exponentials.sum(axis=1, keepdims=True)
        return probabilities

    def best(self, probabilities: Doubles) -> int:
        """The column that is decided, of a row of `probabilities`."""
        return int(probabilities.argmax())

    def _computed(self, texts: Sequence[str]) -> Floats:
        if self.path == "fast":
            return self._fast(texts)
        prepared = self.classifier.tokenize(texts, fast=False)
        head = self.classifier.heads[self.head]
        logits: Floats = head.logits(self.classifier.embed(prepared), prepared.ngrams) / np.float32(head.temperature)
        return logits

    def _fast(self, texts: Sequence[str]) -> Floats:
        fast_path = self.classifier.fast_path
        if fast_path is None:
            raise ValueError("a release without a fast path has no fast answers")
        columns, temperature = fast_columns(self.classifier, self.head)
        found = find_ngrams(self.classifier.as_read(texts))
        logits: Floats = fast_path.logits(found)[:, columns] / np.float32(temperature)
        return logits


def fast_columns(classifier: Classifier, head: str) -> tuple[slice, float]:
    """Where a head's labels stand in the fast path's logits, and its temperature there. Raises KeyError."""
    start = 0
    for fast in classifier.fast_path.heads if classifier.fast_path is not None else ():
        if fast.name == head:
            return slice(start, start + len(fast.labels)), fast.temperature
        start += len(fast.labels)
    raise KeyError(head)


@dataclass(frozen=True, slots=True)
class Question:
    """What an effect is measured by. column: the label that is explained. rival: the one that it is held against; None:
    all others together."""

    column: int
    rival: int | None = None

    def support(self, logits: Doubles) -> Doubles:
        """How much speaks for the label, (texts,): its log-odds against all others together, or its lead over the
        rival. Natural logarithm, calibrated. logits: of `Answers.logits`."""
        own = logits[:, self.column]
        if self.rival is not None:
            lead: Doubles = own - logits[:, self.rival]
            return lead
        others = np.delete(logits, self.column, axis=1)
        highest = others.max(axis=1)
        odds: Doubles = own - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))
        return odds
