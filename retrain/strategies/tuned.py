"""What every strategy that tunes an encoder shares: how its weights come to serve, and whether they do.

The tuned weights go back through the same graph builder and quantisation as the default encoder's; the heads that
serve are then fitted on the embeddings of that very INT8 graph, as with the quick strategy. What serves in the end is
the tuned encoder only where it beats the quick strategy on texts that neither was fitted on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.encoder.precision import build_half_graph
from retrain.data import Dataset, Row, with_tuning_rows
from retrain.fitting.tuning.texts import Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import SeenAs, Trained, train_quick
from retrain.text_keys import key_hash

Quantize = Callable[[Weights, Sequence[str]], bytes]

CALIBRATION_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """What a training is asked for beside its data: see `retrain.job.Strategy`."""

    heads: Sequence[str] | None = None
    seed: int = 0
    oos_label: str | None = None
    rejection: RejectionPolicy = DEFAULT
    progress: Progress = no_progress

    def quick(self, encoder: Encoder, dataset: Dataset, seen_as: SeenAs | None = None) -> Trained:
        """Heads on this encoder by the quick strategy. seen_as: see `train_quick`."""
        return train_quick(
            encoder,
            dataset,
            self.heads,
            seed=self.seed,
            oos_label=self.oos_label,
            rejection=self.rejection,
            progress=self.progress,
            seen_as=seen_as,
        )

    def labelled(self, rows: Sequence[Row], head: str) -> list[Row]:
        """The rows that a head's label stands on, those in scope."""
        return [row for row in rows if head in row.labels and row.labels[head] != self.oos_label]


Tune = Callable[[Encoder, Dataset, Asked], tuple[Trained, dict[str, float]]]


def serve_the_better(name: str, tune: Tune, encoder: Encoder, dataset: Dataset, asked: Asked) -> Trained:
    """The tuned release where it beats the quick one on the tuning rows, which neither was fitted on; else the quick
    one, of all texts.

    name: the strategy's. tune: from the encoder as it is, and a dataset with tuning rows, to a release on a tuned
    encoder and what was chosen in tuning it; it fits nothing on the tuning rows.
    """
    split = with_tuning_rows(dataset, asked.seed)
    tuned, choices = tune(encoder, split, asked)
    quick = asked.quick(encoder, split)
    primary = (asked.heads or split.heads)[0]
    tuning = asked.labelled(split.part("valid"), primary)
    right = [_right(trained, primary, tuning) for trained in (quick, tuned)]
    choices |= {"quick_tuning_accuracy": _share(right[0]), f"{name}_tuning_accuracy": _share(right[1])}
    if is_clearly_better(*right):
        chosen, choices = replace(tuned, serves=name), choices | {"fine_tuned": 1.0}
    else:
        # The tuning rows that were only made for the comparison train again.
        chosen = quick if split is dataset else asked.quick(encoder, dataset)
        choices |= {"fine_tuned": 0.0}
    return replace(chosen, choices=chosen.choices | {primary: chosen.choices[primary] | choices})


def is_clearly_better(quick: NDArray[np.bool_], tuned: NDArray[np.bool_]) -> bool:
    """Whether the fine-tuned release decides more of the same texts rightly, by half a standard error or more: with few
    texts a lead of one or two is chance, and the quick release is the cheaper one."""
    won, lost = int((tuned & ~quick).sum()), int((quick & ~tuned).sum())
    return bool(won - lost > np.sqrt(won + lost) / 2)


@dataclass(frozen=True, slots=True)
class Serving:
    """How tuned weights become an encoder that serves. quantize: from weights and calibration texts to the ONNX file.
    config: the encoder's."""

    quantize: Quantize
    config: Mapping[str, Any]
    threads: int | None = None

    def fitted(
        self,
        weights: Weights,
        training: Sequence[Row],
        encoder: Encoder,
        dataset: Dataset,
        asked: Asked,
        seen_as: SeenAs | None = None,
    ) -> Trained:
        """Heads on the tuned weights. training: the rows that these were tuned on. encoder: as it was before. seen_as:
        see `train_quick`."""
        calibration = [row.text for row in _evenly(training, CALIBRATION_TEXTS)]
        half = build_half_graph(weights, self.config)  # nobody can make it later: only the INT8 file is kept
        served = Encoder.from_bytes(
            self.quantize(weights, calibration),
            encoder.tokenizer_json,
            max_tokens=encoder.max_tokens,
            threads=self.threads,
            half=lambda: half,
        )
        known = frozenset(key_hash(row.text) for row in training)
        return asked.quick(served, replace(dataset, encoder_tuned_on=known), seen_as)


def _right(trained: Trained, head: str, rows: Sequence[Row]) -> NDArray[np.bool_]:
    texts = [row.text for row in rows]
    classifier = Classifier("", "", trained.encoder, trained.vocabulary, trained.heads)
    decided = [answer.heads[head].label for answer in classifier.classify_texts(texts)]
    return np.array([label == row.labels[head] for label, row in zip(decided, rows, strict=True)])


def _share(right: NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 4)


def _evenly(rows: Sequence[Row], count: int) -> Sequence[Row]:
    return rows[:: max(1, len(rows) // count)][:count]
