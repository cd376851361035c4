"""Soft labels that a model gives to texts that it does not know: its own folds stand for a teacher.

A model is sure of every text that it was fitted on, right or wrong. Fitted on the other folds it says what the texts
say, and wrong labels stand out.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.heads import label_probabilities
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.loop import Around, fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import NO_LABEL, LabelledTexts, Pretrained
from retrain.progress import Progress, no_progress


def with_own_soft_labels(
    start: Pretrained,
    training: LabelledTexts,
    tuning: LabelledTexts,
    folds: NDArray[np.int64],
    *,
    seed: int,
    plan: FineTuning,
    body: Body | None = None,
    around: Around | None = None,
    progress: Progress = no_progress,
) -> LabelledTexts:
    """The training texts with soft labels, each by a model that was tuned on the other folds and calibrated on the
    tuning texts. folds: (training texts,).

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015; Furlanello et al., Born-Again Neural
    Networks, 2018.
    """
    taught = {
        head: np.zeros((len(training), _count(training, tuning, head)), dtype=np.float32) for head in training.labels
    }
    numbers = np.unique(folds)
    for count, fold in enumerate(numbers, start=1):
        inside = np.flatnonzero(folds == fold)
        asked = (*training.of(inside).texts, *tuning.texts)
        found = fine_tune(
            start,
            _kept_labels(training, np.flatnonzero(folds != fold)),
            tuning,
            seed=seed,
            plan=replace(plan, distillation=0.0, seeds=1, unlabelled=0.0),
            body=body,
            asked=asked,
            around=around,
            progress=progress,
            stage=f"soft labels, fold {count} of {len(numbers)}",
        )
        for head, logits in found.answers.items():
            has = tuning.labels[head] != NO_LABEL
            temperature = fit_temperature(logits[len(inside) :][has], tuning.labels[head][has]) if has.any() else 1.0
            soft = label_probabilities(logits[: len(inside)], temperature * plan.distillation_temperature)
            taught[head][inside, : soft.shape[1]] = soft
    return replace(training, soft=taught)


def _count(training: LabelledTexts, tuning: LabelledTexts, head: str) -> int:
    return int(max(training.labels[head].max(), tuning.labels[head].max())) + 1


def _kept_labels(training: LabelledTexts, rows: NDArray[np.int64]) -> LabelledTexts:
    """Some of the texts, without soft labels."""
    return replace(training.of(rows), soft={})
