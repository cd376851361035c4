"""From texts without labels to an encoder of the user's own domain: what `headrace encoders distil` does."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from connectors.encoders.files import CALIBRATION_LANGUAGE, EncoderSource
from connectors.encoders.known import CHINESE_ENCODER
from headrace.settings import Settings
from headrace.training.adaptation.card import adaptation_card
from headrace.training.adaptation.folder import write_encoder
from headrace.training.adaptation.teachers import Origin, encoder_named, open_teacher, origin_of
from headrace.training.run.checkpoints import FolderCheckpoints
from models.encoder.tokenization import TextTokenizer
from models.errors import TrainingDataError
from retrain.adaptation.loop import adapt
from retrain.adaptation.objectives import Teaching
from retrain.adaptation.plan import (
    BY_ITSELF,
    BY_TEACHER,
    HELD_OUT_SHARE,
    HELD_OUT_TEXTS,
    LEAST_TEXTS,
    Adaptation,
    Adapted,
)
from retrain.adaptation.teacher import ask_teacher
from retrain.progress import Progress
from retrain.text_keys import text_key


@dataclass(frozen=True, slots=True)
class DistilOrder:
    """What to make. out: the new folder. teacher: a name or a folder; None: the student learns by itself. student: the
    same; None: the configured encoder. epochs, steps: None leaves them to the plan. limit: learn from at most so many
    texts."""

    out: Path
    teacher: str | None = None
    student: str | None = None
    epochs: int | None = None
    steps: int | None = None
    seed: int = 0
    limit: int = 20_000

    @property
    def plan(self) -> Adaptation:
        """The plan with what was asked for."""
        plan = BY_ITSELF if self.teacher is None else BY_TEACHER
        return replace(plan, epochs=self.epochs or plan.epochs, steps=self.steps or 0)


@dataclass(frozen=True, slots=True)
class Distilled:
    """adapted: what came of it. is_written: whether the folder was. texts, held_out: how many were learnt, and asked.
    dimensions: of the embeddings. seconds: by the clock."""

    adapted: Adapted
    student: Origin
    teacher: Origin | None
    is_written: bool
    texts: int
    held_out: int
    dimensions: int
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the card."""
        return {
            "student": self.student.name,
            "teacher": None if self.teacher is None else self.teacher.name,
            "texts": self.texts,
            "held_out_texts": self.held_out,
            "steps": self.adapted.steps,
            "before": self.adapted.before.as_json(),
            "after": self.adapted.after.as_json(),
            "losses": [round(loss, 5) for loss in self.adapted.losses],
            "best_evaluation": self.adapted.best,
            "dimensions": self.dimensions,
            "written": self.is_written,
            "seconds": round(self.seconds, 1),
        }


def distil_encoder(settings: Settings, order: DistilOrder, texts: Sequence[str], progress: Progress) -> Distilled:
    """Adapt, and write the folder where the loss of the texts held out fell clearly.

    texts: as they come; copies count once. A run that is killed goes on where it was when it is asked for again.
    Raises ConfigError, ModelError, TrainingDataError, EncoderUnavailable.
    """
    started = time.monotonic()
    learnt, held_out = _parts(texts, order)
    source = encoder_named(order.student or settings.encoder, settings)
    plan, checkpoints = order.plan, FolderCheckpoints(settings.home_path / "trainings")
    tokenizer = TextTokenizer(source.tokenizer_json, max_tokens=min(plan.max_tokens, source.max_tokens))
    teaching, teacher = None, None
    if order.teacher is not None:
        model, teacher = open_teacher(order.teacher, settings)
        embeddings = ask_teacher(model, [*learnt, *held_out], checkpoints, progress)
        teaching = Teaching(embeddings[: len(learnt)], embeddings[len(learnt) :])
        del model
    adapted = adapt(
        source.read_weights(),
        source.config,
        [text.ids for text in tokenizer.tokenize(learnt)],
        [text.ids for text in tokenizer.tokenize(held_out)],
        teaching=teaching,
        plan=plan,
        seed=order.seed,
        threads=settings.threads or None,
        checkpoints=checkpoints,
        progress=progress,
    )
    dense = adapted.weights.get("dense.weight")
    dimensions = int(adapted.config["hidden_size"]) if dense is None else len(dense)
    seconds = time.monotonic() - started
    done = Distilled(
        adapted, origin_of(source), teacher, adapted.is_better, len(learnt), len(held_out), dimensions, seconds
    )
    if adapted.is_better:
        config = dict(adapted.config) | _calibrated_like(source)
        write_encoder(order.out, adapted.weights, config, source.tokenizer_json, adaptation_card(order, done))
    checkpoints.forget()  # only now: a disk that was full costs no training
    return done


def _parts(texts: Sequence[str], order: DistilOrder) -> tuple[list[str], list[str]]:
    """Texts that are learnt, and those held out; no copy of one among the others. Raises TrainingDataError."""
    different = list({text_key(text): text for text in reversed(texts) if text.strip()}.values())[::-1]
    if len(different) < LEAST_TEXTS:
        raise TrainingDataError(
            f"{len(different)} different texts are too few to adapt an encoder to; give it {LEAST_TEXTS} at the least, "
            "better some thousand"
        )
    rng = np.random.default_rng(order.seed)
    drawn = [different[row] for row in rng.permutation(len(different))[: max(order.limit, LEAST_TEXTS)].tolist()]
    count = min(HELD_OUT_TEXTS, int(len(drawn) * HELD_OUT_SHARE))
    return drawn[count:], drawn[:count]


def _calibrated_like(source: EncoderSource) -> dict[str, str]:
    """INT8 is fixed on texts in the language that the student reads."""
    is_chinese = source.name == CHINESE_ENCODER or source.config.get(CALIBRATION_LANGUAGE) == "zh"
    return {CALIBRATION_LANGUAGE: "zh"} if is_chinese else {}
