"""Choosing the n-grams that a release looks at: enough to decide, few enough that a release stays a few MB.

The most frequent ones are kept. Choosing by chi-squared with the label was no better on four data sets (0.2 points
worse on tfn_topic), and it would let the labels of held-out folds into what the folds are trained on.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats
from models.ngrams import WORD_BUCKETS, NgramVocabulary

MAX_WEIGHTS: Final = 1_300_000  # of all heads together, 2 bytes each: 2.6 MB
MAX_NGRAMS: Final = 60_000
WORD_SHARE: Final = 0.6  # of the kept n-grams, where there are too many of both kinds
MIN_TEXTS: Final = 2  # an n-gram of a single text teaches its label by heart; with few texts there is no choice
FEW_TEXTS: Final = 1000


def build_vocabulary(
    counts: sparse.csr_array,
    rows: NDArray[np.int64],
    labels: int,
    *,
    max_weights: int = MAX_WEIGHTS,
    max_ngrams: int = MAX_NGRAMS,
    word_share: float = WORD_SHARE,
    min_texts: int = MIN_TEXTS,
    without_spaces: bool = False,
) -> NgramVocabulary:
    """Keep the n-grams that stand in most of the training texts.

    counts: (texts, buckets) of `hash_ngrams`. rows: those that train. labels: of all heads together. word_share: of
    what is kept, where there are too many of both kinds. min_texts: that an n-gram stands in, where texts are many.
    without_spaces: the texts' script has none: their runs of characters are all there is to read, so that rare ones are
    kept too, and unknown ones, which every new text has many of, do not make the known ones count less.
    """
    frequency = np.bincount(counts[rows].indices, minlength=counts.shape[1])
    keep_rare = without_spaces or len(rows) < FEW_TEXTS
    candidates = np.flatnonzero(frequency >= (1 if keep_rare else min_texts))
    words, characters = candidates[candidates < WORD_BUCKETS], candidates[candidates >= WORD_BUCKETS]
    limit = min(max_ngrams, max(max_weights // labels, 1000))
    word_limit = max(int(limit * word_share), limit - len(characters))
    words = _most_frequent(words, frequency, word_limit)
    kept = np.concatenate([words, _most_frequent(characters, frequency, limit - len(words))])
    idf = np.log((1 + len(rows)) / (1 + frequency[kept])) + 1
    unseen_idf = 0.0 if without_spaces else float(np.log(1 + len(rows)) + 1)
    return NgramVocabulary(kept.astype(np.int32), idf.astype(np.float32), unseen_idf)


def drop_unused_kind(vocabulary: NgramVocabulary, weights: list[Floats]) -> tuple[NgramVocabulary, list[Floats]]:
    """Without words, or without characters, where no head gives that kind any weight. weights: (kept n-grams, labels)
    of every head, behind which those of what is composed may stand, which stay. The texts' weights of the other kind
    stay as they are, as each kind is scaled by itself."""
    used = np.zeros(len(vocabulary), dtype=bool)
    for kind in (slice(0, vocabulary.words), slice(vocabulary.words, len(vocabulary))):
        used[kind] = any(bool(weight[kind].any()) for weight in weights)
    smaller = NgramVocabulary(vocabulary.buckets[used], vocabulary.idf[used], vocabulary.unseen_idf)
    composed = max((len(weight) for weight in weights), default=0) - len(vocabulary)
    kept = np.concatenate([used, np.ones(composed, dtype=bool)])
    return smaller, [np.ascontiguousarray(weight[kept]) for weight in weights]


def _most_frequent(buckets: NDArray[np.int64], frequency: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    order = np.argsort(-frequency[buckets], kind="stable")
    return np.sort(buckets[order[:limit]])
