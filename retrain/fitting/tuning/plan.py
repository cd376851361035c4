"""What a fine-tuning is asked to do: options as plain values, and how they are read from a table of a TOML file."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.errors import ConfigError


def _between(default: float, least: float, most: float, what: str) -> Any:
    return field(default=default, metadata={"least": least, "most": most, "what": what})


def _said(default: Any, what: str) -> Any:
    return field(default=default, metadata={"what": what})


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How to fine-tune. Each field says what it is and what it may be; the names are those of a `[full]` table."""

    # How long
    epochs: float = _between(4.0, 0.01, 1000, "passes over the training texts, within min_steps and max_steps")
    steps: int = _between(0, 0, 1_000_000, "this many steps whatever the number of texts; 0: by epochs")
    min_steps: int = _between(1, 1, 1_000_000, "at least this many steps: few texts are passed over more often")
    max_steps: int = _between(20_000, 1, 1_000_000, "at most this many steps")
    evaluations: int = _between(8, 1, 1000, "how often the tuning texts are asked, spread evenly over the steps")
    patience: int = _between(0, 0, 1000, "stop after so many evaluations without a better one; 0: never")
    judge: Literal["loss", "accuracy"] = _said(
        "accuracy", "which evaluation is kept: the lowest calibrated loss, or the highest accuracy"
    )
    # How fast
    learning_rate: float = _between(1e-4, 1e-8, 1, "highest learning rate of the encoder's top layer")
    head_learning_rate: float = _between(0.0, 0, 1, "highest learning rate of the heads; 0: the encoder's")
    layer_decay: float = _between(1.0, 0.1, 1, "each layer learns by this factor of the one above it")
    schedule: Literal["linear", "cosine"] = _said("linear", "how the rates fall to 0 after the warm-up")
    warm_up: float = _between(0.1, 0, 1, "share of the steps with rising rates")
    batch_texts: int = _between(32, 1, 4096, "texts in a step")
    weight_decay: float = _between(0.01, 0, 10, "AdamW's, of all but biases and norms")
    dropout: float = _between(0.1, 0, 0.9, "of the embedding, before the heads")
    clip: float = _between(1.0, 1e-3, 1000, "highest norm of a step's gradient")
    max_tokens: int = _between(128, 8, 512, "tokens of a text that are read")
    head_start: Literal["quick", "random"] = _said(
        "random", "what the heads start as: a linear solution on the encoder as it is, or random"
    )
    heads: Literal["all", "primary"] = _said("all", "the heads whose labels the encoder is tuned to")
    # What is minimised
    label_smoothing: float = _between(0.05, 0, 0.9, "share of the target that all labels share")
    class_weights: float = _between(
        0.0, 0, 1, "weight of a label: its frequency to the power of minus this; 1: balanced"
    )
    focal: float = _between(0.0, 0, 10, "focal loss's gamma: texts that are decided surely count less")
    logit_adjustment: float = _between(
        0.0, 0, 3, "times the log frequency of each label added to its logit in training"
    )
    r_drop: float = _between(0.0, 0, 100, "weight of the divergence between two passes with other dropout")
    contrastive: float = _between(
        0.0, 0, 1, "weight of the supervised contrastive loss beside 1 minus it of the labels'"
    )
    contrastive_temperature: float = _between(0.1, 1e-3, 10, "of the contrastive loss")
    adversarial: Literal["none", "fgm", "freelb"] = _said("none", "training on shifted token embeddings")
    adversarial_size: float = _between(0.5, 0, 100, "length of the shift of a text's token embeddings")
    adversarial_steps: int = _between(2, 1, 16, "FreeLB's steps of ascent; each costs a pass")
    # What is averaged
    ema: float = _between(0.0, 0, 0.99999, "decay of the moving average of the weights; 0: none")
    seeds: int = _between(1, 1, 16, "trainings of other seeds whose weights are averaged where the tuning loss says so")
    # What is learnt beside the labels
    outside: float = _between(0.0, 0, 10, "weight of the loss that draws out-of-scope texts and mixes towards no label")
    outside_mixes: bool = _said(True, "mixes of texts of two labels count as out of scope, beside known texts")
    distillation: float = _between(0.0, 0, 1, "share of the loss that soft labels have")
    distillation_temperature: float = _between(2.0, 0.1, 20, "of the soft labels")
    folds: int = _between(3, 2, 10, "of the model's own out-of-fold soft labels")
    unlabelled: float = _between(0.0, 0, 10, "weight of the loss on texts without labels")
    unlabelled_sure: float = _between(0.95, 0.5, 1, "probability from which a text without a label is given one")
    unlabelled_from: float = _between(0.4, 0, 1, "share of the steps after which texts without labels come in")

    def total_steps(self, texts: int) -> int:
        """For so many training texts."""
        if self.steps:
            return self.steps
        per_epoch = -(-texts // self.batch_texts)
        return max(1, min(max(round(self.epochs * per_epoch), self.min_steps), self.max_steps))


def plan_from(table: Mapping[str, Any], plan: FineTuning | None = None) -> FineTuning:
    """The plan with a table's values in it. plan: what holds where the table is silent; None: the defaults. Raises
    ConfigError at an unknown name, another type, or a value out of its range."""
    plan = plan or FineTuning()
    kinds = typing.get_type_hints(FineTuning)
    fields = {one.name: one for one in dataclasses.fields(FineTuning)}
    values = {}
    for name, value in table.items():
        if name not in fields:
            raise ConfigError(f"the strategy full has no option {name!r}; there are: {', '.join(fields)}")
        values[name] = _checked(name, value, kinds[name], fields[name].metadata)
    return dataclasses.replace(plan, **values)


def _checked(name: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> Any:
    if typing.get_origin(kind) is Literal:
        words = typing.get_args(kind)
        if value not in words:
            raise ConfigError(f"{name} = {value!r}: it may be {' or '.join(words)}")
        return value
    if kind is bool or isinstance(value, bool):
        if kind is not bool or not isinstance(value, bool):
            raise ConfigError(f"{name} = {value!r}: it is {'true or false' if kind is bool else 'a number'}")
        return value
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int if kind is int else (int, float)):
        raise ConfigError(f"{name} = {value!r}: it is {'a whole number' if kind is int else 'a number'}")
    least, most = limits["least"], limits["most"]
    if not least <= value <= most:
        raise ConfigError(f"{name} = {value!r}: it may be from {least} to {most}")
    return kind(value)
