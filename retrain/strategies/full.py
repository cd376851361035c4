"""Strategy "full": encoder and head are trained together, then the fine-tuned weights serve like any others.

The tuned weights go back through the same graph builder and quantisation as the default encoder's; the heads that
serve are then fitted on the embeddings of that very INT8 graph, as with the quick strategy.

Texts that tune take no part in the fine-tuning: an encoder knows its training texts by heart, and temperature,
rejection threshold and drift reference must come from texts that it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.encoder.precision import build_half_graph
from models.errors import TrainingDataError
from retrain.data import Dataset, Row, with_tuning_rows
from retrain.fitting.tuning.loop import fine_tune
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import LabelledTexts, Pretrained, Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import Trained, train_quick
from retrain.text_keys import key_hash

Quantize = Callable[[Weights, Sequence[str]], bytes]

CALIBRATION_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class FullStrategy:
    """`retrain.job.Strategy`: fine-tunes the given weights on the dataset's primary head, then fits all heads.

    quantize: from fine-tuned weights and calibration texts to the ONNX file that serves.
    """

    weights: Weights
    config: Mapping[str, Any]
    quantize: Quantize
    plan: FineTuning
    threads: int | None = None

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
        split = with_tuning_rows(dataset, seed)
        tuned, choices = self._tuned(split, heads, encoder, seed, oos_label, rejection, progress)
        quick = train_quick(
            encoder, split, heads, seed=seed, oos_label=oos_label, rejection=rejection, progress=progress
        )
        primary = (heads or split.heads)[0]
        tuning = _labelled(split.part("valid"), primary, oos_label)
        right = [_right(trained, primary, tuning) for trained in (quick, tuned)]
        choices |= {"quick_tuning_accuracy": _share(right[0]), "full_tuning_accuracy": _share(right[1])}
        if is_clearly_better(*right):
            chosen, choices = replace(tuned, serves="full"), choices | {"fine_tuned": 1.0}
        else:
            # The tuning rows that were only made for the comparison train again.
            again = split is not dataset
            chosen = (
                train_quick(
                    encoder, dataset, heads, seed=seed, oos_label=oos_label, rejection=rejection, progress=progress
                )
                if again
                else quick
            )
            choices |= {"fine_tuned": 0.0}
        return replace(chosen, choices=chosen.choices | {primary: chosen.choices[primary] | choices})

    def _tuned(
        self,
        dataset: Dataset,
        heads: Sequence[str] | None,
        encoder: Encoder,
        seed: int,
        oos_label: str | None,
        rejection: RejectionPolicy,
        progress: Progress,
    ) -> tuple[Trained, dict[str, float]]:
        """The encoder tuned on the training rows with heads on it, and what was chosen in tuning."""
        primary = (heads or dataset.heads)[0]
        training = _labelled(dataset.part("train"), primary, oos_label)
        names = sorted({row.labels[primary] for row in training})
        number = {name: index for index, name in enumerate(names)}
        tuning = [row for row in _labelled(dataset.part("valid"), primary, oos_label) if row.labels[primary] in number]
        if len(names) < 2 or not tuning:
            raise TrainingDataError(f"head {primary!r} needs two labels and some texts to tune on; give it more texts")
        tuned = fine_tune(
            Pretrained(self.weights, self.config, encoder.tokenizer_json),
            *(
                LabelledTexts(
                    [row.text for row in rows], {primary: np.array([number[row.labels[primary]] for row in rows])}
                )
                for rows in (training, tuning)
            ),
            seed=seed,
            plan=self.plan,
            progress=progress,
        )
        calibration = [row.text for row in _evenly(training, CALIBRATION_TEXTS)]
        half = build_half_graph(tuned.weights, self.config)  # nobody can make it later: only the INT8 file is kept
        served = Encoder.from_bytes(
            self.quantize(tuned.weights, calibration),
            encoder.tokenizer_json,
            max_tokens=encoder.max_tokens,
            threads=self.threads,
            half=lambda: half,
        )
        known = frozenset(key_hash(row.text) for row in training)
        trained = train_quick(
            served,
            replace(dataset, encoder_tuned_on=known),
            heads,
            seed=seed,
            oos_label=oos_label,
            rejection=rejection,
            progress=progress,
        )
        return trained, {"epochs": float(self.plan.epochs), "best_epoch": float(tuned.best_epoch)}


def is_clearly_better(quick: NDArray[np.bool_], full: NDArray[np.bool_]) -> bool:
    """Whether the fine-tuned release decides more of the same texts rightly, by half a standard error or more: with few
    texts a lead of one or two is chance, and the quick release is the cheaper one."""
    won, lost = int((full & ~quick).sum()), int((quick & ~full).sum())
    return bool(won - lost > np.sqrt(won + lost) / 2)


def _right(trained: Trained, head: str, rows: Sequence[Row]) -> NDArray[np.bool_]:
    texts = [row.text for row in rows]
    classifier = Classifier("", "", trained.encoder, trained.vocabulary, trained.heads)
    decided = [answer.heads[head].label for answer in classifier.classify_texts(texts)]
    return np.array([label == row.labels[head] for label, row in zip(decided, rows, strict=True)])


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4)


def _labelled(rows: Sequence[Row], head: str, oos_label: str | None) -> list[Row]:
    return [row for row in rows if head in row.labels and row.labels[head] != oos_label]


def _evenly(rows: Sequence[Row], count: int) -> Sequence[Row]:
    return rows[:: max(1, len(rows) // count)][:count]
