"""The fast path: linear heads over n-grams alone, which decide the texts that they are sure about without the encoder.

Weights are those of a text's n-grams as they occur, repeats and all: idf of each, words and characters scaled to unit
length. Nothing is sorted or counted for it, and one sparse product gives the logits of all heads. A row depends on its
own text only, to the last bit: every sum over a text's n-grams runs in the order in which they stand in the text.

Source: the first stage of a cascade, Viola and Jones, Rapid Object Detection using a Boosted Cascade (2001); leaving
early where a calibrated probability is high, Schwartz et al., The Right Tool for the Job (2020).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from scipy import sparse

from models.decision import HeadDecision
from models.errors import ReleaseCorrupt
from models.heads import Floats, label_probabilities
from models.ngrams import BUCKETS, WORD_BUCKETS, NgramVocabulary, Occurrences

MIN_KNOWN_NGRAMS: Final = 8  # different ones of a text that may be decided; "hello" has 13, "ok" 4
MIN_KNOWN_CHARACTERS: Final = 4  # of them runs of characters: signs have none
_SHORT_NGRAMS: Final = 40  # about two dozen characters
_NGRAMS_OF_A_WORD: Final = 20
MAX_NGRAMS: Final = 65_535  # the table of their places has 16 bits each: half the memory, and more of it in the cache


@dataclass(frozen=True, slots=True)
class FastHead:
    """What turns one head's logits into a decision.

    temperature: of the calibration. threshold: in [0, 1]; at this probability or above it the head is sure.
    """

    name: str
    labels: tuple[str, ...]
    temperature: float
    threshold: float


@dataclass(frozen=True, slots=True)
class FastDecisions:
    """What the fast path makes of some texts. sure: (texts,), whether every head is sure.

    columns: number of the most probable label, int64 (texts,), by head. probabilities: float32 (texts,), of it, by
    head. distributions: float32 (texts, labels), of all labels, by head.
    """

    sure: NDArray[np.bool_]
    columns: tuple[NDArray[np.int64], ...]
    probabilities: tuple[Floats, ...]
    distributions: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class FastPath:
    """One n-gram head for each head of the release, in its order.

    vocabulary: the fast path's own, of at most MAX_NGRAMS. weights: (kept n-grams, labels of all heads side by side).
    bias: (labels of all heads,). measured: what coverage and accuracy were promised on (JSON), for the manifest.
    """

    vocabulary: NgramVocabulary
    weights: Floats
    bias: Floats
    heads: tuple[FastHead, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)
    _places: NDArray[np.uint16] = field(init=False, repr=False, compare=False)
    _idf: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError when the parts do not fit together."""
        labels = sum(len(head.labels) for head in self.heads)
        if self.weights.shape != (len(self.vocabulary), labels) or self.bias.shape != (labels,):
            raise ValueError(
                f"weights of shape {self.weights.shape} for {len(self.vocabulary)} n-grams and {labels} labels"
            )
        if len(self.vocabulary) > MAX_NGRAMS:
            raise ValueError(f"{len(self.vocabulary)} n-grams, at most {MAX_NGRAMS} are possible")
        places = np.full(BUCKETS, len(self.vocabulary), dtype=np.uint16)
        places[self.vocabulary.buckets] = np.arange(len(self.vocabulary), dtype=np.uint16)
        object.__setattr__(self, "_places", places)
        idf = np.append(self.vocabulary.idf, np.float32(self.vocabulary.unseen_idf)).astype(np.float32)
        object.__setattr__(self, "_idf", idf)

    def weigh(self, occurrences: Occurrences) -> sparse.csr_array:
        """The weights of the kept n-grams of every text: (texts, kept n-grams), float32, one entry for each
        occurrence."""
        return weigh_occurrences(occurrences, self._places, self._idf)

    def logits(self, occurrences: Occurrences) -> Floats:
        """Unnormalised, uncalibrated, all heads side by side: (texts, labels of all heads)."""
        logits: Floats = np.asarray(self.weigh(occurrences) @ self.weights) + self.bias
        return logits

    def probabilities(self, occurrences: Occurrences) -> list[Floats]:
        """Calibrated, (texts, labels), of every head."""
        logits = self.logits(occurrences)
        return [label_probabilities(logits[:, columns], head.temperature) for head, columns in self._columns()]

    def decide(self, occurrences: Occurrences, *, threshold_increase: float = 0.0) -> FastDecisions:
        """Labels and whether all heads are sure. raised_by: above the thresholds, at or above 0; from 1 on none is
        sure."""
        sure = np.full(len(occurrences), threshold_increase < 1)
        columns, highest = [], []
        distributions = self.probabilities(occurrences)
        for head, probabilities in zip(self.heads, distributions, strict=True):
            columns.append(probabilities.argmax(axis=1))
            highest.append(probabilities.max(axis=1, initial=0.0))
            sure &= highest[-1] >= head.threshold + threshold_increase
        sure[np.flatnonzero(sure)] = is_readable(
            occurrences.of(np.flatnonzero(sure)), self._places, len(self.vocabulary)
        )
        return FastDecisions(sure, tuple(columns), tuple(highest), tuple(distributions))

    def answers(self, decided: FastDecisions, texts: Sequence[int]) -> list[dict[str, HeadDecision]]:
        """The heads' decisions on some of the texts. They have no out-of-scope score: nobody looked for one."""
        by_head = []
        for head, columns, probabilities in zip(self.heads, decided.columns, decided.probabilities, strict=True):
            labels, given = head.labels, zip(columns[texts].tolist(), probabilities[texts].tolist(), strict=True)
            by_head.append([HeadDecision(labels[column], probability) for column, probability in given])
        names = [head.name for head in self.heads]
        return [dict(zip(names, row, strict=True)) for row in zip(*by_head, strict=True)]

    def rounded(self) -> Self:
        """The fast path as it comes back from `to_bytes`: weights in float16."""
        return type(self).from_parts(self.describe(), self.to_bytes())

    def to_bytes(self) -> bytes:
        """Vocabulary and weights as safetensors; the rest is in `describe`."""
        return save(
            {
                "buckets": self.vocabulary.buckets,
                "idf": self.vocabulary.idf,
                "unseen_idf": np.array([self.vocabulary.unseen_idf], dtype=np.float32),
                "weights": np.ascontiguousarray(self.weights.astype(np.float16)),
                "bias": np.ascontiguousarray(self.bias, dtype=np.float32),
            }
        )

    def describe(self) -> dict[str, Any]:
        """Everything but vocabulary and weights, for the manifest."""
        heads = [
            {
                "name": head.name,
                "labels": list(head.labels),
                "temperature": head.temperature,
                "threshold": head.threshold,
            }
            for head in self.heads
        ]
        return {"heads": heads, "measured": dict(self.measured)}

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], content: bytes) -> Self:
        """The reverse of `describe` and `to_bytes`. Raises ReleaseCorrupt when they do not fit together."""
        try:
            tensors = load(content)
            heads = [
                FastHead(head["name"], tuple(head["labels"]), float(head["temperature"]), float(head["threshold"]))
                for head in description["heads"]
            ]
            return cls(
                NgramVocabulary(tensors["buckets"], tensors["idf"], float(tensors["unseen_idf"][0])),
                np.ascontiguousarray(tensors["weights"], dtype=np.float32),
                tensors["bias"],
                tuple(heads),
                description.get("measured", {}),
            )
        except Exception as error:  # the parts come from outside: a release made elsewhere or altered
            raise ReleaseCorrupt(f"the fast path cannot be read ({error!r}); publish the release again") from error

    def _columns(self) -> Iterator[tuple[FastHead, slice]]:
        start = 0
        for head in self.heads:
            yield head, slice(start, start + len(head.labels))
            start += len(head.labels)


