"""Heads that may give a text several labels: each label against the rest by squared hinge, calibrated, with one
threshold for all of them, which folds of the training texts choose (docs/models/several_labels.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.heads import Head
from models.label_sets import known_labels, labels_of, strata
from retrain.crossfit import CrossFit, Features, HeldOut, Task, assign_folds
from retrain.data import Row
from retrain.fitting.linear import LinearPolicy, LinearWeights
from retrain.fitting.several_labels import fit_calibration, fit_several, micro_f1
from retrain.progress import Progress

POLICIES: Final = (LinearPolicy(embedding=1.0, words=0.7, characters=0.7, strength=3.0, loss="squared_hinge"),)
POLICIES_WITHOUT_SPACES: Final = (
    LinearPolicy(embedding=0.2, words=0.3, characters=1.0, strength=3.0, loss="squared_hinge"),
    LinearPolicy(embedding=1.0, words=0.3, characters=1.0, strength=3.0, loss="squared_hinge"),
)


@dataclass(frozen=True, slots=True)
class FittedSeveral:
    """policy: what was chosen. micro_f1: its own on held-out texts. held_out: every training text, by the other folds.
    judged: what the head was calibrated on. The logits of both are calibrated as the head's."""

    head: Head
    policy: LinearPolicy
    micro_f1: float
    held_out: HeldOut
    judged: HeldOut


def several_task(
    name: str, rows: Sequence[Row], seed: int, unseen: NDArray[np.bool_] | None, *, without_spaces: bool
) -> Task:
    """The head's share of the rows. unseen: see `Task`. Raises TrainingDataError where there is nothing to learn."""
    trains = np.array([row.split == "train" and name in row.labels for row in rows])
    tunes = np.array([row.split != "train" and name in row.labels for row in rows])
    training = np.flatnonzero(trains)
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
    return Task(name, labels, has_set, training, folds, np.flatnonzero(tunes), policies, unseen, wanted=wanted)


def train_several(task: Task, features: Features, seed: int, progress: Progress) -> FittedSeveral:
    """The head of a task of `several_task`."""
    cross = CrossFit(task, features, seed, progress)
    judge = cross.unseen if task.unseen is not None else cross.on_tuning if task.is_tuned else cross.held_out
    policy, slopes, biases, best = task.policies[0], None, None, -1.0
    for one in task.policies:
        tried = judge(one)
        slope, bias = fit_calibration(tried.logits, _wanted(tried))
        logits = tried.logits * slope + bias
        reached = micro_f1(fit_several(logits, _wanted(tried)).given(logits), _wanted(tried))
        if reached > best:
            policy, slopes, biases, best = one, slope, bias, reached
    assert slopes is not None and biases is not None
    progress(f"fitting {task.name}", 0, 1)
    raw = cross.fit(policy)
    weights = LinearWeights(raw.dense * slopes, raw.ngrams * slopes, raw.bias * slopes + biases)
    judged, held_out = (
        replace(one, logits=one.logits * slopes + biases) for one in (judge(policy), cross.held_out(policy))
    )
    several = fit_several(judged.logits, _wanted(judged))
    head = Head(task.name, task.labels, weights.dense, weights.ngrams, weights.bias, 1.0, several=several)
    progress(f"fitting {task.name}", 1, 1)
    return FittedSeveral(head.rounded(), policy, best, held_out, judged)


def _wanted(held_out: HeldOut) -> NDArray[np.bool_]:
    assert held_out.wanted is not None
    return held_out.wanted
