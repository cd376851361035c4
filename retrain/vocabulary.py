"""Choosing the n-grams that a release looks at: enough to decide, few enough that a release stays a few MB."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.ngrams import NgramVocabulary

MAX_WEIGHTS: Final = 1_300_000  # of all heads together, 2 bytes each: 2.6 MB
MAX_NGRAMS: Final = 60_000
MIN_TEXTS: Final = 2  # an n-gram of a single text teaches its label by heart; with few texts there is no choice
FEW_TEXTS: Final = 1000


def build_vocabulary(
    counts: sparse.csr_array, heads: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], int]]
) -> NgramVocabulary:
    """Keep the n-grams that tell labels apart best, by chi-squared, shared fairly between the heads.

    counts: (texts, buckets) of `hash_ngrams`. heads: for each the rows that train it, their label numbers, and how
    many labels there are.
    """
    rows = np.unique(np.concatenate([training for training, _, _ in heads]))
    present = sparse.csr_array((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)
    frequency = np.bincount(present[rows].indices, minlength=counts.shape[1])
    candidates = np.flatnonzero(frequency >= (MIN_TEXTS if len(rows) >= FEW_TEXTS else 1))
    limit = min(MAX_NGRAMS, max(MAX_WEIGHTS // sum(labels for _, _, labels in heads), 1000))
    if len(candidates) > limit:
        ranks = [_ranks(present[training][:, candidates], targets, labels) for training, targets, labels in heads]
        best = np.min(ranks, axis=0)
        candidates = np.sort(candidates[np.argsort(best, kind="stable")[:limit]])
    idf = np.log((1 + len(rows)) / (1 + frequency[candidates])) + 1
    unseen = float(np.log(1 + len(rows)) + 1)
    return NgramVocabulary(candidates.astype(np.int32), idf.astype(np.float32), unseen)


def _ranks(present: sparse.csr_array, targets: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """Place of each n-gram by its chi-squared statistic with the label, 0 for the highest."""
    texts = np.bincount(targets, minlength=labels) / len(targets)
    by_label = sparse.csr_array((np.ones(len(targets)), (targets, np.arange(len(targets)))), shape=(labels, len(targets)))
    observed = np.asarray((by_label @ present).todense(), dtype=np.float64)
    expected = texts[:, None] * observed.sum(axis=0)[None, :]
    statistic = (np.square(observed - expected) / np.maximum(expected, 1e-12)).sum(axis=0)
    ranks = np.empty(len(statistic), dtype=np.int64)
    ranks[np.argsort(-statistic, kind="stable")] = np.arange(len(statistic))
    return ranks
