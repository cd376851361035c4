"""The texts of one head, the corpus's and those that people labelled, with what they are like."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.random_projection import SparseRandomProjection

from models.heads import Floats
from models.ngrams import find_ngrams, share_without_spaces
from retrain.data import Row
from retrain.feedback.evidence import Evidence, cross_fitted
from retrain.feedback.opinions import TextLabel
from retrain.fitting.vocabulary import build_vocabulary
from retrain.text_keys import text_key

Embed = Callable[[Sequence[str]], Floats]
NGRAM_DIMENSIONS: Final = 512


@dataclass(frozen=True, slots=True)
class TextTable:
    """Rows of the corpus first, then a row for each text that people labelled.

    groups: rows that are judged together. labels: of every row, the corpus's own or what people say. features: (rows,
    any). corpus: (rows,), which are the corpus's. rows: key of a labelled text to its row.
    """

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    features: Floats
    corpus: NDArray[np.bool_]
    rows: Mapping[str, int]

    @classmethod
    def of(
        cls,
        head: str,
        corpus: Sequence[Row],
        labelled: Sequence[TextLabel],
        firsts: Mapping[str, str],
        embed: Embed,
        oos_label: str | None,
    ) -> Self:
        """firsts: of `copied_texts`; near copies are judged together, or they would vouch for each other. oos_label:
        texts that have it are left out: they are like nothing."""
        known = [row for row in corpus if row.labels[head] != oos_label]
        judged = [one for one in labelled if one.label != oos_label]
        texts = (*(row.text for row in known), *(one.text for one in judged))
        return cls(
            texts,
            (*(row.group for row in known), *(f"copies of {firsts[one.key]}" for one in judged)),
            (*(row.labels[head] for row in known), *(one.label for one in judged)),
            _features(texts, embed),
            np.arange(len(texts)) < len(known),
            {one.key: len(known) + place for place, one in enumerate(judged)},
        )

    def by_corpus(self, seed: int) -> Evidence | None:
        """What the corpus alone says of every row."""
        return self._evidence(self.corpus, seed)

    def by_all(self, labelled: Iterable[TextLabel], seed: int) -> Evidence | None:
        """What the corpus and these labels say; where people labelled a text of the corpus, theirs takes its place."""
        keys = {one.key for one in labelled if one.key in self.rows}
        fitted = self.corpus.copy()
        for row in np.flatnonzero(self.corpus).tolist():
            fitted[row] = text_key(self.texts[row]) not in keys
        fitted[[self.rows[key] for key in keys]] = True
        return self._evidence(fitted, seed)

    def _evidence(self, fitted: NDArray[np.bool_], seed: int) -> Evidence | None:
        return cross_fitted(self.texts, self.groups, self.features, self.labels, self.corpus, fitted=fitted, seed=seed)


def _features(texts: Sequence[str], embed: Embed) -> Floats:
    """Embeddings beside n-grams: an encoder cannot read every script. The n-grams are projected to a few hundred
    dimensions, which keeps the products between texts and makes a fit many times as fast.

    Source: Achlioptas, Database-friendly random projections (2003).
    """
    counts = find_ngrams(list(texts)).counted()
    without_spaces = share_without_spaces(texts) > 0.5
    vocabulary = build_vocabulary(counts, np.arange(len(texts)), 1, without_spaces=without_spaces)
    ngrams = vocabulary.weigh(counts)
    if ngrams.shape[1] > NGRAM_DIMENSIONS:
        ngrams = SparseRandomProjection(NGRAM_DIMENSIONS, random_state=0).fit_transform(ngrams)
    dense = ngrams.toarray() if sparse.issparse(ngrams) else ngrams
    return np.concatenate([embed(texts), np.asarray(dense, dtype=np.float32)], axis=1)
