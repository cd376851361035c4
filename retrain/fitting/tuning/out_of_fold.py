"""What a model says of texts that it does not know: each training text answered by a model of the other folds."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.heads import Floats
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.loop import fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained
from retrain.progress import Progress, no_progress

_UNKNOWN: Final = -30.0


def out_of_fold_answers(
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
) -> dict[str, Floats]:
    """By head, calibrated logits (training texts, labels), each by a model that was tuned on the other folds and
    calibrated on the tuning texts. folds: (training texts,). A label that no other fold has is very unlikely."""
    numbers = np.unique(folds)
    answers = {
        head: np.full((len(training), training.label_count(head, tuning)), _UNKNOWN, dtype=np.float32)
        for head in training.labels
    }
    for count, fold in enumerate(numbers, start=1):
        inside = np.flatnonzero(folds == fold)
        found = fine_tune(
            start,
            replace(training.of(np.flatnonzero(folds != fold)), soft={}),
            tuning,
            seed=seed,
            plan=replace(plan, distillation=0.0, teacher="", seeds=1, unlabelled=0.0, stack=False),
            body=body,
            asked=tuple(training.of(inside).texts),
            around=around,
            progress=progress,
            stage=f"out of fold, {count} of {len(numbers)}",
        )
        for head, logits in found.answers.items():
            answers[head][inside, : logits.shape[1]] = logits / found.temperatures[head]
    return answers
