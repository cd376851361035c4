"""Fitting one head's classifier, and judging it on training texts that it has not seen.

The training texts are dealt into folds. A model fitted on all folds but one is judged on that one; the texts of all
folds together stand for texts to come, without touching the test rows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.encoder.encoder import available_cores
from models.errors import TrainingDataError
from models.heads import Floats, Targets, centroid_distances, unit_centroids
from retrain.class_balance import offsets_of_new_labels
from retrain.fitting.calibration import calibrated_loss
from retrain.fitting.copies import Copies
from retrain.fitting.kernel import MAX_TEXTS, Kernels, fit_kernel_classifier
from retrain.fitting.linear import LinearPolicy, LinearWeights, fit_softmax
from retrain.fitting.support_vectors import fit_support_vectors
from retrain.progress import Progress
from retrain.row_groups import leaders

Ints = NDArray[np.int64]
T = TypeVar("T")
S = TypeVar("S")

FOLDS: Final = 5
SEARCH_TEXTS: Final = 10_000  # more do not change which policy wins, only how long it takes
FINALISTS: Final = 3
MIN_TUNING_TEXTS: Final = 200
MIN_UNSEEN_TEXTS: Final = 40  # of a fine-tuned encoder's: fewer cannot say how sure it may be
POLICIES: Final = (
    LinearPolicy(words=0.5, characters=0.5),
    LinearPolicy(words=1.0, characters=0.0),
    LinearPolicy(words=1.0, characters=1.0),
    LinearPolicy(words=2.0, characters=1.0, strength=10.0),
    LinearPolicy(words=1.0, characters=1.0, strength=4.0),
    LinearPolicy(embedding=0.2, words=0.3, characters=4.0, strength=0.5),  # a script that the encoder cannot read
)
# Where a script has no spaces, and few encoders read it: its characters by a linear support vector machine, which no
# other classifier that was tried is better at; the embedding joins in where it helps.
POLICIES_WITHOUT_SPACES: Final = (
    LinearPolicy(embedding=0.2, words=0.3, characters=1.0, strength=0.5, loss="squared_hinge"),
    LinearPolicy(embedding=0.2, words=0.3, characters=1.0, strength=1.0, loss="squared_hinge"),
    LinearPolicy(embedding=1.0, words=0.3, characters=1.0, strength=0.5, loss="squared_hinge"),
    LinearPolicy(embedding=2.0, words=0.3, characters=1.0, strength=0.5, loss="squared_hinge"),
)


@dataclass(frozen=True, slots=True)
class Features:
    """Of all texts. words: how many of the n-grams are words; they come first. kernels: where texts are few; of the
    texts, then of the copies. copies: of training texts; None without augmentation. composed: how many of the
    last columns are no n-grams but what is composed of words (`models.polarity`)."""

    embeddings: Floats
    ngrams: sparse.csr_array
    words: int
    kernels: Kernels | None
    copies: Copies | None = None
    composed: int = 0

    @classmethod
    def of(
        cls,
        embeddings: Floats,
        ngrams: sparse.csr_array,
        words: int,
        copies: Copies | None = None,
        *,
        composed: int = 0,
    ) -> Self:
        """embeddings: (texts, dimensions). ngrams: (texts, kept n-grams), weighted, and behind them `composed`."""
        dense, hashed = embeddings, ngrams
        if copies is not None:
            dense = np.concatenate([embeddings, copies.embeddings])
            hashed = sparse.csr_array(sparse.vstack([ngrams, copies.ngrams]))
        kernels = Kernels.of(dense, hashed, words, composed) if len(dense) <= MAX_TEXTS else None
        return cls(embeddings, ngrams, words, kernels, copies, composed)


@dataclass(frozen=True, slots=True)
class Task:
    """One head's share of the texts. targets: label number of every text, -1 for none.

    rows: texts in scope that train. folds: of each of `rows`. tuning: texts in scope that only tune (may be none).
    policies: those to choose from. is_new: by label, those that stand in no text of the corpus (None: none of them;
    see `offsets_of_new_labels`). unseen: (all texts,), those that a fine-tuned encoder was not tuned on: only
    they can be judged. None where the encoder knows none. wanted: (all texts, labels), of a head that may give several
    labels, which ones each text has; its targets are 0 for every text that has a set, be it the empty one. None of a
    head that gives one. taught: label numbers of the copies that are made of no text, in their order; None: they teach
    this head nothing.
    """

    name: str
    labels: tuple[str, ...]
    targets: Ints
    rows: Ints
    folds: Ints
    tuning: Ints
    policies: tuple[LinearPolicy, ...] = POLICIES
    unseen: NDArray[np.bool_] | None = None
    is_new: NDArray[np.bool_] | None = None
    wanted: NDArray[np.bool_] | None = None
    taught: Ints | None = None

    @property
    def learnt(self) -> Targets:
        """What classifiers and centroids are fitted to."""
        return self.targets if self.wanted is None else self.wanted

    @property
    def is_tuned(self) -> bool:
        """Whether there are tuning rows enough to choose and calibrate with."""
        return self.unseen is None and len(self.tuning) >= MIN_TUNING_TEXTS

    def fit(self, features: Features, rows: Ints, policy: LinearPolicy, seed: int) -> LinearWeights:
        """The classifier of these texts."""
        weights = self._fit(features, rows, policy, seed)
        if (
            self.is_new is None or policy.loss == "squared_hinge"
        ):  # its margins know nothing of how many texts there are
            return weights
        return replace(weights, bias=weights.bias + offsets_of_new_labels(self.targets[rows], self.is_new))

    def _fit(self, features: Features, rows: Ints, policy: LinearPolicy, seed: int) -> LinearWeights:
        embeddings, ngrams, of = features.embeddings[rows], features.ngrams[rows], rows
        if features.copies is not None:
            copies, made = features.copies, features.copies.made_of(rows)
            embeddings = np.concatenate([embeddings, copies.embeddings[made]])
            ngrams = sparse.csr_array(sparse.vstack([ngrams, copies.ngrams[made]]))
            of = np.concatenate([rows, copies.of[made]])
            # the penalty counts the texts: copies as good as their texts would change nothing
            policy = replace(policy, strength=policy.strength * len(rows) / max(1, len(of)))
            rows = np.concatenate([rows, len(features.embeddings) + made])
        labels, learnt, targets = len(self.labels), self.learnt[of], self.targets[of]
        if features.copies is not None and self.taught is not None:
            copies, free = features.copies, features.copies.of_none
            embeddings = np.concatenate([embeddings, copies.embeddings[free]])
            ngrams = sparse.csr_array(sparse.vstack([ngrams, copies.ngrams[free]]))
            rows = np.concatenate([rows, len(features.embeddings) + free])
            learnt, targets = np.concatenate([learnt, self.taught]), np.concatenate([targets, self.taught])
        columns = {"words": features.words, "composed": features.composed}
        if features.kernels is None:
            if policy.loss == "squared_hinge":
                return fit_support_vectors(embeddings, ngrams, learnt, labels, policy, **columns)
            return fit_softmax(embeddings, ngrams, targets, labels, policy, seed=seed, by_telling=True, **columns)
        return fit_kernel_classifier(features.kernels, rows, embeddings, ngrams, learnt, labels, policy, **columns)

    def centroids(self, features: Features, rows: Ints) -> Floats:
        """Unit-length centroid of each label over these texts."""
        return unit_centroids(features.embeddings[rows], self.learnt[rows], len(self.labels))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Texts in scope, with logits and nearest-centroid distances by a model that was not fitted on them.

    rows: their numbers among all texts. wanted: see `Task`, of these texts.
    """

    logits: Floats
    targets: Ints
    distances: Floats
    rows: Ints
    wanted: NDArray[np.bool_] | None = None

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each text was decided rightly, where each has one label."""
        right: NDArray[np.bool_] = self.logits.argmax(axis=1) == self.targets
        return right

    @classmethod
    def joined(cls, parts: Sequence["HeldOut"]) -> Self:
        """All parts' texts, one after the other."""
        return cls(
            np.concatenate([part.logits for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.rows for part in parts]),
            _joined_sets([part.wanted for part in parts]),
        )

    def of(self, kept: NDArray[np.bool_]) -> Self:
        """Those of some of all texts. kept: (all texts,)."""
        inside = kept[self.rows]
        wanted = None if self.wanted is None else self.wanted[inside]
        return type(self)(self.logits[inside], self.targets[inside], self.distances[inside], self.rows[inside], wanted)


