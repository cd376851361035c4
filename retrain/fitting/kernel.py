"""Fitting the same classifier as `retrain.fitting.linear` where texts are few: exact, and three times as fast.

With n texts the best weights are a combination of the n texts' features, so the search has n unknowns a label instead
of one for each n-gram, and the products between texts are computed once for all folds and policies.
"""

import contextlib
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from models.errors import TrainingDataError
from models.heads import Floats, Targets
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.fitting.support_vectors import LOGITS_OF_A_MARGIN, minimise_squared_hinge

MAX_TEXTS: Final = 3000  # beyond this, n x n products cost more than mini-batches do
_ITERATIONS: Final = 60
_JITTER: Final = 1e-6  # equal texts make the matrix singular


@dataclass(frozen=True, slots=True)
class Kernels:
    """Products between all texts, block by block, each (texts, texts), float32."""

    embedding: Floats
    words: Floats
    characters: Floats
    composed: Floats | None = None

    @classmethod
    def of(cls, embeddings: Floats, ngrams: sparse.csr_array, words: int, composed: int = 0) -> Self:
        """words: how many of the n-grams are words; they come first. composed: how many columns are no n-grams; they
        come last."""
        end = ngrams.shape[1] - composed
        first, second = ngrams[:, :words], ngrams[:, words:end]
        last = _products(ngrams[:, end:]) if composed else None
        return cls(embeddings @ embeddings.T, _products(first), _products(second), last)

    def weighted(self, rows: NDArray[np.int64], policy: LinearPolicy) -> Floats:
        """Products between some of the texts, with the policy's block weights."""
        chosen = np.ix_(rows, rows)
        total = np.float32(policy.embedding**2) * self.embedding[chosen]
        total += np.float32(policy.words**2) * self.words[chosen]
        total += np.float32(policy.characters**2) * self.characters[chosen]
        if self.composed is not None and policy.polarity:
            total += np.float32(policy.polarity**2) * self.composed[chosen]
        return total


def _products(matrix: sparse.csr_array) -> Floats:
    return np.asarray((matrix @ matrix.T).toarray(), dtype=np.float32)


def fit_kernel_classifier(
    kernels: Kernels,
    rows: NDArray[np.int64],
    embeddings: Floats,
    ngrams: sparse.csr_array,
    targets: Targets,
    labels: int,
    policy: LinearPolicy,
    *,
    words: int,
    composed: int = 0,
) -> LinearWeights:
    """Minimise the mean of the policy's loss plus the L2 penalty over the texts `rows`.

    embeddings, ngrams, targets: of those rows only, as for `fit_support_vectors`. Nothing here is random.
    Source: representer theorem, Schoelkopf, Herbrich and Smola (2001); L-BFGS, Liu and Nocedal (1989).
    """
    gram = kernels.weighted(rows, policy).astype(np.float64)
    root = _cholesky(gram)
    decay = 1 / (policy.strength * len(rows))
    if policy.loss == "squared_hinge":
        found, bias = minimise_squared_hinge([root.astype(np.float32)], targets, labels, decay)
        found, bias = found * np.float32(LOGITS_OF_A_MARGIN), bias * np.float32(LOGITS_OF_A_MARGIN)
    else:
        found, bias = _minimise(root.astype(np.float32), targets.astype(np.int64), labels, decay)
    combination = solve_triangular(root, found, lower=True, trans="T").astype(np.float32)
    scale = policy.scale(ngrams.shape[1], words, composed) ** 2
    dense = np.float32(policy.embedding**2) * (embeddings.T @ combination)
    return LinearWeights(dense, scale[:, None] * np.asarray(ngrams.T @ combination), bias)


def _cholesky(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower root. The products are of float32 vectors, so that near-copies may leave the matrix a little below
    positive: the jitter then grows until it is not."""
    step = _JITTER * (1 + np.trace(gram) / len(gram))
    diagonal = np.diag_indices_from(gram)
    added = 0.0
    for jitter in (step, 10 * step, 100 * step, 1000 * step):
        gram[diagonal] += jitter - added
        added = jitter
        with contextlib.suppress(np.linalg.LinAlgError):
            return np.asarray(np.linalg.cholesky(gram), dtype=np.float64)
    raise TrainingDataError(f"{len(gram)} texts are too much alike to train on; leave out near-copies")


def _minimise(features: Floats, targets: NDArray[np.int64], labels: int, decay: float) -> tuple[Floats, Floats]:
    """Softmax regression on dense features by L-BFGS: weights (features, labels) and bias (labels,)."""
    texts, size = features.shape
    rows = np.arange(texts)

    def loss_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.astype(np.float32).reshape(size + 1, labels)
        logits = features @ parameters[:size] + parameters[size]
        logits -= logits.max(axis=1, keepdims=True)
        errors = np.exp(logits)
        sums = errors.sum(axis=1, keepdims=True)
        loss = float((np.log(sums[:, 0]) - logits[rows, targets]).mean(dtype=np.float64))
        errors /= sums
        errors[rows, targets] -= 1
        errors /= np.float32(texts)
        gradient = np.empty_like(parameters)
        gradient[:size] = features.T @ errors + np.float32(decay) * parameters[:size]
        gradient[size] = errors.sum(axis=0)
        loss += decay / 2 * float(np.square(parameters[:size], dtype=np.float64).sum())
        return loss, gradient.astype(np.float64).ravel()

    start = np.zeros((size + 1) * labels)
    options = {"maxiter": _ITERATIONS, "ftol": 1e-6}
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    parameters = found.x.astype(np.float32).reshape(size + 1, labels)
    return parameters[:size], parameters[size]
