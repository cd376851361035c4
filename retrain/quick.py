"""The quick strategy: embeddings by the encoder as it is, linear heads over [embedding ; n-grams]. Seconds, no torch.

Everything that is chosen (the weight of the n-grams, the calibration, the out-of-scope threshold) is chosen on training
texts that the model in question has not seen: the file's tuning rows, or folds of the training rows. The test rows are
never looked at here.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits

from models.bundle import Reference
from models.encoder import Encoder
from models.errors import TrainingDataError
from models.heads import (
    Floats,
    Head,
    OutOfScope,
    centroid_distances,
    label_probabilities,
    logit_energy,
    out_of_scope_scores,
    unit_centroids,
)
from models.ngrams import NgramVocabulary, hash_ngrams
from retrain.calibration import calibrated_loss, choose_threshold, fit_temperature
from retrain.data import Dataset, Row, text_key
from retrain.kernel import MAX_TEXTS, Kernels, fit_kernel_softmax
from retrain.linear import LinearPolicy, LinearWeights, fit_softmax
from retrain.vocabulary import build_vocabulary, drop_unused_kind

Ints = NDArray[np.int64]
T = TypeVar("T")
S = TypeVar("S")

FOLDS: Final = 5
POLICIES: Final = (
    LinearPolicy(words=0.5, characters=0.5),
    LinearPolicy(words=1.0, characters=0.0),
    LinearPolicy(words=1.0, characters=1.0),
    LinearPolicy(words=2.0, characters=1.0, strength=10.0),
    LinearPolicy(words=1.0, characters=1.0, strength=4.0),
    LinearPolicy(embedding=0.2, words=0.3, characters=4.0, strength=0.5),  # a script that the encoder cannot read
)
SEARCH_TEXTS: Final = 10_000  # more do not change which policy wins, only how long it takes
MAX_LOST_IN_SCOPE: Final = 0.01  # share of in-scope texts that are decided rightly and may be rejected
REFERENCE_TEXTS: Final = 1000
_EMBED_TEXTS: Final = 1024


class Progress(Protocol):
    """Told how far a training is."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """stage: a short name. done, total: in units of that stage."""


def no_progress(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Trained:
    """Parts of a release. encoder: the one that the heads were fitted on, and must serve with.

    heads: the primary one first. choices: what was chosen for each head, for the manifest.
    """

    encoder: Encoder
    vocabulary: NgramVocabulary
    heads: tuple[Head, ...]
    reference: Reference
    choices: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class _Features:
    """Of all texts. words: how many of the n-grams are words. kernels: where texts are few."""

    embeddings: Floats
    ngrams: sparse.csr_array
    words: int
    kernels: Kernels | None

    @classmethod
    def of(cls, embeddings: Floats, ngrams: sparse.csr_array, words: int) -> "_Features":
        few = len(embeddings) <= MAX_TEXTS
        return cls(embeddings, ngrams, words, Kernels.of(embeddings, ngrams, words) if few else None)

    def fit(self, rows: Ints, targets: Ints, labels: int, policy: LinearPolicy, seed: int) -> LinearWeights:
        """The classifier of these rows. targets: of these rows."""
        embeddings, ngrams = self.embeddings[rows], self.ngrams[rows]
        if self.kernels is None:
            return fit_softmax(embeddings, ngrams, targets, labels, policy, words=self.words, seed=seed)
        return fit_kernel_softmax(self.kernels, rows, embeddings, ngrams, targets, labels, policy, words=self.words)


@dataclass(frozen=True, slots=True)
class _Task:
    """One head's share of the data. rows: with a label in scope, that train. folds: of `rows`, group-wise.

    tuning: rows that only tune (may be empty). strangers: out-of-scope rows, which only tune as well.
    targets: label numbers by row (-1: none).
    """

    name: str
    labels: tuple[str, ...]
    targets: Ints
    rows: Ints
    folds: Ints
    tuning: Ints
    strangers: Ints


@dataclass(frozen=True, slots=True)
class _HeldOut:
    """In-scope texts with the logits and centroid distances of a model that was not trained on them."""

    logits: Floats
    targets: Ints
    distances: Floats

    @property
    def right(self) -> NDArray[np.bool_]:
        return self.logits.argmax(axis=1) == self.targets


def train_quick(
    encoder: Encoder,
    dataset: Dataset,
    heads: Sequence[str] | None = None,
    *,
    seed: int = 0,
    oos_label: str | None = None,
    progress: Progress = no_progress,
) -> Trained:
    """Train the heads (None: all of the dataset's) on the dataset's training and tuning rows.

    oos_label: a label of the primary head whose texts are out of scope: they train no class, but set the threshold.
    Raises TrainingDataError when a head has fewer than two labels.
    """
    rows = [row for row in dataset.rows if row.split != "test"]
    names = tuple(heads or dataset.heads)
    tasks = [_task(name, rows, oos_label if name == names[0] else None, seed) for name in names]
    embeddings = embed_texts(encoder, [row.text for row in rows], progress)
    counts = hash_ngrams([row.text for row in rows])
    training = np.unique(np.concatenate([task.rows for task in tasks]))
    vocabulary = build_vocabulary(counts, training, sum(len(task.labels) for task in tasks))
    features = _Features.of(embeddings, vocabulary.weigh(counts), vocabulary.words)
    trained, choices, reference = [], {}, None
    with threadpool_limits(1):  # the folds run side by side; BLAS threads would stand in each other's way
        for number, task in enumerate(tasks):
            head, chosen, held_out = _train_head(task, features, seed, number == 0, progress)
            trained.append(head)
            choices[task.name] = chosen
            reference = reference or _reference(task, features, head, held_out, seed)
    assert reference is not None
    vocabulary, weights = drop_unused_kind(vocabulary, [head.ngrams for head in trained])
    heads_kept = tuple(replace(head, ngrams=kept) for head, kept in zip(trained, weights, strict=True))
    return Trained(encoder, vocabulary, heads_kept, reference, choices)


def embed_texts(encoder: Encoder, texts: Sequence[str], progress: Progress = no_progress) -> Floats:
    """Embeddings of many texts, float32 (texts, dimensions)."""
    parts = []
    progress("embedding texts", 0, len(texts))
    for start in range(0, len(texts), _EMBED_TEXTS):
        parts.append(encoder.embed(texts[start : start + _EMBED_TEXTS]))
        progress("embedding texts", min(start + _EMBED_TEXTS, len(texts)), len(texts))
    return np.concatenate(parts)


def _task(name: str, rows: Sequence[Row], oos_label: str | None, seed: int) -> _Task:
    found = {row.labels[name] for row in rows if name in row.labels and row.split == "train"}
    if oos_label is not None and not any(row.labels.get(name) == oos_label for row in rows):
        raise TrainingDataError(f"no text has the out-of-scope label {oos_label!r}; labels are: {_some(found)}")
    labels = tuple(sorted(found - {oos_label}))
    if len(labels) < 2:
        raise TrainingDataError(f"head {name!r} has {len(labels)} label(s) to train ({_some(labels)}); it needs two")
    number = {label: index for index, label in enumerate(labels)}
    targets = np.array([number.get(row.labels.get(name, ""), -1) for row in rows], dtype=np.int64)
    trains = np.array([row.split == "train" for row in rows])
    strange = np.array([oos_label is not None and row.labels.get(name) == oos_label for row in rows])
    training = np.flatnonzero(trains & (targets >= 0))
    folds = _folds([rows[row].text for row in training], targets[training], seed)
    tuning = np.flatnonzero(~trains & (targets >= 0))
    return _Task(name, labels, targets, training, folds, tuning, np.flatnonzero(strange))


def _folds(texts: Sequence[str], targets: Ints, seed: int) -> Ints:
    """A fold for each text: labels spread evenly, equal texts together."""
    first: dict[str, int] = {}
    group = np.array([first.setdefault(text_key(text), index) for index, text in enumerate(texts)], dtype=np.int64)
    leaders = np.flatnonzero(group == np.arange(len(texts)))
    shuffled = np.random.default_rng(seed).permutation(leaders)
    by_label = shuffled[np.argsort(targets[shuffled], kind="stable")]
    fold = np.empty(len(texts), dtype=np.int64)
    fold[by_label] = np.arange(len(by_label)) % FOLDS
    return fold[group]


def _train_head(
    task: _Task, features: _Features, seed: int, primary: bool, progress: Progress
) -> tuple[Head, dict[str, float], _HeldOut]:
    policy, score = _choose_policy(task, features, seed, progress)
    held_out = _out_of_fold(task, features, policy, seed, progress)
    progress(f"fitting {task.name}", 0, 1)
    weights = features.fit(task.rows, task.targets[task.rows], len(task.labels), policy, seed)
    head = Head(task.name, task.labels, weights.dense, weights.ngrams, weights.bias, temperature=1.0).rounded()
    # With tuning rows the head itself can be calibrated; without them, its siblings of the folds stand for it.
    tuned = _on_tuning(task, features, head) if len(task.tuning) >= 200 else held_out
    head = replace(head, temperature=fit_temperature(tuned.logits, tuned.targets))
    chosen = {
        "embedding": policy.embedding,
        "words": policy.words,
        "characters": policy.characters,
        "strength": policy.strength,
        "held_out_accuracy": round(score, 4),
    }
    if primary:
        head = replace(head, out_of_scope=_out_of_scope(task, features, head, held_out, tuned))
    progress(f"fitting {task.name}", 1, 1)
    return head.rounded(), chosen, held_out


def _choose_policy(task: _Task, features: _Features, seed: int, progress: Progress) -> tuple[LinearPolicy, float]:
    """The policy that is best on texts it was not fitted on. All are tried on the first fold (few texts: on all folds),
    the three best on another one as well."""
    kept = np.sort(np.random.default_rng(seed).permutation(len(task.rows))[:SEARCH_TEXTS])
    rows, folds = task.rows[kept], task.folds[kept]

    def tried(policies: Sequence[LinearPolicy], judging: Sequence[int]) -> list[_HeldOut]:
        stage = f"choosing for {task.name}"
        pairs = [(policy, fold) for policy in policies for fold in judging]
        found = _in_parallel(
            lambda pair: _judge_fold(task, features, rows, folds, *pair, seed),
            pairs,
            lambda done: progress(stage, done, len(pairs)),
        )
        return [_joined(found[start : start + len(judging)]) for start in range(0, len(pairs), len(judging))]

    few = len(rows) < 3000
    results = dict(zip(POLICIES, tried(POLICIES, range(FOLDS) if few else (0,)), strict=True))
    if not few:
        finalists = sorted(POLICIES, key=lambda policy: -results[policy].right.mean())[:3]
        more = tried(finalists, (1,))
        results = {policy: _joined([results[policy], result]) for policy, result in zip(finalists, more, strict=True)}
    accuracies = {policy: float(result.right.mean()) for policy, result in results.items()}
    best = max(accuracies.values())
    judged = len(next(iter(results.values())).targets)
    # Within half a standard error accuracy says nothing; the calibrated cross-entropy says more.
    near = [policy for policy in results if accuracies[policy] >= best - np.sqrt(best * (1 - best) / judged) / 2]
    chosen = min(near, key=lambda policy: calibrated_loss(results[policy].logits, results[policy].targets))
    return chosen, accuracies[chosen]


def _judge_fold(
    task: _Task, features: _Features, rows: Ints, folds: Ints, policy: LinearPolicy, fold: int, seed: int
) -> _HeldOut:
    """The texts of one fold, judged by a model fitted on the others."""
    inside, judged = rows[folds != fold], rows[folds == fold]
    weights = features.fit(inside, task.targets[inside], len(task.labels), policy, seed)
    centroids = unit_centroids(features.embeddings[inside], task.targets[inside], len(task.labels))
    return _HeldOut(
        weights.logits(features.embeddings[judged], features.ngrams[judged]),
        task.targets[judged],
        centroid_distances(features.embeddings[judged], centroids),
    )


def _joined(parts: Sequence[_HeldOut]) -> _HeldOut:
    return _HeldOut(
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.targets for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


def _out_of_fold(task: _Task, features: _Features, policy: LinearPolicy, seed: int, progress: Progress) -> _HeldOut:
    """Every training text, judged by a model fitted on the other folds; fold after fold."""
    return _joined(
        _in_parallel(
            lambda fold: _judge_fold(task, features, task.rows, task.folds, policy, fold, seed),
            range(FOLDS),
            lambda done: progress(f"cross-fitting {task.name}", done, FOLDS),
        )
    )


def _on_tuning(task: _Task, features: _Features, head: Head) -> _HeldOut:
    embeddings = features.embeddings[task.tuning]
    centroids = unit_centroids(features.embeddings[task.rows], task.targets[task.rows], len(task.labels))
    logits = head.logits(embeddings, features.ngrams[task.tuning])
    return _HeldOut(logits, task.targets[task.tuning], centroid_distances(embeddings, centroids))


def _out_of_scope(task: _Task, features: _Features, head: Head, held_out: _HeldOut, tuned: _HeldOut) -> OutOfScope:
    """The score's scale from held-out training texts, its threshold from those that tune."""
    energy = logit_energy(held_out.logits)
    scorer = OutOfScope(
        unit_centroids(features.embeddings[task.rows], task.targets[task.rows], len(task.labels)),
        energy_mean=float(energy.mean()),
        energy_spread=max(float(energy.std()), 1e-6),
        distance_mean=float(held_out.distances.mean()),
        distance_spread=max(float(held_out.distances.std()), 1e-6),
        threshold=float("inf"),
    )
    in_scope = out_of_scope_scores(
        (logit_energy(tuned.logits) - scorer.energy_mean) / scorer.energy_spread,
        (tuned.distances - scorer.distance_mean) / scorer.distance_spread,
    )
    return replace(scorer, threshold=choose_threshold(in_scope, tuned.right, max_lost=MAX_LOST_IN_SCOPE))


def _reference(task: _Task, features: _Features, head: Head, held_out: _HeldOut, seed: int) -> Reference:
    sample = np.sort(np.random.default_rng(seed).permutation(task.rows)[:REFERENCE_TEXTS])
    assert head.out_of_scope is not None
    return Reference(
        centroids=head.out_of_scope.centroids,
        distances=held_out.distances,
        confidence=label_probabilities(held_out.logits, head.temperature).max(axis=1),
        embeddings=features.embeddings[sample],
        label_shares=(np.bincount(held_out.targets, minlength=len(task.labels)) / len(held_out.targets)).astype(np.float32),
    )


def _in_parallel(work: Callable[[S], T], items: Iterable[S], on_done: Callable[[int], None]) -> list[T]:
    """Run `work` on every item on all cores (numpy leaves the interpreter free), results in order."""
    results = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for done, result in enumerate(pool.map(work, items), start=1):
            results.append(result)
            on_done(done)
    return results


def _some(labels: Iterable[str | None]) -> str:
    return ", ".join(sorted(str(label) for label in labels)[:8]) or "none"
