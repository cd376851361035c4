"""Heads that may give a text several labels: each label against the rest by squared hinge, calibrated, with one
threshold for all of them, which folds of the training texts choose (docs/models/several_labels.md)."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.heads import Floats, Head
from models.label_sets import known_labels, labels_of, strata
from retrain.crossfit import CrossFit, Features, HeldOut, Task, assign_folds
from retrain.data import Row
from retrain.fitting.kernel import MAX_TEXTS
from retrain.fitting.linear import LinearPolicy
from retrain.fitting.several_labels import fit_calibration, fit_several, micro_f1
from retrain.progress import Progress

_WORD_OF_NAME: Final = re.compile(r"[A-Z]?[^\W_A-Z]+|[A-Z]+(?![a-z])", re.UNICODE)
USUAL_LENGTH: Final = 14.0  # of a label's weights of the embedding in heads of one label: 12 to 14 on Banking77
POLICIES: Final = (LinearPolicy(embedding=1.0, words=0.7, characters=0.7, strength=1.0, loss="squared_hinge"),)
POLICIES_WITHOUT_SPACES: Final = (
    LinearPolicy(embedding=0.2, words=0.3, characters=1.0, strength=1.0, loss="squared_hinge"),
    LinearPolicy(embedding=1.0, words=0.3, characters=1.0, strength=1.0, loss="squared_hinge"),
)


@dataclass(frozen=True, slots=True)
class FittedSeveral:
    """task: of the texts alone. policy, with_names: what was chosen. micro_f1: its own on held-out texts. held_out:
    every training text, by the other folds. judged: what the head was calibrated on. The logits of both are as the
    head's."""

    task: Task
    head: Head
    policy: LinearPolicy
    with_names: bool
    micro_f1: float
    held_out: HeldOut
    judged: HeldOut


def rows_of_names(rows: Sequence[Row], heads: Collection[str]) -> list[Row]:
    """The labels' own names as texts that have just that label: of few texts a name says more of its label than they
    do. Where texts are many (MAX_TEXTS) none: they say it all, and trying would cost twice the time.

    rows: that do not test. heads: that give several labels.
    Source: label names as the first texts, Meng et al., Text Classification Using Label Names Only (2020).
    """
    made = []
    for head in sorted(heads):
        for label in sorted(
            known_labels(row.labels[head] for row in rows if head in row.labels and row.split == "train")
        ):
            spelled = " ".join(_WORD_OF_NAME.findall(label)).casefold()
            if spelled:
                made.append(Row(spelled, {head: label}))
    return made if len(rows) + len(made) <= MAX_TEXTS else []


def several_task(
    name: str,
    rows: Sequence[Row],
    seed: int,
    unseen: NDArray[np.bool_] | None,
    *,
    without_spaces: bool,
    texts: int | None = None,
) -> Task:
    """The head's share of the rows. unseen: see `Task`. texts: how many of the rows are texts, None: all; those behind
    are of `rows_of_names`, which stand in no fold (-1): they train beside each, and judge nothing. Raises
    TrainingDataError where there is nothing to learn."""
    is_text = np.arange(len(rows)) < (len(rows) if texts is None else texts)
    has = np.array([name in row.labels for row in rows])
    trains = np.array([row.split == "train" for row in rows]) & has
    training, named = np.flatnonzero(trains & is_text), np.flatnonzero(trains & ~is_text)
    tunes = has & ~trains
    folded = [rows[row] for row in training.tolist()]
    sets = [row.labels[name] for row in folded]
    labels = tuple(sorted(known_labels(sets)))
    if not labels:
        raise TrainingDataError(f"no text has a label of head {name!r}; it needs texts with and without each label")
    number = {label: column for column, label in enumerate(labels)}
    wanted = np.zeros((len(rows), len(labels)), dtype=bool)
    for index, row in enumerate(rows):
        for label in labels_of(row.labels.get(name, "")):
            if label in number:
                wanted[index, number[label]] = True
    everywhere = [label for label in labels if wanted[training, number[label]].all()]
    if everywhere:
        raise TrainingDataError(f"every text has the label {everywhere[0]!r} of head {name!r}; give it others as well")
    _, dealt = np.unique(strata(sets), return_inverse=True)
    folds = assign_folds([row.text for row in folded], dealt, seed, [row.group for row in folded])
    if len(np.unique(folds)) < 2:
        raise TrainingDataError(f"all texts of head {name!r} are one text, or of one group; give it others as well")
    policies = POLICIES_WITHOUT_SPACES if without_spaces else POLICIES
    has_set = np.array([0 if name in row.labels else -1 for row in rows], dtype=np.int64)
    folds = np.concatenate([folds, np.full(len(named), -1)])
    training = np.concatenate([training, named])
    return Task(name, labels, has_set, training, folds, np.flatnonzero(tunes), policies, unseen, wanted=wanted)