def _joined_sets(parts: Sequence[NDArray[np.bool_] | None]) -> NDArray[np.bool_] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if known else None


def assign_folds(
    texts: Sequence[str], targets: Ints, seed: int, groups: Sequence[str] | None = None, *, count: int = FOLDS
) -> Ints:
    """A fold for each text: labels spread evenly; texts of one key, and rows of one group, together. groups: by text,
    empty without one."""
    leader = leaders(texts, groups or [""] * len(texts), targets.tolist())
    firsts = np.unique(leader)
    shuffled = np.random.default_rng(seed).permutation(firsts)
    by_label = shuffled[np.argsort(targets[shuffled], kind="stable")]
    fold = np.empty(len(texts), dtype=np.int64)
    fold[by_label] = np.arange(len(by_label)) % count
    return fold[leader]


class CrossFit:
    """Judges policies for one head, and remembers what it has judged."""

    def __init__(self, task: Task, features: Features, seed: int, progress: Progress) -> None:
        """Nothing is fitted yet."""
        self._task, self._features, self._seed, self._progress = task, features, seed, progress
        self._judged: dict[tuple[LinearPolicy, int, bool], HeldOut] = {}
        self._fitted: dict[LinearPolicy, LinearWeights] = {}

    def choose(self) -> tuple[LinearPolicy, float]:
        """The policy that is best on unseen texts, and its accuracy there.

        Enough tuning rows decide by themselves. Otherwise all policies are tried on one fold of the training rows (few
        texts: two), the best few of them on one more (few texts: on all).
        """
        stage, policies = f"choosing for {self._task.name}", self._task.policies
        if self._task.unseen is not None:
            return self._best({policy: self.unseen(policy) for policy in policies})
        if self._task.is_tuned:
            in_parallel(self.fit, policies, lambda done: self._progress(stage, done, len(policies)))
            return self._best({policy: self.on_tuning(policy) for policy in policies})
        few = self._features.kernels is not None
        first, second = (range(2), range(FOLDS)) if few else (range(1), range(2))
        results = self._judge(policies, first, stage, sampled=True)
        finalists = sorted(policies, key=lambda policy: -results[policy].right.mean())[:FINALISTS]
        return self._best(self._judge(finalists, second, stage, sampled=True))

    def fit(self, policy: LinearPolicy) -> LinearWeights:
        """The classifier of all training rows."""
        if policy not in self._fitted:
            self._fitted[policy] = self._task.fit(self._features, self._task.rows, policy, self._seed)
        return self._fitted[policy]

    def on_tuning(self, policy: LinearPolicy) -> HeldOut:
        """The tuning rows, judged by the classifier of all training rows."""
        task, features = self._task, self._features
        return self._judged_by(self.fit(policy), task.centroids(features, task.rows), task.tuning)

    def held_out(self, policy: LinearPolicy) -> HeldOut:
        """Every training row, judged by a model fitted on the other folds; fold after fold."""
        return self._judge([policy], range(FOLDS), f"cross-fitting {self._task.name}", sampled=False)[policy]

    def of_fold(self, policy: LinearPolicy, fold: int) -> HeldOut:
        """The training rows of one fold, judged by a model fitted on the others."""
        return self._judge_fold((policy, fold, False))

    def unseen(self, policy: LinearPolicy) -> HeldOut:
        """All texts that neither the head nor the encoder knows: training texts by the folds, and tuning texts. Raises
        TrainingDataError where there are too few to calibrate with."""
        unseen = self._task.unseen
        assert unseen is not None
        parts = []
        if len(self._task.tuning):
            parts.append(self.on_tuning(policy).of(unseen))
        if unseen[self._task.rows].any():
            parts.append(self.held_out(policy).of(unseen))
        texts = sum(len(part.targets) for part in parts)
        if texts < MIN_UNSEEN_TEXTS:
            raise TrainingDataError(
                f"the encoder was tuned on all but {texts} of the texts of head {self._task.name!r}, and "
                f"{MIN_UNSEEN_TEXTS} are needed to calibrate with; give it more new texts, or train from the file again"
            )
        return HeldOut.joined(parts)

    def _best(self, results: Mapping[LinearPolicy, HeldOut]) -> tuple[LinearPolicy, float]:
        accuracies = {policy: float(result.right.mean()) for policy, result in results.items()}
        best = max(accuracies.values())
        judged = len(next(iter(results.values())).targets)
        # Within half a standard error accuracy says nothing; the calibrated cross-entropy says more.
        near = [policy for policy in results if accuracies[policy] >= best - np.sqrt(best * (1 - best) / judged) / 2]
        chosen = min(near, key=lambda policy: calibrated_loss(results[policy].logits, results[policy].targets))
        return chosen, accuracies[chosen]

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
        rows, folds = self._task.rows, self._task.folds
        if sampled:
            kept = np.sort(np.random.default_rng(self._seed).permutation(len(rows))[:SEARCH_TEXTS])
            rows, folds = rows[kept], folds[kept]
        inside = rows[folds != fold]
        weights = self._task.fit(self._features, inside, policy, self._seed)
        return self._judged_by(weights, self._task.centroids(self._features, inside), rows[folds == fold])

    def _judged_by(self, weights: LinearWeights, centroids: Floats, rows: Ints) -> HeldOut:
        embeddings = self._features.embeddings[rows]
        logits = weights.logits(embeddings, self._features.ngrams[rows])
        wanted = None if self._task.wanted is None else self._task.wanted[rows]
        return HeldOut(logits, self._task.targets[rows], centroid_distances(embeddings, centroids), rows, wanted)


def in_parallel(work: Callable[[S], T], items: Iterable[S], on_done: Callable[[int], None]) -> list[T]:
    """Run `work` on every item on all cores (numpy leaves the interpreter free), results in order."""
    results = []
    with ThreadPoolExecutor(available_cores()) as pool:
        for done, result in enumerate(pool.map(work, items), start=1):
            results.append(result)
            on_done(done)
    return results
