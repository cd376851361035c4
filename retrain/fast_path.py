"""Training the fast path: n-gram heads, and how sure they must be (docs/fast_path.md).

Both the n-gram heads and the full path are judged on texts that they were not trained on: folds of the training texts
and the tuning texts; where the encoder itself was trained on the training texts, the tuning texts alone. Each head's
threshold is the lowest that keeps three promises, tested from the highest one down until the first that fails, so that
the search itself costs nothing of the confidence (fixed-sequence testing; Angelopoulos et al., Learn then Test, 2021).

Two kinds are fitted and held to the same promises: n-grams alone, and n-grams beside a static table out of the encoder
(`retrain.fitting.static_table`), which is taken where it decides MIN_GAIN more of the judged texts. Either serves as
weights of n-grams.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.fast_path import MAX_NGRAMS, FastHead, FastPath, is_readable, weigh_occurrences
from models.heads import Floats, label_probabilities
from models.ngrams import BUCKETS, NgramVocabulary, Occurrences
from retrain.crossfit import FOLDS, Features, Ints, Task, in_parallel
from retrain.fast_thresholds import (
    USEFUL_COVERAGE,
    Pairs,
    Promise,
    choose_fast_threshold,
    share_bound,
)
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.fitting.static_table import HeadTable, TableFit, Teacher, most_frequent_words, spell_out
from retrain.fitting.vocabulary import build_vocabulary
from retrain.paired_bounds import accuracy_drop_bound
from retrain.progress import Progress
from retrain.rejection.choosing import LeftOutTexts
from retrain.rejection.left_out_labels import MAX_TEXTS as MAX_LEFT_OUT_TEXTS
from retrain.rejection.left_out_labels import task_of_labels

MAX_WEIGHTS: Final = 2_400_000  # of all heads together, 2 bytes each: 4.8 MB
POLICY: Final = LinearPolicy(embedding=0.0, words=1.0, characters=0.5)
POLICIES_OF_FEW_TEXTS: Final = (  # in turn, until one keeps the promises: scripts without spaces need their characters
    POLICY,
    LinearPolicy(embedding=0.0, words=1.0, characters=2.0, strength=4.0),
    LinearPolicy(embedding=0.0, words=0.3, characters=4.0, strength=0.5),
)
POLICY_WITH_TABLE: Final = LinearPolicy(embedding=0.5, words=1.0, characters=0.5)
MIN_GAIN: Final = 0.05  # of the judged texts: what a table must decide more than the n-grams alone
NGRAMS: Final = "ngrams"  # kinds, as the manifest names them
WITH_TABLE: Final = "ngrams_with_table"


@dataclass(frozen=True, slots=True)
class FullPath:
    """One head on the full path, of all texts that are not tested. columns: number of the label that it decides.

    rejected: whether it rejects the text. Both by models that were not trained on the text. strange: texts that are
    known to be out of scope (none of a head without such a label). left_out: texts that stand for such ones.
    """

    task: Task
    columns: Ints
    rejected: NDArray[np.bool_]
    strange: NDArray[np.bool_]
    left_out: LeftOutTexts | None = None


@dataclass(frozen=True, slots=True)
class TrainedFastPath:
    """sure: of every text it was trained with, whether a fast path that was not trained on it would have decided it."""

    path: FastPath
    sure: NDArray[np.bool_]


def train_fast_path(
    found: Occurrences,
    heads: Sequence[FullPath],
    judged: NDArray[np.bool_],
    seed: int,
    progress: Progress,
    teacher: Teacher | None = None,
) -> TrainedFastPath | None:
    """The fast path beside these heads, or None where it would decide too few texts to be worth it.

    found: of all texts that are not tested. heads: the release's, in order. judged: (texts,), which texts the full path
    may be judged on. teacher: what a static table is made of; None fits n-grams alone. Call it with BLAS limited to one
    thread: the fits run side by side.
    """
    training = np.unique(np.concatenate([head.task.rows for head in heads]))
    labels = sum(len(head.task.labels) for head in heads)
    vocabulary = build_vocabulary(found.counted(), training, labels, max_weights=MAX_WEIGHTS, max_ngrams=MAX_NGRAMS)
    features = _features(found, vocabulary)
    readable = is_readable(found, _places(vocabulary), len(vocabulary))
    fitted = [_fit(head, features, judged, seed, progress) for head in heads]
    chosen = _candidate(NGRAMS, fitted, heads, judged, readable)
    coverage = {NGRAMS: 0.0 if chosen is None else chosen.coverage}
    if teacher is not None and vocabulary.words and coverage[NGRAMS] <= 1 - MIN_GAIN:
        table = _table_fit(found, training, teacher, vocabulary, features)
        fitted = [_fit_with_table(head, features, table, judged, seed, progress) for head in heads]
        other = _candidate(WITH_TABLE, fitted, heads, judged, readable)
        coverage[WITH_TABLE] = 0.0 if other is None else other.coverage
        if coverage[WITH_TABLE] >= coverage[NGRAMS] + MIN_GAIN:
            chosen = other
    if chosen is None or chosen.coverage < USEFUL_COVERAGE:
        return None
    path = FastPath(
        vocabulary,
        np.concatenate([each.weights.ngrams for each in chosen.fitted], axis=1),
        np.concatenate([each.weights.bias for each in chosen.fitted]),
        tuple(each.head for each in chosen.fitted),
        {**chosen.measured, "kind": chosen.kind, "coverage_of_kinds": coverage},
    )
    return TrainedFastPath(path.rounded(), chosen.sure)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """columns, sure: of all texts, by models that were not trained on them. promise: what the threshold was chosen
    by."""

    head: FastHead
    weights: LinearWeights
    columns: Ints
    sure: NDArray[np.bool_]
    promise: Promise


@dataclass(frozen=True, slots=True)
class _Candidate:
    """All heads of one kind. sure: (texts,), all of them at once. measured: for the manifest."""

    kind: str
    fitted: Sequence[_Fitted]
    sure: NDArray[np.bool_]
    measured: dict[str, Any]

    @property
    def coverage(self) -> float:
        return float(self.measured["coverage"])


def _candidate(
    kind: str,
    fitted: Sequence[_Fitted | None],
    heads: Sequence[FullPath],
    judged: NDArray[np.bool_],
    readable: NDArray[np.bool_],
) -> _Candidate | None:
    """None where one of the heads keeps its promises at no useful coverage."""
    chosen = [each for each in fitted if each is not None]
    if len(chosen) < len(fitted):
        return None
    sure = np.logical_and.reduce([each.sure for each in chosen]) & readable
    return _Candidate(kind, chosen, sure, _measure(chosen, heads, judged, sure))


def _places(vocabulary: NgramVocabulary) -> NDArray[np.uint16]:
    places = np.full(BUCKETS, len(vocabulary), dtype=np.uint16)
    places[vocabulary.buckets] = np.arange(len(vocabulary))
    return places


def _features(found: Occurrences, vocabulary: NgramVocabulary) -> Features:
    ngrams = weigh_occurrences(found, _places(vocabulary), np.append(vocabulary.idf, np.float32(vocabulary.unseen_idf)))
    ngrams.sum_duplicates()  # the same product, faster
    return Features.of(np.zeros((len(found), 0), dtype=np.float32), ngrams, vocabulary.words)


def _table_fit(
    found: Occurrences, training: Ints, teacher: Teacher, vocabulary: NgramVocabulary, features: Features
) -> TableFit:
    columns = most_frequent_words(vocabulary)
    alone = teacher.embed(spell_out(found, training, teacher.texts, vocabulary.buckets[columns]))
    words = sparse.csr_array(features.ngrams[:, columns])
    return TableFit.of(columns, words, alone, teacher.embeddings, training)


def _fit(
    full: FullPath, features: Features, judged: NDArray[np.bool_], seed: int, progress: Progress
) -> _Fitted | None:
    """A head with its threshold; None where no threshold keeps the promises at a useful coverage."""
    policies = POLICIES_OF_FEW_TEXTS if features.kernels is not None else (POLICY,)
    for policy in policies:
        fitted = _fit_policy(full, features, judged, policy, seed, progress)
        if fitted is not None:
            return fitted
    return None


def _fit_with_table(
    full: FullPath, features: Features, fit: TableFit, judged: NDArray[np.bool_], seed: int, progress: Progress
) -> _Fitted | None:
    """The same beside a static table, which is then folded into the words' weights."""
    stage = f"fitting the table of {full.task.name}"
    table = HeadTable.of(fit, full.task.rows, full.task.folds, lambda done, total: progress(stage, done, total))
    kernels = features.kernels and replace(features.kernels, embedding=table.texts @ table.texts.T)
    beside = replace(features, embeddings=table.texts, kernels=kernels)
    fitted = _fit_policy(full, beside, judged, POLICY_WITH_TABLE, seed, progress, table)
    return None if fitted is None else replace(fitted, weights=table.folded(fitted.weights))


