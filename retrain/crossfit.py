"""Fitting one head's classifier, and judging it on training texts that it has not seen.

The training texts are dealt into folds. A model fitted on all folds but one is judged on that one; the texts of all
folds together stand for texts to come, without touching the test rows.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats, centroid_distances, unit_centroids
from retrain.calibration import calibrated_loss
from retrain.data import text_key
from retrain.kernel import MAX_TEXTS, Kernels, fit_kernel_softmax
from retrain.linear import LinearPolicy, LinearWeights, fit_softmax

Ints = NDArray[np.int64]
T = TypeVar("T")
S = TypeVar("S")

FOLDS: Final = 5
SEARCH_TEXTS: Final = 10_000  # more do not change which policy wins, only how long it takes
FINALISTS: Final = 3
POLICIES: Final = (
    LinearPolicy(words=0.5, characters=0.5),
    LinearPolicy(words=1.0, characters=0.0),
    LinearPolicy(words=1.0, characters=1.0),
    LinearPolicy(words=2.0, characters=1.0, strength=10.0),
    LinearPolicy(words=1.0, characters=1.0, strength=4.0),
    LinearPolicy(embedding=0.2, words=0.3, characters=4.0, strength=0.5),  # a script that the encoder cannot read
)


class Progress(Protocol):
    """Told how far a training is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """stage: a short name. done, total: in units of that stage."""


@dataclass(frozen=True, slots=True)
class Features:
    """Of all texts. words: how many of the n-grams are words; they come first. kernels: where texts are few."""

    embeddings: Floats
    ngrams: sparse.csr_array
    words: int
    kernels: Kernels | None

    @classmethod
    def of(cls, embeddings: Floats, ngrams: sparse.csr_array, words: int) -> Self:
        """embeddings: (texts, dimensions). ngrams: (texts, kept n-grams), weighted."""
        few = len(embeddings) <= MAX_TEXTS
        return cls(embeddings, ngrams, words, Kernels.of(embeddings, ngrams, words) if few else None)


@dataclass(frozen=True, slots=True)
class Task:
    """One head's share of the texts. targets: label number of every text, -1 for none.

    rows: texts in scope that train. folds: of each of `rows`. tuning: texts in scope that only tune (may be none).
    """

    name: str
    labels: tuple[str, ...]
    targets: Ints
    rows: Ints
    folds: Ints
    tuning: Ints

    def fit(self, features: Features, rows: Ints, policy: LinearPolicy, seed: int) -> LinearWeights:
        """The classifier of these texts."""
        embeddings, ngrams, targets = features.embeddings[rows], features.ngrams[rows], self.targets[rows]
        words, labels = features.words, len(self.labels)
        if features.kernels is None:
            return fit_softmax(embeddings, ngrams, targets, labels, policy, words=words, seed=seed)
        return fit_kernel_softmax(features.kernels, rows, embeddings, ngrams, targets, labels, policy, words=words)

    def centroids(self, features: Features, rows: Ints) -> Floats:
        """Unit-length centroid of each label over these texts."""
        return unit_centroids(features.embeddings[rows], self.targets[rows], len(self.labels))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Texts in scope, with logits and nearest-centroid distances by a model that was not fitted on them."""

    logits: Floats
    targets: Ints
    distances: Floats

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each text was decided rightly."""
        right: NDArray[np.bool_] = self.logits.argmax(axis=1) == self.targets
        return right

    @classmethod
    def joined(cls, parts: Sequence["HeldOut"]) -> Self:
        """All parts' texts, one after the other."""
        return cls(
            np.concatenate([part.logits for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.distances for part in parts]),
        )


