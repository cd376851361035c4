"""Heads for a benchmark of hundreds of trainings: softmax regression on the embeddings, in half a second.

What the quick strategy adds (n-grams, a choice of penalties, the fast path) takes fifteen times as long, and is no part
of what is asked here: which labels train, and what the gate lets pass. `--strategy quick` takes it in.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from bench.poison.ground import HEAD
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.heads import Floats, Head
from models.ngrams import NgramVocabulary
from retrain.crossfit import Ints, assign_folds
from retrain.data import Dataset
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy, LinearWeights, fit_softmax
from retrain.strategies.quick import train_quick

Trainer = Callable[[Dataset, Encoder, int], Classifier]
_POLICY: Final = LinearPolicy(words=0.0, characters=0.0)


def on_embeddings(data: Dataset, encoder: Encoder, seed: int) -> Classifier:
    """Calibrated on a fifth of the texts, by a head of the others."""
    rows = [row for row in data.rows if row.split != "test"]
    labels = sorted({row.labels[HEAD] for row in rows})
    targets = np.array([labels.index(row.labels[HEAD]) for row in rows], dtype=np.int64)
    embeddings = encoder.embed([row.text for row in rows])
    inside = assign_folds([row.text for row in rows], targets, seed) != 0
    with threadpool_limits(1):
        weights = _fit(embeddings, targets, len(labels), seed)
        sibling = _fit(embeddings[inside], targets[inside], len(labels), seed)
    logits = sibling.logits(embeddings[~inside], _nothing(int((~inside).sum())))
    temperature = fit_temperature(logits, targets[~inside])
    head = Head(HEAD, tuple(labels), weights.dense, weights.ngrams, weights.bias, temperature)
    return Classifier("poison", "0", encoder, _NO_NGRAMS, (head,))


def by_quick(data: Dataset, encoder: Encoder, seed: int) -> Classifier:
    """The quick strategy itself."""
    trained = train_quick(encoder, data, seed=seed)
    return Classifier("poison", "0", trained.encoder, trained.vocabulary, trained.heads, trained.fast_path)


TRAINERS: Final[dict[str, Trainer]] = {"embeddings": on_embeddings, "quick": by_quick}
_NO_NGRAMS: Final = NgramVocabulary(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32), 0.0)


def _fit(embeddings: Floats, targets: Ints, labels: int, seed: int) -> LinearWeights:
    return fit_softmax(embeddings, _nothing(len(embeddings)), targets, labels, _POLICY, words=0, seed=seed)


def _nothing(texts: int) -> sparse.csr_array:
    return sparse.csr_array((texts, 0), dtype=np.float32)
