"""The full strategy with its real encoder files and its real quantisation."""

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headrace.releases.encoders import encoder_source
from headrace.training.adaptation.teachers import open_teacher, teacher_source
from headrace.training.run.checkpoints import FolderCheckpoints
from headrace.wiring import Wiring
from models.encoder.quantization import quantize_encoder
from models.entities.views import ReadAs
from models.errors import ConfigError
from models.heads import Floats
from retrain.adaptation.teacher import ask_teacher
from retrain.entities.rows import EntityRows
from retrain.fitting.tuning.around import Around, Watch, unwatched
from retrain.fitting.tuning.model import NEEDS_LIBRARIES
from retrain.fitting.tuning.plan import plan_from
from retrain.fitting.tuning.texts import Weights
from retrain.progress import Progress
from retrain.strategies.full import FullStrategy


def require_libraries() -> None:
    """Raises ConfigError where the strategy's libraries are not installed. They are not loaded."""
    if any(importlib.util.find_spec(library) is None for library in ("torch", "transformers")):
        raise ConfigError(NEEDS_LIBRARIES)


def kept_trainings(wiring: Wiring) -> FolderCheckpoints:
    """Where a training that was cut off goes on from."""
    return FolderCheckpoints(wiring.settings.home_path / "trainings")


def full_trainer(
    wiring: Wiring,
    epochs: int | None,
    options: Mapping[str, Any] | None = None,
    *,
    watch: Watch = unwatched,
    unlabelled: tuple[str, ...] = (),
    entities: EntityRows | None = None,
    read_as: ReadAs = str,
) -> FullStrategy:
    """The strategy that starts from the configured encoder. options: of its plan. watch: shown figures of the training.
    unlabelled: texts for a plan that learns from some. entities, read_as: see `FullStrategy`. Raises ConfigError."""
    source = encoder_source(wiring)
    plan = plan_from(options or {})
    if epochs is not None:
        plan = replace(plan, epochs=epochs)

    def quantize(weights: Weights, calibration: Sequence[str]) -> bytes:
        return quantize_encoder(
            weights, source.config, source.tokenizer_json, calibration, max_tokens=source.max_tokens
        )

    around = Around(kept_trainings(wiring), watch)
    if plan.teacher:
        teacher_source(plan.teacher, wiring.settings)  # one that cannot be had is told now, and not after an hour

    def ask(texts: Sequence[str], progress: Progress) -> Floats:
        model, _ = open_teacher(plan.teacher, wiring.settings)
        return ask_teacher(model, texts, around.checkpoints, progress)

    return FullStrategy(
        source.read_weights(),
        source.config,
        quantize,
        plan,
        wiring.settings.threads or None,
        around=around,
        unlabelled=unlabelled,
        teacher=ask if plan.teacher else None,
        entities=entities,
        read_as=read_as,
    )