def assign_folds(texts: Sequence[str], targets: Ints, seed: int) -> Ints:
    """A fold for each text: labels spread evenly, equal texts together."""
    first: dict[str, int] = {}
    group = np.array([first.setdefault(text_key(text), index) for index, text in enumerate(texts)], dtype=np.int64)
    leaders = np.flatnonzero(group == np.arange(len(texts)))
    shuffled = np.random.default_rng(seed).permutation(leaders)
    by_label = shuffled[np.argsort(targets[shuffled], kind="stable")]
    fold = np.empty(len(texts), dtype=np.int64)
    fold[by_label] = np.arange(len(by_label)) % FOLDS
    return fold[group]


class CrossFit:
    """Judges policies for one head, fold by fold, and remembers what it has judged."""

    def __init__(self, task: Task, features: Features, seed: int, progress: Progress) -> None:
        """Nothing is fitted yet."""
        self._task, self._features, self._seed, self._progress = task, features, seed, progress
        self._judged: dict[tuple[LinearPolicy, int, bool], HeldOut] = {}

    def choose(self) -> tuple[LinearPolicy, float]:
        """The policy that is best on unseen texts, and its accuracy there.

        All are tried on one fold (few texts: two), the best few of them on one more (few texts: on all).
        """
        few = self._features.kernels is not None
        first, second = (range(2), range(FOLDS)) if few else (range(1), range(2))
        stage = f"choosing for {self._task.name}"
        results = self._judge(POLICIES, first, stage, sampled=True)
        finalists = sorted(POLICIES, key=lambda policy: -results[policy].right.mean())[:FINALISTS]
        results = self._judge(finalists, second, stage, sampled=True)
        accuracies = {policy: float(result.right.mean()) for policy, result in results.items()}
        best = max(accuracies.values())
        # Within half a standard error accuracy says nothing; the calibrated cross-entropy says more.
        noise = np.sqrt(best * (1 - best) / len(results[finalists[0]].targets)) / 2
        near = [policy for policy in finalists if accuracies[policy] >= best - noise]
        chosen = min(near, key=lambda policy: calibrated_loss(results[policy].logits, results[policy].targets))
        return chosen, accuracies[chosen]

    def held_out(self, policy: LinearPolicy) -> HeldOut:
        """Every training text, judged by a model fitted on the other folds; fold after fold."""
        return self._judge([policy], range(FOLDS), f"cross-fitting {self._task.name}", sampled=False)[policy]

    def _judge(
        self, policies: Sequence[LinearPolicy], folds: Sequence[int], stage: str, *, sampled: bool
    ) -> dict[LinearPolicy, HeldOut]:
        sampled = sampled and len(self._task.rows) > SEARCH_TEXTS
        missing = [(p, fold, sampled) for p in policies for fold in folds if (p, fold, sampled) not in self._judged]
        found = in_parallel(self._judge_fold, missing, lambda done: self._progress(stage, done, len(missing)))
        self._judged.update(zip(missing, found, strict=True))
        return {p: HeldOut.joined([self._judged[p, fold, sampled] for fold in folds]) for p in policies}

    def _judge_fold(self, what: tuple[LinearPolicy, int, bool]) -> HeldOut:
        """The texts of one fold, judged by a model fitted on the others."""
        policy, fold, sampled = what
        task, features = self._task, self._features
        rows, folds = task.rows, task.folds
        if sampled:
            kept = np.sort(np.random.default_rng(self._seed).permutation(len(rows))[:SEARCH_TEXTS])
            rows, folds = rows[kept], folds[kept]
        inside, judged = rows[folds != fold], rows[folds == fold]
        weights = task.fit(features, inside, policy, self._seed)
        embeddings = features.embeddings[judged]
        distances = centroid_distances(embeddings, task.centroids(features, inside))
        return HeldOut(weights.logits(embeddings, features.ngrams[judged]), task.targets[judged], distances)


def in_parallel(work: Callable[[S], T], items: Iterable[S], on_done: Callable[[int], None]) -> list[T]:
    """Run `work` on every item on all cores (numpy leaves the interpreter free), results in order."""
    results = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, result in enumerate(pool.map(work, items), start=1):
            results.append(result)
            on_done(done)
    return results
