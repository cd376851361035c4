"""Training the map of the items' embeddings: items that the same users touch come to lie close.

An item of which nothing is known but its words is met by the others through their likeness, so that is what is learnt:
a softmax over the likeness of an item to all others, after the map, is drawn to the shares in which its users touched
those (cross-entropy; what is popular has its share without any likeness, so the map need not learn it). The map begins
as the identity. How far it goes is chosen on items held out of the first training: the items that a map is for are
those that it has not seen.

Sources: contrastive learning with a softmax over all items (Oord and others, 2018, InfoNCE); the correction by
popularity: Menon and others, 2021, long-tail learning via logit adjustment; Adam: Kingma and Ba, 2015.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import softmax

from models.recommendation.adapting.item_map import ItemMap, unit_rows
from retrain.progress import Progress, no_progress
from retrain.recommendation.touches import Touches

Floats = NDArray[np.float32]
_SEED: Final = 0x3A9
_LENGTH: Final = 10
_PATIENCE: Final = 3
_LEAST_USERS: Final = 20  # whose lists choose the steps


@dataclass(frozen=True, slots=True)
class MapPolicy:
    """scale: of the likeness in the softmax. rate: of Adam. steps: after so many it may stop, and does after three of
    these in a row that are no better. batch: items of a step. items_max: those touched most train. valid: share of them
    held out of the first training. users_max: whose lists choose the steps."""

    scale: float = 10.0
    rate: float = 1e-3
    steps: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128, 256)
    batch: int = 256
    items_max: int = 3_000
    valid: float = 0.2
    users_max: int = 2_000


@dataclass(frozen=True, slots=True)
class Trained:
    """item_map: None where none was better than the embeddings as they are, on validation items, by more than chance.
    steps: that were chosen. figures: NDCG@10 among the validation items by number of steps, 0: no map."""

    item_map: ItemMap | None
    steps: int
    figures: dict[int, float]
    items: int


def train_map(
    vectors: Floats,
    touches: Touches,
    policy: MapPolicy | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Trained:
    """vectors: unit rows around the catalogue's mean, (items, dimensions). touches: of the training part. Same seed,
    same input: same map, on the same machine."""
    policy = policy or MapPolicy()
    rng = np.random.default_rng((_SEED, seed))
    counts = np.bincount(touches.items, minlength=len(vectors))
    chosen = np.sort(np.argsort(-counts, kind="stable")[: policy.items_max])
    chosen = chosen[counts[chosen] > 0]
    matrix = csr_matrix(touches.matrix(len(vectors))[:, chosen])
    valid = rng.random(len(chosen)) < policy.valid
    known = vectors[chosen]
    chooser = _Chooser(known, matrix, valid, policy.users_max)
    if chooser.users < _LEAST_USERS:
        return Trained(None, 0, {}, len(chosen))
    by_user = {0: chooser.ndcg(np.eye(known.shape[1], dtype=np.float32))}
    first = _Descent(known[~valid], csr_matrix(matrix[:, ~valid]), policy, seed)
    for done in range(1, max(policy.steps) + 1):
        first.step()
        progress("map, first training", done, max(policy.steps))
        if done in policy.steps:
            by_user[done] = chooser.ndcg(first.matrix)
            if _is_past_the_best([float(gains.mean()) for gains in by_user.values()]):
                break
    figures = {done: float(gains.mean()) for done, gains in by_user.items()}
    steps = _fewest(by_user)
    if not steps:
        return Trained(None, 0, figures, len(chosen))
    whole = _Descent(known, matrix, policy, seed)
    for done in range(1, steps + 1):
        whole.step()
        progress("map, on all items", done, steps)
    return Trained(ItemMap(whole.matrix), steps, figures, len(chosen))


def _is_past_the_best(means: list[float]) -> bool:
    return len(means) > _PATIENCE and max(means[-_PATIENCE:]) <= max(means[:-_PATIENCE])


def _fewest(by_user: dict[int, NDArray[np.float64]]) -> int:
    """The fewest steps of which the best ones are no more than a standard error better: what a map moves without need
    is likeness that the encoder knew.

    Source: the one-standard-error rule, Breiman and others, Classification and Regression Trees (1984), paired here.
    """
    best = max(by_user.values(), key=lambda gains: float(gains.mean()))
    for done, gains in by_user.items():
        ahead = best - gains
        if ahead.mean() <= ahead.std() / np.sqrt(len(ahead)):
            return done
    raise AssertionError("the best one is no better than itself")


class _Chooser:
    """How well validation items are found by their words, among each other, for users who touched others as well."""

    def __init__(self, vectors: Floats, matrix: csr_matrix, valid: NDArray[np.bool_], users_max: int) -> None:
        wanted = matrix[:, valid]
        known = matrix[:, ~valid]
        users = np.flatnonzero((np.diff(wanted.indptr) > 0) & (np.diff(known.indptr) > 0))[:users_max]
        self._vectors, self._valid = vectors, valid
        self._known, self._wanted = known[users], np.asarray(wanted[users].todense(), bool)

    @property
    def users(self) -> int:
        """How many choose."""
        return len(self._wanted)

    def ndcg(self, matrix: Floats) -> NDArray[np.float64]:
        """NDCG@10 of each user."""
        mapped = unit_rows(self._vectors @ matrix)
        scores = np.asarray(self._known @ mapped[~self._valid], np.float32) @ mapped[self._valid].T
        order = np.argsort(-scores, axis=1, kind="stable")[:, :_LENGTH]
        hits = np.take_along_axis(self._wanted, order, axis=1)
        gains = 1 / np.log2(np.arange(hits.shape[1]) + 2)
        best = np.cumsum(gains)[np.minimum(self._wanted.sum(axis=1), hits.shape[1]) - 1]
        found: NDArray[np.float64] = (hits * gains).sum(axis=1) / best
        return found


class _Descent:
    """Adam on the cross-entropy, a batch of items at a time."""

    def __init__(self, vectors: Floats, matrix: csr_matrix, policy: MapPolicy, seed: int) -> None:
        self._vectors, self._policy = vectors, policy
        self._shares, self._weights, self._popular = _targets(matrix)
        self._rng = np.random.default_rng((_SEED, seed, 1))
        self._order = np.empty(0, np.int64)
        self.matrix: Floats = np.eye(vectors.shape[1], dtype=np.float32)
        self._mean, self._square, self._steps = np.zeros_like(self.matrix), np.zeros_like(self.matrix), 0

    def step(self) -> None:
        """On the next items, each once before any comes again."""
        if not len(self._order):
            self._order = self._rng.permutation(np.flatnonzero(self._weights > 0))
        batch, self._order = self._order[: self._policy.batch], self._order[self._policy.batch :]
        self._follow(self._gradient(batch))

    def _gradient(self, batch: NDArray[np.int64]) -> Floats:
        """Of the loss by the map, (dimensions, dimensions)."""
        scale, vectors = self._policy.scale, self._vectors
        mapped = vectors @ self.matrix
        lengths = np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-6)
        unit = mapped / lengths
        logits = scale * (unit[batch] @ unit.T) + self._popular
        logits[np.arange(len(batch)), batch] = -np.inf  # an item is no neighbour of its own
        wrong = softmax(logits, axis=1) - np.asarray(self._shares[batch].todense(), np.float32)
        weights = self._weights[batch]
        wrong *= (scale * weights / weights.sum())[:, None]
        by_unit = wrong.T @ unit[batch]
        by_unit[batch] += wrong @ unit
        along = (by_unit * unit).sum(axis=1, keepdims=True)
        gradient: Floats = np.asarray(vectors.T @ ((by_unit - along * unit) / lengths), np.float32)
        return gradient

    def _follow(self, gradient: Floats) -> None:
        self._steps += 1
        self._mean += 0.1 * (gradient - self._mean)
        self._square += 0.001 * (gradient**2 - self._square)
        mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
        self.matrix = np.asarray(self.matrix - self._policy.rate * mean / (np.sqrt(square) + 1e-8), np.float32)


def _targets(matrix: csr_matrix) -> tuple[csr_matrix, Floats, Floats]:
    """For each item the shares in which its users touched the others, (items, items); how much it counts (the root of
    how often that was); and the logarithm of how popular each is. A user counts once for each item, whatever number of
    others he touched."""
    others = np.maximum(np.asarray(matrix.sum(axis=1)).ravel() - 1, 1).astype(np.float32)
    together = csr_matrix(matrix.T @ csr_matrix(matrix.multiply(1 / others[:, None])))
    together.setdiag(0)
    together.eliminate_zeros()
    sums = np.asarray(together.sum(axis=1)).ravel().astype(np.float32)
    shares = csr_matrix(together.multiply(1 / np.maximum(sums, 1e-9)[:, None]), dtype=np.float32)
    popular = np.log(np.asarray(matrix.sum(axis=0)).ravel() + 1).astype(np.float32)
    return shares, np.sqrt(sums).astype(np.float32), popular
