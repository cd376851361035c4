"""Strategy "full": encoder and heads are trained together, then the fine-tuned weights serve like any others
(`retrain.strategies.tuned`).

Texts that tune take no part in the fine-tuning: an encoder knows its training texts by heart, and temperature,
rejection threshold and drift reference must come from texts that it does not know.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder
from models.entities.views import ReadAs
from models.errors import TrainingDataError
from models.heads import Floats
from retrain.adaptation.teacher_answers import teacher_answers
from retrain.augmentation.copies import copies_of, rows_of_copies
from retrain.crossfit import assign_folds
from retrain.data import Dataset, Row
from retrain.entities.fitting import train_entities
from retrain.entities.rows import EntityRows
from retrain.entities.span_tuning import DealtEntities, head_that_serves, with_entities
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.loop import TunedHead, fine_tune
from retrain.fitting.tuning.out_of_fold import out_of_fold_answers
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.soft_labels import with_soft_labels
from retrain.fitting.tuning.stand_ins import stand_in_embeddings
from retrain.fitting.tuning.texts import NO_LABEL, LabelledTexts, Pretrained, TextsBeside, Weights
from retrain.progress import Progress, no_progress
from retrain.rejection.policy import DEFAULT, RejectionPolicy
from retrain.strategies.quick import SeenAs, Trained
from retrain.strategies.tuned import Asked, Judged, Quantize, Serving, judged_by, serve_the_better
from retrain.text_keys import same_text_key


@dataclass(frozen=True, slots=True)
class FullStrategy:
    """`retrain.job.Strategy`: fine-tunes the given weights on the dataset's heads, then fits all heads anew.

    quantize: from fine-tuned weights and calibration texts to the ONNX file that serves. body: what of the encoder is
    trained; None: all of it. name: of the strategy that trains so much. around: what keeps checkpoints and is shown
    figures. unlabelled: texts without labels, for a plan that learns from them. teacher: gives a stronger encoder's
    embeddings, for a plan that names one. entities: texts whose encoder is tuned on what they say of each name as well;
    read_as: how the release reads these.
    """

    weights: Weights
    config: Mapping[str, Any]
    quantize: Quantize
    plan: FineTuning
    threads: int | None = None
    body: Body | None = None
    name: str = "full"
    around: Around = field(default_factory=Around)
    unlabelled: tuple[str, ...] = ()
    teacher: Callable[[Sequence[str], Progress], Floats] | None = None
    entities: EntityRows | None = None
    read_as: ReadAs = str

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
        more = None if self.entities is None else partial(self._judge_entities, encoder, seed, progress)
        trained = serve_the_better(self.name, self._tuned, encoder, dataset, asked, more)
        self.around.checkpoints.forget()
        return trained

    def _tuned(self, encoder: Encoder, dataset: Dataset, asked: Asked) -> tuple[Trained, dict[str, float]]:
        """The encoder tuned on the training rows with heads on it, and what was chosen in tuning."""
        names = tuple(asked.heads or dataset.heads)
        heads = names if self.plan.heads == "all" else names[:1]
        start = Pretrained(self.weights, self.config, encoder.tokenizer_json)
        training, tuning = numbered_texts(dataset, heads, asked)
        outside = _outside(dataset, names[0], asked) if self.plan.outside else []
        beside = TextsBeside([row.text for row in outside], self._unlabelled(dataset) if self.plan.unlabelled else ())
        options: dict[str, Any] = {"seed": asked.seed, "plan": self.plan, "body": self.body, "around": self.around}
        answers: dict[str, Floats] = {}
        if self.plan.soft_share or self.plan.stack:
            folds = _folds(dataset, heads, training, asked, self.plan.folds)
            if self.plan.stack or self.teacher is None:
                answers = out_of_fold_answers(start, training, tuning, folds, progress=asked.progress, **options)
            if self.plan.soft_share:
                soft = answers if self.teacher is None else self._taught(training, tuning, folds, asked)
                training = with_soft_labels(training, soft, self.plan.distillation_temperature)
        dealt = None if self.entities is None else dealt_beside(dataset, self.entities, asked.seed, self.read_as)
        both = training, tuning
        if dealt is not None:
            both = with_entities(training, tuning, dealt, self.read_as)
        tuned = fine_tune(start, *both, beside=beside, progress=asked.progress, **options)
        known = [*_rows_of(dataset.part("train"), heads, asked), *outside]
        seen_as = _stand_ins(training.texts, tuned.heads, answers) if self.plan.stack else None
        trained = Serving(self.quantize, self.config, self.threads).fitted(
            tuned.weights, known, encoder, dataset, asked, seen_as
        )
        if dealt is not None and tuned.spans is not None:
            head = head_that_serves(tuned.spans, dealt, trained.encoder, self.read_as)
            trained = replace(trained, entity_head=head)
        return trained, {"steps": float(tuned.steps), "best_evaluation": float(tuned.best), "in_soup": tuned.in_soup}

    def _judge_entities(
        self, encoder: Encoder, seed: int, progress: Progress, dataset: Dataset, tuned: Trained
    ) -> tuple[Judged, Judged]:
        """What a quick release would say of the entities that neither learnt from, and what the tuned one says."""
        assert self.entities is not None and tuned.entity_head is not None
        dealt = dealt_beside(dataset, self.entities, seed, self.read_as)
        quick = train_entities(encoder, EntityRows(dealt.training), self.read_as, seed=seed, progress=progress)
        return (
            judged_by(*dealt.judged(quick.head, encoder, self.read_as)),
            judged_by(*dealt.judged(tuned.entity_head, tuned.encoder, self.read_as)),
        )

    def _taught(
        self, training: LabelledTexts, tuning: LabelledTexts, folds: NDArray[np.int64], asked: Asked
    ) -> dict[str, Floats]:
        """What the teacher says of the training texts."""
        assert self.teacher is not None
        embeddings = self.teacher([*training.texts, *tuning.texts], asked.progress)
        own, tuned = embeddings[: len(training)], embeddings[len(training) :]
        return teacher_answers(own, tuned, training, tuning, folds, asked.seed)

    def _unlabelled(self, dataset: Dataset) -> list[str]:
        """Those that stand in no row: what tunes and tests must stay unknown."""
        known = {same_text_key(row.text) for row in dataset.rows}
        return [text for text in dict.fromkeys(self.unlabelled) if same_text_key(text) not in known]


def dealt_beside(dataset: Dataset, rows: EntityRows, seed: int, read_as: ReadAs = str) -> DealtEntities:
    """Texts with entities, without those that tune or test the heads of the dataset."""
    held = {same_text_key(read_as(row.text)) for split in ("valid", "test") for row in dataset.part(split)}
    return DealtEntities.of(rows, seed).without(held, read_as)


def labelled_texts(dataset: Dataset, primary: str, asked: Asked) -> tuple[LabelledTexts, LabelledTexts]:
    """`numbered_texts` of the primary head alone."""
    return numbered_texts(dataset, (primary,), asked)


def numbered_texts(dataset: Dataset, heads: Sequence[str], asked: Asked) -> tuple[LabelledTexts, LabelledTexts]:
    """Training texts with their copies behind them, and tuning texts; the heads' labels as numbers, in the order of the
    labels' names, -1 without one. Heads after the first that have fewer than two labels are left out. Raises
    TrainingDataError where there are too few for the first."""
    rows, tuning = (_rows_of(dataset.part(split), heads, asked) for split in ("train", "valid"))
    training = [*rows, *rows_of_copies(rows, dataset)]
    names = {head: sorted({row.labels[head] for row in asked.labelled(training, head)}) for head in heads}
    numbers = {
        head: {name: number for number, name in enumerate(found)} for head, found in names.items() if len(found) > 1
    }

    def numbered(rows: Sequence[Row]) -> LabelledTexts:
        return LabelledTexts(
            [row.text for row in rows],
            {
                head: np.array([number.get(row.labels.get(head, ""), NO_LABEL) for row in rows], dtype=np.int64)
                for head, number in numbers.items()
            },
        )

    parts = numbered(training), numbered(tuning)
    if heads[0] not in numbers or not (parts[1].labels[heads[0]] != NO_LABEL).any():
        raise TrainingDataError(f"head {heads[0]!r} needs two labels and some texts to tune on; give it more texts")
    return parts


def _rows_of(rows: Sequence[Row], heads: Sequence[str], asked: Asked) -> list[Row]:
    """Those with a label of some of the heads, other than the one for texts out of scope."""
    return [row for row in rows if any(row.labels.get(head, asked.oos_label) != asked.oos_label for head in heads)]


def _folds(
    dataset: Dataset, heads: Sequence[str], training: LabelledTexts, asked: Asked, count: int
) -> NDArray[np.int64]:
    """A fold for each training text of `numbered_texts`; rows of a group together, and copies with their text."""
    rows = _rows_of(dataset.part("train"), heads, asked)
    texts, labels, groups = (
        [row.text for row in rows],
        training.labels[heads[0]][: len(rows)],
        [row.group for row in rows],
    )
    folds = assign_folds(texts, labels, asked.seed, groups, count=count)
    _, of = copies_of(rows, dataset)
    return np.concatenate([folds, folds[of]])


def _stand_ins(texts: Sequence[str], heads: Mapping[str, TunedHead], answers: Mapping[str, Floats]) -> SeenAs:
    """What stands for the embeddings of these texts. answers: of them, by out-of-fold models."""
    number = {text: row for row, text in enumerate(texts)}

    def seen_as(all_texts: Sequence[str], embeddings: Floats) -> Floats:
        known = [row for row, text in enumerate(all_texts) if text in number]
        rows = [number[all_texts[row]] for row in known]
        moved = embeddings.copy()
        of_rows = {head: logits[rows] for head, logits in answers.items()}
        moved[known] = stand_in_embeddings(embeddings[known], heads, of_rows)
        return moved

    return seen_as


def _outside(dataset: Dataset, primary: str, asked: Asked) -> list[Row]:
    """Training rows known to be out of scope."""
    return [
        row
        for row in dataset.part("train")
        if asked.oos_label is not None and row.labels.get(primary) == asked.oos_label
    ]
