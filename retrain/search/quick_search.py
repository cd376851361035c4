"""What options of the quick strategy are worth: judged on training texts that the model in question has not seen.

A trial reads texts as a training would: with what is composed of words, and the sentences that teach it, where the
dataset says that some head looks at that (`Dataset.polarity`).

Embeddings and n-grams are the same for all options, so they are computed once; a trial fits each head's classifier on
folds of the training rows, or on all of them where there are tuning rows enough, and is worth the mean of the heads.
Test rows are dropped at the start: nothing here can look at them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.encoder.encoder import Encoder
from models.ngrams import find_ngrams, share_without_spaces
from models.polarity.view import Polarity
from retrain.crossfit import FOLDS, CrossFit, Features, HeldOut, Task
from retrain.data import Dataset
from retrain.fitting.calibration import calibrated_loss
from retrain.fitting.linear import LinearPolicy
from retrain.fitting.quick_plan import QuickPlan
from retrain.progress import Progress, no_progress
from retrain.strategies.quick import (
    composed_of,
    embed_texts,
    head_features,
    head_task,
    policies_of,
    taught_by_composition,
)

Report = Callable[[int, float], None]  # told the value so far after each step; may raise to end the trial

METRICS: Final = ("accuracy", "loss")


@dataclass(frozen=True, slots=True)
class Worth:
    """On unseen texts. loss: cross-entropy, calibrated. texts: those of the head that has most."""

    accuracy: float
    loss: float
    texts: int

    @classmethod
    def of(cls, judged: HeldOut) -> "Worth":
        """Of these texts."""
        return cls(float(judged.right.mean()), calibrated_loss(judged.logits, judged.targets), len(judged.targets))

    @classmethod
    def mean(cls, worths: Sequence["Worth"]) -> "Worth":
        """Of several heads, each counting the same."""
        accuracy, loss = (float(np.mean([getattr(one, name) for one in worths])) for name in ("accuracy", "loss"))
        return cls(accuracy, loss, max(one.texts for one in worths))

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
        tasks = [
            head_task(name, rows, oos_label if not number else None, seed, None, without_spaces=self._without_spaces)
            for number, name in enumerate(dataset.heads)
        ]
        self._polarity: Polarity | None = dataset.polarity
        self._tasks, self._made = taught_by_composition(encoder, rows, tasks, self._polarity, seed, progress)
        self._composed = composed_of(texts, self._polarity)
        self._embeddings = embed_texts(encoder, texts, progress)
        self._counts = find_ngrams(texts).counted()
        self._seed, self._metric = seed, metric
        self._features: dict[tuple[object, ...], Features] = {}

    @property
    def steps(self) -> int:
        """How often a trial tells its value so far."""
        return 1 if all(task.is_tuned for task in self._tasks) else FOLDS

    def judge(self, plan: QuickPlan, report: Report = lambda step, value: None) -> Worth:
        """What a plan is worth. report: may end the trial."""
        features = self._read(plan)
        composed = () if self._polarity is None else self._polarity.heads
        with threadpool_limits(1):
            heads = [
                _Judging.of(replace(task, policies=policies_of(task, plan, composed)), features, self._seed)
                for task in self._tasks
            ]
            for step in range(self.steps):
                for head in heads:
                    head.go_on(step)
                worth = Worth.mean([head.worth for head in heads])
                report(step + 1, worth.value(self._metric))
        return worth

    def _read(self, plan: QuickPlan) -> Features:
        """All texts as the plan's vocabulary reads them; the last one is kept."""
        key = tuple(sorted(plan.vocabulary().items()))
        if key not in self._features:
            training = np.unique(np.concatenate([task.rows for task in self._tasks]))
            _, features = head_features(
                self._embeddings,
                self._counts,
                training,
                _labels(self._tasks),
                self._made,
                without_spaces=self._without_spaces,
                plan=plan,
                composed=self._composed,
            )
            self._features = {key: features}
        return self._features[key]


@dataclass(slots=True)
class _Judging:
    """One head's trial. parts: what is judged so far."""

    cross: CrossFit
    task: Task
    policy: LinearPolicy
    parts: list[HeldOut] = field(default_factory=list)

    @classmethod
    def of(cls, task: Task, features: Features, seed: int) -> "_Judging":
        """With the policy that a training would choose."""
        cross = CrossFit(task, features, seed, no_progress)
        return cls(cross, task, task.policies[0] if len(task.policies) == 1 else cross.choose()[0])

    def go_on(self, step: int) -> None:
        """Judge one more fold; where tuning rows judge, once."""
        if not self.task.is_tuned:
            self.parts.append(self.cross.of_fold(self.policy, step))
        elif not step:
            self.parts.append(self.cross.on_tuning(self.policy))

    @property
    def worth(self) -> Worth:
        """By what is judged so far."""
        return Worth.of(HeldOut.joined(self.parts))


def _labels(tasks: Sequence[Task]) -> int:
    return sum(len(task.labels) for task in tasks)
