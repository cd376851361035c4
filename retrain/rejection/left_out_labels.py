"""Labels that are left out in turn: their texts stand for out-of-scope texts, where nobody knows any.

Labels are dealt into groups. A model of all other groups' labels has never seen a text of this one's, nor a class for
it, as it will not have seen the questions that nobody thought of; texts in scope are judged by it out of fold as well.
Source: Lane et al., Out-of-domain Utterance Detection Using Classification Confidences of Multiple Topics (2007).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.heads import Floats, OutOfScope, centroid_distances, label_probabilities
from retrain.crossfit import FOLDS, Features, Ints, Task, in_parallel
from retrain.fitting.linear import LinearPolicy
from retrain.progress import Progress

GROUPS: Final = 5
MIN_LABELS: Final = 3  # a model needs two when one is left out
MAX_TEXTS: Final = 6_000  # that train: more do not change where left-out labels lie, only how long it takes


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Out-of-scope scores by models that know some of the labels only. in_scope: of texts of labels that the model
    knows. strange: of texts of those that it does not know; rows: numbers of these texts; probabilities: of the labels
    that they get all the same. groups: of each label, the group with which it was left out."""

    in_scope: Floats
    strange: Floats
    rows: Ints
    probabilities: Floats
    groups: Ints


def leave_labels_out(
    task: Task,
    features: Features,
    policy: LinearPolicy,
    scorer: OutOfScope,
    seed: int,
    progress: Progress,
    strangeness: Floats | None = None,
) -> LeftOut:
    """scorer: of all labels; its scale is kept. strangeness: (all texts,), where the scorer has a direction. Raises
    TrainingDataError where the head has fewer than MIN_LABELS labels."""
    if len(task.labels) < MIN_LABELS:
        raise TrainingDataError(
            f"head {task.name!r} has {len(task.labels)} labels, and none can be left out to stand for out-of-scope "
            f"texts; give known ones (--oos-label) or live texts (--unlabelled) to reject by cost"
        )
    random = np.random.default_rng(seed)
    kept = np.sort(random.permutation(len(task.rows))[:MAX_TEXTS])
    rows, folds = task.rows[kept], task.folds[kept]
    groups = random.permutation(len(task.labels)) % min(GROUPS, len(task.labels))

    def judge(group: int) -> tuple[Floats, Floats, Ints, Floats]:
        out = groups[task.targets[rows]] == group
        partial = task_of_labels(task, groups != group)
        training = rows[~out & (folds != group % FOLDS)]
        weights = partial.fit(features, training, policy, seed)
        centroids = partial.centroids(features, training)

        def scores(judged: Ints) -> tuple[Floats, Floats]:
            embeddings = features.embeddings[judged]
            logits = weights.logits(embeddings, features.ngrams[judged])
            values = None if strangeness is None else strangeness[judged]
            found = scorer.combined(logits, centroid_distances(embeddings, centroids), values)
            return found, label_probabilities(logits, scorer.temperature).max(axis=1)

        known = np.concatenate([rows[~out & (folds == group % FOLDS)], _of(task, task.tuning, groups != group)])
        unknown = np.concatenate([rows[out], _of(task, task.tuning, groups == group)])
        if task.unseen is not None:
            known, unknown = known[task.unseen[known]], unknown[task.unseen[unknown]]
        of_unknown, probabilities = scores(unknown)
        return scores(known)[0], of_unknown, unknown, probabilities

    total = int(groups.max()) + 1
    stage = f"leaving labels of {task.name} out"
    parts = in_parallel(judge, range(total), lambda done: progress(stage, done, total))
    in_scope, strange, unknown, probabilities = (np.concatenate(of_groups) for of_groups in zip(*parts, strict=True))
    left = LeftOut(in_scope, strange, unknown, probabilities, groups)
    if not len(left.in_scope) or not len(left.strange):
        raise TrainingDataError(f"too few texts of head {task.name!r} are left to reject by cost; give it more")
    return left


def _of(task: Task, rows: Ints, labels: NDArray[np.bool_]) -> Ints:
    chosen: Ints = rows[labels[task.targets[rows]]]
    return chosen


def task_of_labels(task: Task, labels: NDArray[np.bool_]) -> Task:
    """The task of some of its labels, numbered anew."""
    number = np.where(labels, np.cumsum(labels) - 1, -1)
    return replace(
        task,
        labels=tuple(label for label, is_kept in zip(task.labels, labels.tolist(), strict=True) if is_kept),
        targets=np.where(task.targets >= 0, number[task.targets], -1),
        is_new=None if task.is_new is None or not task.is_new[labels].any() else task.is_new[labels],
    )
