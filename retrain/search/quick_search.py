"""What options of the quick strategy are worth: judged on training texts that the model in question has not seen.

Embeddings and n-grams are the same for all options, so they are computed once; a trial fits the primary head's
classifier on folds of the training rows, or on all of them where there are tuning rows enough. Test rows are dropped at
the start: nothing here can look at them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.encoder.encoder import Encoder
from models.ngrams import find_ngrams, share_without_spaces
from retrain.crossfit import FOLDS, CrossFit, Features, HeldOut, Task
from retrain.data import Dataset
from retrain.fitting.calibration import calibrated_loss
from retrain.fitting.quick_plan import QuickPlan
from retrain.fitting.vocabulary import build_vocabulary
from retrain.progress import Progress, no_progress
from retrain.strategies.quick import embed_texts, head_task

Report = Callable[[int, float], None]  # told the value so far after each step; may raise to end the trial

METRICS: Final = ("accuracy", "loss")


@dataclass(frozen=True, slots=True)
class Worth:
    """On unseen texts. loss: cross-entropy, calibrated."""

    accuracy: float
    loss: float
    texts: int

    @classmethod
    def of(cls, judged: HeldOut) -> "Worth":
        """Of these texts."""
        return cls(float(judged.right.mean()), calibrated_loss(judged.logits, judged.targets), len(judged.targets))

    def value(self, metric: str) -> float:
        """metric: one of METRICS."""
        return self.accuracy if metric == "accuracy" else self.loss


class QuickSearch:
    """Judges plans on one dataset."""

    def __init__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        *,
        seed: int = 0,
        oos_label: str | None = None,
        metric: str = "accuracy",
        progress: Progress = no_progress,
    ) -> None:
        """Embed the texts that train and tune. Raises TrainingDataError where there is nothing to train."""
        dataset.require_single_labels("a search of options")
        rows = [row for row in dataset.rows if row.split != "test"]
        texts = [row.text for row in rows]
        self._without_spaces = share_without_spaces([row.text for row in rows if row.split == "train"]) > 0.5
        self._tasks = [
            head_task(name, rows, oos_label if not number else None, seed, None, without_spaces=self._without_spaces)
            for number, name in enumerate(dataset.heads)
        ]
        self._embeddings = embed_texts(encoder, texts, progress)
        self._counts = find_ngrams(texts).counted()
        self._seed, self._metric = seed, metric
        self._features: dict[tuple[object, ...], Features] = {}

    @property
    def steps(self) -> int:
        """How often a trial tells its value so far."""
        return 1 if self._tasks[0].is_tuned else FOLDS

    def judge(self, plan: QuickPlan, report: Report = lambda step, value: None) -> Worth:
        """What a plan is worth. report: may end the trial."""
        features = self._read(plan)
        task = replace(self._tasks[0], policies=plan.policies(self._tasks[0].policies))
        with threadpool_limits(1):
            cross = CrossFit(task, features, self._seed, no_progress)
            policy = task.policies[0] if len(task.policies) == 1 else cross.choose()[0]
            if task.is_tuned:
                parts = [cross.on_tuning(policy)]
                report(1, Worth.of(parts[0]).value(self._metric))
            else:
                parts = []
                for fold in range(FOLDS):
                    parts.append(cross.of_fold(policy, fold))
                    report(fold + 1, Worth.of(HeldOut.joined(parts)).value(self._metric))
        return Worth.of(HeldOut.joined(parts))

    def _read(self, plan: QuickPlan) -> Features:
        """All texts as the plan's vocabulary reads them; the last one is kept."""
        key = tuple(sorted(plan.vocabulary().items()))
        if key not in self._features:
            training = np.unique(np.concatenate([task.rows for task in self._tasks]))
            vocabulary = build_vocabulary(
                self._counts,
                training,
                _labels(self._tasks),
                without_spaces=self._without_spaces,
                **plan.vocabulary(),
            )
            weighed = vocabulary.weigh(self._counts)
            self._features = {key: Features.of(self._embeddings, weighed, vocabulary.words)}
        return self._features[key]


def _labels(tasks: Sequence[Task]) -> int:
    return sum(len(task.labels) for task in tasks)