def _fit_policy(
    full: FullPath,
    features: Features,
    judged: NDArray[np.bool_],
    policy: LinearPolicy,
    seed: int,
    progress: Progress,
    table: HeadTable | None = None,
) -> _Fitted | None:
    task = full.task
    in_scope = judged & (task.targets >= 0)
    weights, logits = _cross_fit(task, features, policy, seed, progress)
    temperature = fit_temperature(logits[in_scope], task.targets[in_scope])
    probabilities = label_probabilities(logits, temperature)
    columns, surest = probabilities.argmax(axis=1), probabilities.max(axis=1)
    strange_surest, strange_rejected = surest[full.strange], full.rejected[full.strange]
    if full.left_out is not None:
        of_left = _surest_without_label(full, full.left_out, features, policy, temperature, seed, progress, table)
        strange_surest = np.concatenate([strange_surest, of_left])
        strange_rejected = np.concatenate([strange_rejected, full.left_out.rejected])
    pairs = Pairs(
        surest[in_scope],
        (columns == task.targets)[in_scope],
        (full.columns == task.targets)[in_scope],
        full.rejected[in_scope],
        strange_surest,
        strange_rejected,
        full.left_out is not None,
    )
    promise = choose_fast_threshold(pairs)
    if promise is None:
        return None
    head = FastHead(task.name, task.labels, temperature, promise.threshold)
    return _Fitted(head, weights, columns, surest >= np.float32(promise.threshold), promise)


