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

from models.encoder.encoder import Encoder
from models.encoder.precision import build_half_graph
from models.heads import Floats
from models.ngrams import find_ngrams
from models.polarity.view import Polarity, beside
from retrain.data import Dataset, Row, with_tuning_rows
from retrain.fitting.tuning.texts import Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import SeenAs, Trained, embed_texts, train_quick
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


def serve_the_better(
    name: str,
    tune: Tune,
    encoder: Encoder,
    dataset: Dataset,
    asked: Asked,
    judge_more: "JudgeMore | None" = None,
) -> Trained:
    """The tuned release where it beats the quick one on the tuning rows, which neither was fitted on; else the quick
    one, of all texts.

    name: the strategy's. tune: from the encoder as it is, and a dataset with tuning rows, to a release on a tuned
    encoder and what was chosen in tuning it; it fits nothing on the tuning rows. judge_more: of what else such a
    release decides, the quick one's and the tuned one's answers; then it is enough that either is better, if the other
    is not worse.
    """
    split = with_tuning_rows(dataset, asked.seed)
    tuned, choices = tune(encoder, split, asked)
    quick = asked.quick(encoder, split)
    primary = (asked.heads or split.heads)[0]
    tuning = asked.labelled(split.part("valid"), primary)
    judged = {
        of: _judged(trained, primary, tuning, dataset.polarity) for of, trained in (("quick", quick), (name, tuned))
    }
    choices |= {f"{of}_tuning_accuracy": _mean(on.right) for of, on in judged.items()}
    choices |= {f"{of}_tuning_loss": _mean(on.losses) for of, on in judged.items()}
    pairs = [(judged["quick"], judged[name])]
    if judge_more is not None:
        pairs.append(judge_more(split, tuned))
        choices |= {f"{of}_entity_accuracy": _mean(on.right) for of, on in zip(("quick", name), pairs[1], strict=True)}
    if is_better_somewhere(pairs):
        chosen, choices = replace(tuned, serves=name), choices | {"fine_tuned": 1.0}
    else:
        # The tuning rows that were only made for the comparison train again.
        chosen = quick if split is dataset else asked.quick(encoder, dataset)
        choices |= {"fine_tuned": 0.0}
    return replace(chosen, choices=chosen.choices | {primary: chosen.choices[primary] | choices})


@dataclass(frozen=True, slots=True)
class Judged:
    """A release on texts that it was not fitted on, both (texts,). right: whether it decides them rightly. losses:
    minus the logarithm of the calibrated probability of the right label."""

    right: NDArray[np.bool_]
    losses: NDArray[np.float64]


def is_clearly_better(quick: Judged, tuned: Judged) -> bool:
    """Whether the fine-tuned release decides more of the same texts rightly, by half a standard error or more: with few
    texts a lead of one or two is chance, and the quick release is the cheaper one. Or whether it is surer of what is
    right, by a standard error of the paired difference, and decides no fewer texts rightly by that half: where few
    texts judge, their probabilities tell more than how many were right."""
    won, lost = int((tuned.right & ~quick.right).sum()), int((quick.right & ~tuned.right).sum())
    chance = np.sqrt(won + lost) / 2
    fallen = quick.losses - tuned.losses
    is_surer = fallen.mean() > fallen.std(ddof=1) / np.sqrt(len(fallen))
    return bool(won - lost > chance or (is_surer and lost - won <= chance))


def is_better_somewhere(pairs: Sequence[tuple[Judged, Judged]]) -> bool:
    """Whether the second of a pair is clearly better in one of them, and in no other one the first. pairs: of what a
    release decides, quick and tuned."""
    gained = [is_clearly_better(*pair) for pair in pairs]
    lost = [not won and is_clearly_better(tuned, quick) for won, (quick, tuned) in zip(gained, pairs, strict=True)]
    return any(gained) and not any(lost)


JudgeMore = Callable[[Dataset, Trained], tuple[Judged, Judged]]


def judged_by(probabilities: Floats, wanted: NDArray[np.int64]) -> Judged:
    """probabilities: (texts, labels), calibrated. wanted: (texts,), each one's label; -1 of one that is unknown."""
    given = np.where(wanted >= 0, probabilities[np.arange(len(wanted)), wanted], 0.0)
    return Judged(probabilities.argmax(axis=1) == wanted, -np.log(np.maximum(given.astype(np.float64), 1e-12)))


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
        ).reading(encoder.long_texts)
        known = frozenset(key_hash(row.text) for row in training)
        return asked.quick(served, replace(dataset, encoder_tuned_on=known), seen_as)


def _judged(trained: Trained, head: str, rows: Sequence[Row], polarity: Polarity | None) -> Judged:
    texts = [row.text for row in rows]
    fitted = next(one for one in trained.heads if one.name == head)
    weighted = trained.vocabulary.weigh(find_ngrams(texts).counted())
    ngrams = beside(weighted, None if polarity is None else polarity.features(texts))
    probabilities = fitted.predict(embed_texts(trained.encoder, texts), ngrams)
    number = {label: column for column, label in enumerate(fitted.labels)}
    wanted = np.array([number.get(row.labels[head], -1) for row in rows], dtype=np.int64)  # -1: in no text that trains
    return judged_by(probabilities, wanted)


def _mean(values: NDArray[Any]) -> float:
    return round(float(values.mean()), 4)


def _evenly(rows: Sequence[Row], count: int) -> Sequence[Row]:
    return rows[:: max(1, len(rows) // count)][:count]
