"""Fitting a linear classifier over [embedding ; weighted n-grams]: softmax regression by mini-batch Adam in numpy.

scikit-learn has no solver for a dense block beside a sparse one: its LinearSVC and LogisticRegression want one sparse
matrix, and took 2.4 and 5.5 times as long for the same accuracy on Banking77 (docs/training.md).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats

_SMOOTHING: Final = 0.5  # added to what a label has of an n-gram: the weight of it in some five texts


@dataclass(frozen=True, slots=True)
class LinearPolicy:
    """How to fit. embedding, words, characters: weights of the three blocks, each of unit length; 0 leaves one out.

    strength: inverse of the L2 penalty, which is 1 / (strength * texts). loss: "squared_hinge" sets each label against
    the others (`support_vectors`). learning_rate: the highest; it rises over the first tenth of the steps, then falls
    to 0. polarity: weight of what is composed of words (`models.polarity`), for a head that looks at it.
    """

    embedding: float = 1.0
    words: float = 1.0
    characters: float = 1.0
    strength: float = 30.0
    loss: Literal["cross_entropy", "squared_hinge"] = "cross_entropy"
    epochs: int = 8
    max_batch_texts: int = 512
    learning_rate: float = 0.07
    polarity: float = 0.0

    def scale(self, columns: int, words: int, composed: int) -> Floats:
        """The weight of each column beside the embedding: words first, then characters, then what is composed."""
        scale = np.full(columns, self.characters, dtype=np.float32)
        scale[:words] = self.words
        scale[columns - composed :] = self.polarity
        return scale


@dataclass(frozen=True, slots=True)
class LinearWeights:
    """dense: (dimensions, labels). ngrams: (kept n-grams, labels). bias: (labels,). The blocks' weights are in them."""

    dense: Floats
    ngrams: Floats
    bias: Floats

    def logits(self, embeddings: Floats, ngrams: sparse.csr_array) -> Floats:
        """Shape (texts, labels)."""
        logits: Floats = embeddings @ self.dense + np.asarray(ngrams @ self.ngrams) + self.bias
        return logits


def fit_softmax(
    embeddings: Floats,
    ngrams: sparse.csr_array,
    targets: NDArray[np.int64],
    labels: int,
    policy: LinearPolicy,
    *,
    words: int,
    seed: int,
    by_telling: bool = False,
    composed: int = 0,
) -> LinearWeights:
    """Minimise the mean cross-entropy plus L2 penalty.

    embeddings: (texts, dimensions). ngrams: (texts, kept n-grams), of which the first `words` are words. targets:
    (texts,), in [0, labels). by_telling: whether an n-gram's penalty is the lower the more it tells
    (`telling_scale`). composed: how many of the last columns are no n-grams but what is composed of words. The same
    inputs and seed give the same weights on one machine.
    Source: Kingma and Ba, Adam (2015).
    """
    hashed_columns = ngrams.shape[1] - composed
    scale = policy.scale(ngrams.shape[1], words, composed)
    if by_telling:
        scale[:hashed_columns] *= telling_scale(ngrams[:, :hashed_columns], targets, labels, words)
    kept = slice(0 if policy.words else words, ngrams.shape[1] if policy.characters or composed else words)
    hashed = scale_columns(ngrams, scale)[:, kept]
    dense = embeddings * np.float32(policy.embedding)
    parameters = _descend(dense, hashed, targets, labels, policy, seed)
    weights = np.zeros((ngrams.shape[1], labels), dtype=np.float32)
    weights[kept] = parameters[1] * scale[kept, None]
    return LinearWeights(parameters[0] * np.float32(policy.embedding), weights, parameters[2][0])


def telling_scale(ngrams: sparse.csr_array, targets: NDArray[np.int64], labels: int, words: int) -> Floats:
    """How much each n-gram tells of some label, (kept n-grams,): the highest logarithm, over labels, of how many times
    its share of that label's n-grams is its share of the others', or the reverse. Scaled so that texts have the same
    mean squared length as before, words and characters apart.

    ngrams, targets, words: as for `fit_softmax`. Of few texts the shares are too rough: see docs/training.md.
    Source: log-count ratio, Wang and Manning, Baselines and Bigrams (2012).
    """
    texts = np.arange(len(targets))
    of_label_texts = sparse.csr_array((np.ones(len(targets)), (targets, texts)), shape=(labels, len(targets)))
    of_label = (of_label_texts @ ngrams).toarray() + _SMOOTHING
    of_others = of_label.sum(axis=0) - of_label
    scale = np.zeros(ngrams.shape[1])
    for kind in (slice(0, words), slice(words, None)):
        here, elsewhere = of_label[:, kind], of_others[:, kind]
        ratios = np.log(here / here.sum(axis=1, keepdims=True))
        ratios -= np.log(elsewhere / elsewhere.sum(axis=1, keepdims=True))
        scale[kind] = np.abs(ratios).max(axis=0, initial=0.0)
        squares = np.asarray(ngrams[:, kind].power(2).sum(axis=0)).ravel()
        longer = float(squares @ scale[kind] ** 2)
        scale[kind] *= np.sqrt(squares.sum() / longer) if longer > 0.0 else 0.0
    return scale.astype(np.float32)


def scale_columns(matrix: sparse.csr_array, scale: Floats) -> sparse.csr_array:
    """Each column times its scale."""
    return sparse.csr_array((matrix.data * scale[matrix.indices], matrix.indices, matrix.indptr), shape=matrix.shape)


def _descend(
    dense: Floats,
    hashed: sparse.csr_array,
    targets: NDArray[np.int64],
    labels: int,
    policy: LinearPolicy,
    seed: int,
) -> list[Floats]:
    shapes = (dense.shape[1], labels), (hashed.shape[1], labels), (1, labels)
    parameters = [np.zeros(shape, dtype=np.float32) for shape in shapes]
    adam = _Adam(parameters)
    random = np.random.default_rng(seed)
    batch = int(np.clip(len(targets) // 32, 32, policy.max_batch_texts))
    per_epoch = -(-len(targets) // batch)
    decay = 1 / (policy.strength * len(targets))
    for _ in range(policy.epochs):
        order = random.permutation(len(targets))
        mixed, mixed_hashed, wanted = dense[order], hashed[order], targets[order]
        for start in range(0, len(order), batch):
            rows = slice(start, start + batch)
            gradients = _gradients(parameters, mixed[rows], mixed_hashed[rows], wanted[rows], decay)
            adam.step(gradients, policy.learning_rate * _schedule(adam.steps / (policy.epochs * per_epoch)))
    return parameters


def _gradients(
    parameters: list[Floats],
    dense: Floats,
    hashed: sparse.csr_array,
    targets: NDArray[np.int64],
    decay: float,
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