def _cross_fit(
    task: Task, features: Features, policy: LinearPolicy, seed: int, progress: Progress
) -> tuple[LinearWeights, Floats]:
    """The head of all training texts, and logits of all texts: of a training text by a head of the other folds."""
    parts = [task.rows[task.folds != fold] for fold in range(FOLDS)] + [task.rows]

    def fit(rows: Ints) -> LinearWeights:
        return task.fit(features, rows, policy, seed)

    stage = f"fitting the fast path of {task.name}"
    *of_folds, weights = in_parallel(fit, parts, lambda done: progress(stage, done, len(parts)))
    logits = weights.logits(features.embeddings, features.ngrams)
    for fold, fitted in enumerate(of_folds):
        outside = task.rows[task.folds == fold]
        logits[outside] = fitted.logits(features.embeddings[outside], features.ngrams[outside])
    return weights, logits


def _surest_without_label(
    full: FullPath,
    left_out: LeftOutTexts,
    features: Features,
    policy: LinearPolicy,
    temperature: float,
    seed: int,
    progress: Progress,
    table: HeadTable | None = None,
) -> Floats:
    """Highest probability of each left-out text by n-grams, and a table, that do not know its label, (left-out
    texts,)."""
    task, surest = full.task, np.zeros(len(left_out.rows), dtype=np.float32)
    group_of_text = left_out.groups[task.targets[left_out.rows]]
    kept = np.sort(np.random.default_rng(seed).permutation(len(task.rows))[:MAX_LEFT_OUT_TEXTS])
    training = task.rows[kept]

    def judge(group: int) -> None:
        others = training[left_out.groups[task.targets[training]] != group]
        weights = task_of_labels(task, left_out.groups != group).fit(features, others, policy, seed)
        judged = left_out.rows[group_of_text == group]
        dense = features.embeddings[judged] if table is None else table.read_as_new(judged, others)
        logits = weights.logits(dense, features.ngrams[judged])
        surest[group_of_text == group] = label_probabilities(logits, temperature).max(axis=1)

    total = int(left_out.groups.max()) + 1
    stage = f"leaving labels of {task.name} out of the fast path"
    in_parallel(judge, range(total), lambda done: progress(stage, done, total))
    return surest


def _measure(
    fitted: Sequence[_Fitted], heads: Sequence[FullPath], judged: NDArray[np.bool_], sure: NDArray[np.bool_]
) -> dict[str, Any]:
    """What all heads together do, on texts that none of them was trained on. sure: (texts,), all heads at once."""
    agrees = np.logical_and.reduce(
        [(each.columns == full.columns) & ~full.rejected for each, full in zip(fitted, heads, strict=True)]
    )
    primary, first = heads[0], fitted[0]
    in_scope = judged & (primary.task.targets >= 0)
    coverage = float(sure[in_scope].mean())
    return {
        "texts": int(in_scope.sum()),
        "coverage": round(coverage, 4),
        "agreement": round(float(agrees[in_scope & sure].mean()), 4) if coverage else 0.0,
        "agreement_counts": [int(agrees[in_scope & sure].sum()), int((in_scope & sure).sum())],
        "heads": {
            each.head.name: _promised(each, full, sure, judged) for each, full in zip(fitted, heads, strict=True)
        },
        "out_of_scope": _out_of_scope(sure[primary.strange], primary.rejected[primary.strange]),
        "chosen_by": first.promise.chosen_by,
    }


def _promised(fitted: _Fitted, full: FullPath, sure: NDArray[np.bool_], judged: NDArray[np.bool_]) -> dict[str, Any]:
    in_scope = judged & (full.task.targets >= 0)
    alone = (full.columns == full.task.targets)[in_scope]
    together = np.where(sure[in_scope], (fitted.columns == full.task.targets)[in_scope], alone)
    return {
        "threshold": round(fitted.head.threshold, 4),
        "chosen_by": fitted.promise.chosen_by,
        "accuracy": round(float(together.mean()), 4),
        "accuracy_full": round(float(alone.mean()), 4),
        "accuracy_drop_bound95": round(accuracy_drop_bound(together, alone), 4),
        "rejected_by_full_taken": round(float((full.rejected & sure)[in_scope].mean()), 4),
        "texts": int(in_scope.sum()),
    }


def _out_of_scope(sure: NDArray[np.bool_], rejected: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not len(sure):
        return None
    lost = int((sure & rejected).sum())
    return {
        "texts": len(sure),
        "coverage": round(float(sure.mean()), 4),
        "recall_full": round(float(rejected.mean()), 4),
        "recall_drop": round(lost / len(sure), 4),
        "recall_drop_bound95": round(share_bound(lost, len(sure)), 4),
    }
