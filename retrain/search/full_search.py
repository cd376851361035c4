"""What options of the full strategy are worth: a fine-tuning each, judged on the tuning rows at each evaluation.

Where the file has no tuning rows, the strategy's own share of the training rows is held out, the same for every trial.
With texts whose entities are labelled a trial tunes the encoder on them as well, as the strategy does, and is worth
what it is worth on both: the tenth of them that a training tunes on judges beside the tuning rows.
"""

from dataclasses import dataclass

from retrain.data import Dataset, with_tuning_rows
from retrain.entities.rows import EntityRows
from retrain.entities.span_tuning import with_entities
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.loop import ACCURACY, LOSS, NAMES_ACCURACY, fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Pretrained
from retrain.progress import Progress, no_progress
from retrain.search.quick_search import Report, Worth
from retrain.strategies.full import dealt_beside, labelled_texts
from retrain.strategies.tuned import Asked


@dataclass(frozen=True, slots=True)
class FullSearch:
    """Judges plans on one dataset. start: the encoder's weights, config and tokenizer. metric: accuracy or loss, of the
    primary head. entities: texts with labelled entities; None: none."""

    start: Pretrained
    dataset: Dataset
    seed: int = 0
    oos_label: str | None = None
    metric: str = "accuracy"
    entities: EntityRows | None = None

    def judge(
        self, plan: FineTuning, report: Report = lambda step, value: None, progress: Progress = no_progress
    ) -> Worth:
        """What a plan is worth at its best evaluation. report: told at each; may end the trial."""
        primary = self.dataset.heads[0]
        asked = Asked((primary,), self.seed, self.oos_label)
        dataset = with_tuning_rows(self.dataset, self.seed)
        both = labelled_texts(dataset, primary, asked)
        if self.entities is not None:
            both = with_entities(*both, dealt_beside(dataset, self.entities, self.seed), str)
        told = _Told(self.metric, self.entities is not None, report)
        done = fine_tune(self.start, *both, seed=self.seed, plan=plan, around=Around(watch=told), progress=progress)
        accuracies = [of[done.best - 1] for of in (done.scores, done.scores_of_names) if of]
        return Worth(sum(accuracies) / len(accuracies), done.losses[done.best - 1], len(both[1].texts))


class _Told:
    """Hears the figures that a training shows at each evaluation, and hands on what the options are worth so far,
    numbered by evaluation: plans differ in their steps. Accuracy is the mean of the head's and of what is said of
    names, where both are tuned; the loss is that of both anyway (`loop`)."""

    def __init__(self, metric: str, with_names: bool, report: Report) -> None:
        self._wanted = (ACCURACY, NAMES_ACCURACY) if with_names else (ACCURACY,)
        self._metric, self._report, self._figures = metric, report, dict[str, float]()
        self._count = 0

    def __call__(self, figure: str, value: float, step: int) -> None:
        if figure not in (*self._wanted, LOSS):
            return
        self._figures[figure] = value
        if len(self._figures) == len(self._wanted) + 1:  # all of one evaluation
            accuracy = sum(self._figures[one] for one in self._wanted) / len(self._wanted)
            worth = accuracy if self._metric == "accuracy" else self._figures[LOSS]
            self._figures, self._count = {}, self._count + 1
            self._report(self._count, worth)
