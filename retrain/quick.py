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
from retrain.calibration import choose_threshold, fit_temperature
from retrain.data import Dataset, Row, text_key
from retrain.linear import LinearPolicy, LinearWeights, fit_softmax
from retrain.vocabulary import build_vocabulary

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
    LinearPolicy(embedding=0.3, words=1.0, characters=2.0, strength=4.0),  # a script that the encoder cannot read
)
SEARCH_TEXTS: Final = 12_000  # more do not change which policy wins, only how long it takes
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
    embeddings: Floats
    ngrams: sparse.csr_array
    words: int

    def take(self, rows: Ints) -> "_Features":
        return _Features(self.embeddings[rows], self.ngrams[rows], self.words)


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
    vocabulary = build_vocabulary(
        counts, [(task.rows, task.targets[task.rows], len(task.labels)) for task in tasks]
    )
    features = _Features(embeddings, vocabulary.weigh(counts), vocabulary.words)
    trained, choices, reference = [], {}, None
    with threadpool_limits(1):  # the folds run side by side; BLAS threads would stand in each other's way
        for number, task in enumerate(tasks):
            head, chosen, held_out = _train_head(task, features, seed, number == 0, progress)
            trained.append(head)
            choices[task.name] = chosen
            reference = reference or _reference(task, features, head, held_out, seed)
    assert reference is not None
    return Trained(encoder, vocabulary, tuple(trained), reference, choices)


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
    weights = _fit(task, features, task.rows, policy, seed)
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
    """The policy with the best accuracy on texts it was not fitted on; the lower cross-entropy decides near ties."""
    random = np.random.default_rng(seed)
    kept = np.sort(random.permutation(len(task.rows))[:SEARCH_TEXTS])
    rows, folds = task.rows[kept], task.folds[kept]
    tried = range(FOLDS if len(rows) < 3000 else 2)

    def score(policy: LinearPolicy) -> tuple[float, float]:
        logits, targets = [], []
        for fold in tried:
            weights = _fit(task, features, rows[folds != fold], policy, seed)
            judged = rows[folds == fold]
            logits.append(_logits(weights, features.take(judged)))
            targets.append(task.targets[judged])
        together, wanted = np.concatenate(logits), np.concatenate(targets)
        calibrated = label_probabilities(together, fit_temperature(together, wanted))
        loss = -np.log(np.maximum(calibrated[np.arange(len(wanted)), wanted], 1e-9)).mean()
        return float((together.argmax(axis=1) == wanted).mean()), float(loss)

    scores = _in_parallel(score, POLICIES, lambda done: progress(f"choosing for {task.name}", done, len(POLICIES)))
    best_accuracy = max(accuracy for accuracy, _ in scores)
    noise = float(np.sqrt(best_accuracy * (1 - best_accuracy) / max(len(rows), 1))) / 2
    near = [index for index, (accuracy, _) in enumerate(scores) if accuracy >= best_accuracy - noise]
    best = min(near, key=lambda index: scores[index][1])
    return POLICIES[best], scores[best][0]


def _out_of_fold(task: _Task, features: _Features, policy: LinearPolicy, seed: int, progress: Progress) -> _HeldOut:
    """Every training text, judged by a model fitted on the other folds."""
    logits = np.empty((len(task.rows), len(task.labels)), dtype=np.float32)
    distances = np.empty(len(task.rows), dtype=np.float32)

    def judge(fold: int) -> None:
        inside, judged = task.rows[task.folds != fold], task.folds == fold
        held = features.take(task.rows[judged])
        logits[judged] = _logits(_fit(task, features, inside, policy, seed), held)
        centroids = unit_centroids(features.embeddings[inside], task.targets[inside], len(task.labels))
        distances[judged] = centroid_distances(held.embeddings, centroids)

    _in_parallel(judge, range(FOLDS), lambda done: progress(f"cross-fitting {task.name}", done, FOLDS))
    return _HeldOut(logits, task.targets[task.rows], distances)


def _on_tuning(task: _Task, features: _Features, head: Head) -> _HeldOut:
    tuning = features.take(task.tuning)
    centroids = unit_centroids(features.embeddings[task.rows], task.targets[task.rows], len(task.labels))
    logits = head.logits(tuning.embeddings, tuning.ngrams)
    return _HeldOut(logits, task.targets[task.tuning], centroid_distances(tuning.embeddings, centroids))


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


def _fit(task: _Task, features: _Features, rows: Ints, policy: LinearPolicy, seed: int) -> LinearWeights:
    chosen = features.take(rows)
    return fit_softmax(
        chosen.embeddings,
        chosen.ngrams,
        task.targets[rows],
        len(task.labels),
        policy,
        words=features.words,
        seed=seed,
    )


def _logits(weights: LinearWeights, features: _Features) -> Floats:
    return weights.logits(features.embeddings, features.ngrams)


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
