"""Texts made of training texts by augmentation, as features: each trains where its own text trains, and nowhere else.

They are no texts of a data set: no fold holds them, nothing is chosen, calibrated or judged on them, and no reference
is made of them. So a text that is judged is never seen by way of its copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats
from models.ngrams import NgramVocabulary
from models.polarity.view import beside

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Copies:
    """of: (copies,), the number of the text that each is made of; -1 of sentences that are made of none, which train
    those tasks only that have labels for them (`Task.taught`). embeddings: (copies, dimensions). ngrams: (copies,
    kept n-grams), weighted."""

    of: Ints
    embeddings: Floats
    ngrams: sparse.csr_array

    def made_of(self, rows: Ints) -> Ints:
        """The numbers of the copies that are made of these texts."""
        numbers: Ints = np.flatnonzero(np.isin(self.of, rows))
        return numbers

    @property
    def of_none(self) -> Ints:
        """The numbers of those that are made of no text."""
        numbers: Ints = np.flatnonzero(self.of < 0)
        return numbers


@dataclass(frozen=True, slots=True)
class CountedCopies:
    """Before it is known which n-grams count. of, embeddings: see `Copies`. counts: (copies, buckets) of
    `hash_ngrams`. composed: (copies, features) of `models.polarity`; None where nothing is composed."""

    of: Ints
    embeddings: Floats
    counts: sparse.csr_array
    composed: sparse.csr_array | None = None

    @classmethod
    def joined(cls, parts: Sequence["CountedCopies"]) -> Self | None:
        """All parts' copies; None where there are none."""
        parts = [part for part in parts if len(part.of)]
        if not parts:
            return None
        return cls(
            np.concatenate([part.of for part in parts]),
            np.concatenate([part.embeddings for part in parts]),
            sparse.csr_array(sparse.vstack([part.counts for part in parts])),
            _stacked([part.composed for part in parts]),
        )

    def with_their_texts(self, counts: sparse.csr_array) -> sparse.csr_array:
        """The n-grams of each text or of a copy of it: a word that copies bring counts once for each text that it was
        put into. counts: (texts, buckets). Returns the same shape."""
        made = np.flatnonzero(self.of >= 0)
        whose = sparse.csr_array(
            (np.ones(len(made), np.float32), (self.of[made], made)),
            shape=(counts.shape[0], len(self.of)),
        )
        return sparse.csr_array(counts + whose @ self.counts)

    def weighted(self, vocabulary: NgramVocabulary) -> Copies:
        """With the n-grams that a release looks at."""
        return Copies(self.of, self.embeddings, beside(vocabulary.weigh(self.counts), self.composed))


def _stacked(parts: Sequence[sparse.csr_array | None]) -> sparse.csr_array | None:
    """One below the other, where something is composed of all of them."""
    known = [part for part in parts if part is not None]
    return sparse.csr_array(sparse.vstack(known)) if len(known) == len(parts) else None
