"""What options of the full strategy are worth: a fine-tuning each, judged on the tuning rows at each evaluation.

Where the file has no tuning rows, the strategy's own share of the training rows is held out, the same for every trial.
"""

from collections.abc import Callable
from dataclasses import dataclass

from retrain.data import Dataset, with_tuning_rows
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.loop import fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Pretrained
from retrain.progress import Progress, no_progress
from retrain.search.quick_search import Report, Worth
from retrain.strategies.full import labelled_texts
from retrain.strategies.tuned import Asked


@dataclass(frozen=True, slots=True)
class FullSearch:
    """Judges plans on one dataset. start: the encoder's weights, config and tokenizer. metric: accuracy or loss, of the
    primary head."""

    start: Pretrained
    dataset: Dataset
    seed: int = 0
    oos_label: str | None = None
    metric: str = "accuracy"

    def judge(
        self, plan: FineTuning, report: Report = lambda step, value: None, progress: Progress = no_progress
    ) -> Worth:
        """What a plan is worth at its best evaluation. report: told at each; may end the trial."""
        primary = self.dataset.heads[0]
        asked = Asked((primary,), self.seed, self.oos_label)
        training, tuning = labelled_texts(with_tuning_rows(self.dataset, self.seed), primary, asked)
        done = fine_tune(
            self.start,
            training,
            tuning,
            seed=self.seed,
            plan=plan,
            around=Around(watch=_told(f"tuning/{self.metric}", report)),
            progress=progress,
        )
        return Worth(done.scores[done.best - 1], done.losses[done.best - 1], len(tuning.texts))


def _told(name: str, report: Report) -> Callable[[str, float, int], None]:
    """Hands on one figure of those that a training shows, numbered by evaluation: plans differ in their steps."""
    count = 0

    def watch(figure: str, value: float, step: int) -> None:
        nonlocal count
        if figure == name:
            count += 1
            report(count, value)

    return watch