def train_several(task: Task, features: Features, seed: int, progress: Progress) -> FittedSeveral:
    """The head of a task of `several_task`. Whether the labels' names train, and by which policy, is what gives the
    highest micro-F1 on texts that were not fitted on."""
    texts = replace(task, rows=task.rows[task.folds >= 0], folds=task.folds[task.folds >= 0])
    sides = [texts] if len(texts.rows) == len(task.rows) else [texts, task]
    tried = [_tried(side, policy, features, seed, progress) for side in sides for policy in task.policies]
    best = max(tried, key=lambda one: one.micro_f1)  # of equals the simplest, which comes first
    progress(f"fitting {task.name}", 0, 1)
    raw = best.cross.fit(best.policy)
    judged, held_out = (one.logits * best.slopes + best.biases for one in (best.judged, _held_out(best)))
    several = fit_several(judged, _wanted(best.judged))
    temperature = _temperature(raw.dense * best.slopes)
    slopes, biases = best.slopes * temperature, best.biases * temperature
    weights = raw.dense * slopes, raw.ngrams * slopes, raw.bias * slopes + biases
    head = Head(task.name, task.labels, *weights, float(temperature), several=several)
    progress(f"fitting {task.name}", 1, 1)
    return FittedSeveral(
        texts,
        head.rounded(),
        best.policy,
        best.side is not texts,
        best.micro_f1,
        replace(_held_out(best), logits=held_out * temperature),
        replace(best.judged, logits=judged * temperature),
    )


def _temperature(dense: Floats) -> np.float32:
    """The power of two by which calibrated weights of the embedding, (dimensions, labels), become no longer than those
    of a head of one label: golden texts allow a head's logits to be off by so much on another processor, which computes
    other embeddings. A power of two changes no decision."""
    longest = float(np.linalg.norm(dense, axis=0).max())
    return np.float32(2.0 ** -max(0, int(np.ceil(np.log2(max(longest, 1e-9) / USUAL_LENGTH)))))


@dataclass(frozen=True, slots=True)
class _Tried:
    """judged: by classifiers that were not fitted on these texts. slopes, biases: their calibration. micro_f1: after
    it."""

    side: Task
    cross: CrossFit
    policy: LinearPolicy
    judged: HeldOut
    slopes: Floats
    biases: Floats
    micro_f1: float


def _tried(side: Task, policy: LinearPolicy, features: Features, seed: int, progress: Progress) -> _Tried:
    cross = CrossFit(side, features, seed, progress)
    judge = cross.unseen if side.unseen is not None else cross.on_tuning if side.is_tuned else cross.held_out
    judged = judge(policy)
    slopes, biases = fit_calibration(judged.logits, _wanted(judged))
    logits = judged.logits * slopes + biases
    reached = micro_f1(fit_several(logits, _wanted(judged)).given(logits), _wanted(judged))
    return _Tried(side, cross, policy, judged, slopes, biases, reached)


def _held_out(tried: _Tried) -> HeldOut:
    return tried.cross.held_out(tried.policy)


def _wanted(held_out: HeldOut) -> NDArray[np.bool_]:
    assert held_out.wanted is not None
    return held_out.wanted
