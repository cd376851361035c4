"""Strategy "full": encoder and head are trained together, then the fine-tuned weights serve like any others
(`retrain.strategies.tuned`).

Texts that tune take no part in the fine-tuning: an encoder knows its training texts by heart, and temperature,
rejection threshold and drift reference must come from texts that it does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.encoder.encoder import Encoder
from models.errors import TrainingDataError
from retrain.augmentation.copies import rows_of_copies
from retrain.data import Dataset, Row
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.loop import fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained, Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import Trained
from retrain.strategies.tuned import Asked, Quantize, Serving, serve_the_better


@dataclass(frozen=True, slots=True)
class FullStrategy:
    """`retrain.job.Strategy`: fine-tunes the given weights on the dataset's primary head, then fits all heads.

    quantize: from fine-tuned weights and calibration texts to the ONNX file that serves. body: what of the encoder is
    trained; None: all of it. name: of the strategy that trains so much.
    """

    weights: Weights
    config: Mapping[str, Any]
    quantize: Quantize
    plan: FineTuning
    threads: int | None = None
    body: Body | None = None
    name: str = "full"

    def __call__(
        self,
        encoder: Encoder,
        dataset: Dataset,
        heads: Sequence[str] | None = None,
        *,
        seed: int = 0,
        oos_label: str | None = None,
        rejection: RejectionPolicy = DEFAULT,
        progress: Progress = no_progress,
    ) -> Trained:
        """See retrain.job.Strategy. What serves is the fine-tuned encoder only where it beats the quick strategy on the
        texts that neither was fitted on; else the quick strategy's release, of all texts."""
        asked = Asked(heads, seed, oos_label, rejection, progress)
        return serve_the_better(self.name, self._tuned, encoder, dataset, asked)

    def _tuned(self, encoder: Encoder, dataset: Dataset, asked: Asked) -> tuple[Trained, dict[str, float]]:
        """The encoder tuned on the training rows with heads on it, and what was chosen in tuning."""
        primary = (asked.heads or dataset.heads)[0]
        training = asked.labelled(dataset.part("train"), primary)
        tuned = fine_tune(
            Pretrained(self.weights, self.config, encoder.tokenizer_json),
            *labelled_texts(dataset, primary, asked),
            seed=asked.seed,
            plan=self.plan,
            body=self.body,
            progress=asked.progress,
        )
        serving = Serving(self.quantize, self.config, self.threads)
        trained = serving.fitted(tuned.weights, training, encoder, dataset, asked)
        return trained, {"steps": float(tuned.steps), "best_evaluation": float(tuned.best)}


def labelled_texts(dataset: Dataset, primary: str, asked: Asked) -> tuple[LabelledTexts, LabelledTexts]:
    """Training texts with their copies, and tuning texts; the primary head's labels as numbers, in the order of their
    names. Raises TrainingDataError where there are too few."""
    training = asked.labelled(dataset.part("train"), primary)
    number = {name: index for index, name in enumerate(sorted({row.labels[primary] for row in training}))}
    tuning = [row for row in asked.labelled(dataset.part("valid"), primary) if row.labels[primary] in number]
    if len(number) < 2 or not tuning:
        raise TrainingDataError(f"head {primary!r} needs two labels and some texts to tune on; give it more texts")

    def numbered(rows: Sequence[Row]) -> LabelledTexts:
        return LabelledTexts(
            [row.text for row in rows], {primary: np.array([number[row.labels[primary]] for row in rows])}
        )

    return numbered([*training, *rows_of_copies(training, dataset)]), numbered(tuning)