def is_readable(occurrences: Occurrences, places: NDArray[np.uint16], columns: int) -> NDArray[np.bool_]:
    """Whether n-grams say enough about each text to decide it: bool (texts,), each by its own text only.

    A text of signs only, of one or two short words or unknown ones, or of the same few words again and again is far
    from all that the weights were fitted on, whatever their sum: `?` and `no no no no` had a probability of 0.9.
    places, columns: as for `weigh_occurrences`.
    """
    buckets, starts = occurrences.buckets, occurrences.starts
    sizes = np.diff(starts)
    readable = sizes > 0
    there = np.flatnonzero(readable)
    first = np.repeat(buckets[starts[there]], sizes[there])
    again = np.add.reduceat((buckets == first).astype(np.int64), starts[there]) if there.size else first
    # Counting distinct n-grams wants them sorted: only short texts, and those that come back to their first word.
    looked_at = there[(sizes[there] < _SHORT_NGRAMS) | ((again >= 3) & (again * _NGRAMS_OF_A_WORD >= sizes[there]))]
    for text in looked_at.tolist():
        distinct = np.unique(buckets[starts[text] : starts[text + 1]])
        known = distinct[places[distinct] < columns]
        readable[text] = (
            len(known) >= MIN_KNOWN_NGRAMS
            and int((known >= WORD_BUCKETS).sum()) >= MIN_KNOWN_CHARACTERS
            and 2 * len(distinct) >= sizes[text]
        )
    return readable


def weigh_occurrences(occurrences: Occurrences, places: NDArray[np.uint16], idf: Floats) -> sparse.csr_array:
    """Weights of the n-grams as they occur: idf, for each text its words to unit length and its characters to unit
    length.

    places: (BUCKETS,), column of each bucket; of n-grams outside the vocabulary, the number of columns. idf: (columns +
    1,), the last of those outside: they have no column, but make the known ones count less. Returns (texts, columns),
    float32.
    """
    texts, columns = len(occurrences), len(idf) - 1
    at = places[occurrences.buckets]
    weights = idf[at]
    rows = np.repeat(np.arange(texts), np.diff(occurrences.starts))
    blocks = 2 * rows + (occurrences.buckets >= WORD_BUCKETS)
    lengths = np.sqrt(np.bincount(blocks, weights=weights * weights, minlength=2 * texts))
    known = np.flatnonzero(at < columns)
    # An empty block has length 0, and nothing to divide by it.
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0).astype(np.float32)
    data = weights[known] * scale[blocks[known]]
    starts = np.searchsorted(known, occurrences.starts)
    return sparse.csr_array((data, at[known].astype(np.int32), starts.astype(np.int32)), shape=(texts, columns))
