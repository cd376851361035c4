"""A static table out of the encoder: a row for each word and pair of words, whose sum over a text stands for what the
encoder makes of the text.

Each word and pair that the n-grams know goes through the encoder by itself (with tokens that is Tulkens and van
Dongen's model2vec, 2024). Ridge regression then moves the rows until the weighted sum of a text's is nearest to the
text's embedding (Hoerl and Kennard, 1970). No label is looked at. The sum is linear, so a linear head over it is one
over the words: it is folded into the n-grams' weights, and costs nothing where texts are decided.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats
from models.ngrams import NgramVocabulary, Occurrences, locate_ngrams, normalise
from retrain.crossfit import FOLDS, Ints, in_parallel
from retrain.fitting.linear import LinearWeights

MAX_WORDS: Final = 16_000  # bounds what is read (6 s on a core) and the memory of a fit
PENALTY: Final = 1.0  # of a row's distance from the word alone; a text's words have length 1
_STEPS: Final = 10  # of conjugate gradients: more fit what one text says


@dataclass(frozen=True, slots=True)
class Teacher:
    """What the encoder says. texts: all that are not tested. embeddings: theirs, (texts, dimensions). embed: of any
    other texts, the same."""

    texts: Sequence[str]
    embeddings: Floats
    embed: Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, slots=True)
class TableFit:
    """What a table is fitted to. columns: (words,), where they stand among the n-grams. words: (texts, words), their
    weights. alone: (words, dimensions), each word by itself. residuals: (texts, dimensions), what that leaves of the
    embeddings."""

    columns: Ints
    words: sparse.csr_array
    alone: Floats
    residuals: Floats

    @classmethod
    def of(cls, columns: Ints, words: sparse.csr_array, alone: Floats, embeddings: Floats, training: Ints) -> Self:
        """alone: as the encoder gives it. embeddings: (texts, dimensions). training: numbers of the texts that both are
        centred and scaled by."""
        alone = alone - alone.mean(axis=0)
        wanted = embeddings - embeddings[training].mean(axis=0)
        read = np.asarray(words @ alone)
        there = float(np.square(read[training]).sum())
        # the multiple of the words alone that is nearest to the embeddings
        scale = np.float32((read[training] * wanted[training]).sum() / there if there else 0.0)
        return cls(columns, words, alone * scale, wanted - read * scale)

    def fit(self, rows: Ints) -> Floats:
        """The table of these texts, (words, dimensions), by conjugate gradients (Hestenes and Stiefel, 1952). A word
        that stands in none of them keeps the row of the word alone."""
        texts = self.words[rows]
        transposed = sparse.csr_array(texts.T)
        moved = np.zeros_like(self.alone)
        left = np.asarray(transposed @ self.residuals[rows])
        direction, size = left.copy(), np.square(left).sum(axis=0)
        for _ in range(_STEPS):
            seen = np.asarray(transposed @ np.asarray(texts @ direction)) + np.float32(PENALTY) * direction
            step = size / np.maximum((direction * seen).sum(axis=0), np.float32(1e-12))
            moved += step * direction
            left -= step * seen
            before, size = size, np.square(left).sum(axis=0)
            direction = left + size / np.maximum(before, np.float32(1e-12)) * direction
        return self.alone + moved

    def read(self, table: Floats, rows: Ints) -> Floats:
        """What the table makes of some of the texts, (rows, dimensions)."""
        return np.asarray(self.words[rows] @ table)


@dataclass(frozen=True, slots=True)
class HeadTable:
    """What one head reads beside the n-grams. rows: (words, dimensions), of all its training texts.

    texts: (texts, dimensions), sums of a root mean square length of 1; a training text's by a table of the other folds,
    as a table knows its own texts better than it will know those to come. size: what the sums were divided by.
    """

    fit: TableFit
    rows: Floats
    texts: Floats
    size: np.float32

    @classmethod
    def of(cls, fit: TableFit, training: Ints, folds: Ints, progress: Callable[[int, int], None]) -> Self:
        """training: numbers of the head's training texts. folds: of each of them. progress: tables done, of how
        many."""
        texts: Floats = np.zeros((fit.words.shape[0], fit.alone.shape[1]), dtype=np.float32)

        def read_fold(fold: int) -> None:
            texts[training[folds == fold]] = fit.read(fit.fit(training[folds != fold]), training[folds == fold])

        in_parallel(read_fold, range(FOLDS), lambda done: progress(done, FOLDS + 1))
        rows = fit.fit(training)
        others = np.setdiff1d(np.arange(len(texts)), training)
        texts[others] = fit.read(rows, others)
        progress(FOLDS + 1, FOLDS + 1)
        size = np.float32(np.sqrt(np.square(texts[training]).sum(axis=1).mean()) or 1.0)
        return cls(fit, rows, texts / size, size)

    def read_as_new(self, rows: Ints, training: Ints) -> Floats:
        """Some texts by a table of others, (rows, dimensions)."""
        return self.fit.read(self.fit.fit(training), rows) / self.size

    def folded(self, weights: LinearWeights) -> LinearWeights:
        """The same logits without the table: what it adds is in the weights of its words."""
        ngrams = weights.ngrams.copy()
        ngrams[self.fit.columns] += (self.rows / self.size) @ weights.dense
        return LinearWeights(weights.dense[:0], ngrams, weights.bias)


def most_frequent_words(vocabulary: NgramVocabulary) -> Ints:
    """Columns of the words and pairs that a table has rows of, rising."""
    rarest_last = np.argsort(vocabulary.idf[: vocabulary.words], kind="stable")
    return np.sort(rarest_last[:MAX_WORDS])


def spell_out(found: Occurrences, training: Ints, texts: Sequence[str], buckets: NDArray[np.int32]) -> list[str]:
    """The word or pair that each bucket stands for: the first in the training texts that fell into it.

    found: of all texts. training: numbers of texts, rising. buckets: each stands in one of those.
    """
    inside = found.of(training)
    known, first = np.unique(inside.buckets, return_index=True)
    places = first[np.searchsorted(known, buckets)]
    text_of = np.searchsorted(inside.starts, places, side="right") - 1
    spelled = [""] * len(buckets)
    order = np.argsort(text_of, kind="stable")
    for numbers in np.split(order, np.flatnonzero(np.diff(text_of[order])) + 1):
        if not len(numbers):
            continue
        at = text_of[numbers[0]]
        text = texts[training[at]]
        located, normal = locate_ngrams(text), normalise(text)
        for number in numbers.tolist():
            place = places[number] - inside.starts[at]
            spelled[number] = normal[located.begins[place] : located.ends[place]]
    return spelled
