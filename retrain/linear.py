"""Fitting a linear classifier over [embedding ; weighted n-grams]: softmax regression by mini-batch Adam in numpy.

scikit-learn has no solver for a dense block beside a sparse one: its LogisticRegression and LinearSVC want one sparse
matrix, where the 384 dense columns cost more than all n-grams together; on Banking77 they needed 15 to 40 times as
long for the same accuracy (measured in docs/training.md).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats


@dataclass(frozen=True, slots=True)
class LinearPolicy:
    """How to fit. ngram_scale: weight of the n-gram block beside the unit-length embedding (0 leaves n-grams out).

    decay: L2 penalty on the weights. learning_rate: the highest; it rises over the first tenth of the steps, then
    falls to 0.
    """

    ngram_scale: float = 1.0
    decay: float = 3e-6
    epochs: int = 10
    batch_texts: int = 256
    learning_rate: float = 0.05


@dataclass(frozen=True, slots=True)
class LinearWeights:
    """dense: (dimensions, labels). ngrams: (kept n-grams, labels), scale included. bias: (labels,)."""

    dense: Floats
    ngrams: Floats
    bias: Floats

    def logits(self, embeddings: Floats, ngrams: sparse.csr_array) -> Floats:
        """Shape (texts, labels)."""
        logits: Floats = embeddings @ self.dense + np.asarray(ngrams @ self.ngrams) + self.bias
        return logits


def fit_softmax(
    embeddings: Floats, ngrams: sparse.csr_array, targets: NDArray[np.int64], labels: int, policy: LinearPolicy, *, seed: int
) -> LinearWeights:
    """Minimise the mean cross-entropy plus L2 penalty.

    embeddings: (texts, dimensions). ngrams: (texts, kept n-grams), rows of at most unit length. targets: (texts,),
    in [0, labels). The same inputs and seed give the same weights on one machine.
    Source: Kingma and Ba, Adam (2015).
    """
    scaled = sparse.csr_array(ngrams * np.float32(policy.ngram_scale))
    parameters = [
        np.zeros((embeddings.shape[1], labels), dtype=np.float32),
        np.zeros((ngrams.shape[1], labels), dtype=np.float32),
        np.zeros((1, labels), dtype=np.float32),
    ]
    adam = _Adam(parameters)
    random = np.random.default_rng(seed)
    batch = min(policy.batch_texts, max(len(targets) // 8, 8))
    steps = policy.epochs * -(-len(targets) // batch)
    for _ in range(policy.epochs):
        order = random.permutation(len(targets))
        dense, hashed, wanted = embeddings[order], scaled[order], targets[order]
        for start in range(0, len(order), batch):
            rows = slice(start, start + batch)
            gradients = _gradients(parameters, dense[rows], hashed[rows], wanted[rows], policy.decay)
            adam.step(gradients, policy.learning_rate * _schedule(adam.steps / steps))
    return LinearWeights(parameters[0], parameters[1] * np.float32(policy.ngram_scale), parameters[2][0])


def _gradients(
    parameters: list[Floats], dense: Floats, hashed: sparse.csr_array, targets: NDArray[np.int64], decay: float
) -> list[Floats]:
    errors = dense @ parameters[0] + np.asarray(hashed @ parameters[1]) + parameters[2]
    errors -= errors.max(axis=1, keepdims=True)
    np.exp(errors, out=errors)
    errors /= errors.sum(axis=1, keepdims=True)
    errors[np.arange(len(targets)), targets] -= 1
    errors /= np.float32(len(targets))
    penalty = np.float32(decay)
    return [
        dense.T @ errors + penalty * parameters[0],
        np.asarray(hashed.T @ errors) + penalty * parameters[1],
        errors.sum(axis=0, keepdims=True),
    ]


def _schedule(done: float) -> float:
    """Share of the highest learning rate after `done` (0 to 1) of the steps."""
    return min(1.0, 10 * done + 0.01) * (1 - done)


class _Adam:
    """Adam with in-place updates: at 8,000 n-grams and 151 labels, memory traffic is what the time goes into."""

    def __init__(self, parameters: list[Floats], first: float = 0.9, second: float = 0.99) -> None:
        self._parameters, self._first, self._second = parameters, first, second
        self._means = [np.zeros_like(parameter) for parameter in parameters]
        self._squares = [np.zeros_like(parameter) for parameter in parameters]
        self.steps = 0

    def step(self, gradients: list[Floats], rate: float) -> None:
        """Move the parameters; the gradients' memory is used up."""
        self.steps += 1
        rate *= float(np.sqrt(1 - self._second**self.steps) / (1 - self._first**self.steps))
        for parameter, mean, square, gradient in zip(
            self._parameters, self._means, self._squares, gradients, strict=True
        ):
            mean *= np.float32(self._first)
            mean += np.float32(1 - self._first) * gradient
            np.square(gradient, out=gradient)
            gradient *= np.float32(1 - self._second)
            square *= np.float32(self._second)
            square += gradient
            np.sqrt(square, out=gradient)
            gradient += np.float32(1e-8)
            np.divide(mean, gradient, out=gradient)
            gradient *= np.float32(rate)
            parameter -= gradient
