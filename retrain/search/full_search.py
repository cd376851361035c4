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
from retrain.fitting.tuning.loop import ACCURACY, LOSS, fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Pretrained
from retrain.progress import Progress, no_progress
from retrain.search.quick_search import Report, Worth
from retrain.strategies.full import dealt_beside, numbered_texts
from retrain.strategies.tuned import Asked


@dataclass(frozen=True, slots=True)
class FullSearch:
    """Judges plans on one dataset. start: the encoder's weights, config and tokenizer. metric: accuracy or loss, the
    mean of the heads that the encoder is tuned to, and of what is said of names. entities: texts with labelled ones;
    None: none."""

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
        heads = self.dataset.heads if plan.heads == "all" else self.dataset.heads[:1]
        asked = Asked(heads, self.seed, self.oos_label)
        dataset = with_tuning_rows(self.dataset, self.seed)
        both = numbered_texts(dataset, heads, asked)
        if self.entities is not None:
            both = with_entities(*both, dealt_beside(dataset, self.entities, self.seed), str)
        told = _Told(self.metric, report)
        done = fine_tune(self.start, *both, seed=self.seed, plan=plan, around=Around(watch=told), progress=progress)
        accuracies = done.accuracies[done.best - 1].values()
        return Worth(sum(accuracies) / len(accuracies), done.losses[done.best - 1], len(both[1].texts))


class _Told:
    """Hears the figures that a training shows at each evaluation, and hands on what the options are worth so far,
    numbered by evaluation: plans differ in their steps."""

    def __init__(self, metric: str, report: Report) -> None:
        self._metric, self._report = metric, report
        self._accuracies, self._count = list[float](), 0

    def __call__(self, figure: str, value: float, step: int) -> None:
        if figure.startswith(ACCURACY):
            self._accuracies.append(value)
        elif figure == LOSS:  # the last one of an evaluation
            worth = value if self._metric == "loss" else sum(self._accuracies) / len(self._accuracies)
            self._accuracies, self._count = [], self._count + 1
            self._report(self._count, worth)
