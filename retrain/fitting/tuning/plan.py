"""What a fine-tuning is asked to do: options as plain values, and how they are read from a table of a TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from retrain.fitting.options import between, said, with_options

TAUGHT: Final = 0.5  # share of the loss that a teacher's soft labels have where the plan does not say


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How to fine-tune. Each field says what it is and what it may be; the names are those of a `[full]` table."""

    # How long
    epochs: float = between(6.0, 0.01, 1000, "passes over the training texts, within min_steps and max_steps")
    steps: int = between(0, 0, 1_000_000, "this many steps whatever the number of texts; 0: by epochs")
    min_steps: int = between(1, 1, 1_000_000, "at least this many steps: few texts are passed over more often")
    max_steps: int = between(1_300, 1, 1_000_000, "at most this many steps")
    evaluations: int = between(8, 1, 1000, "how often the tuning texts are asked, spread evenly over the steps")
    patience: int = between(0, 0, 1000, "stop after so many evaluations without a better one; 0: never")
    judge: Literal["loss", "accuracy"] = said(
        "loss", "which evaluation is kept: the lowest calibrated loss, or the highest accuracy"
    )
    # How fast
    learning_rate: float = between(1e-4, 1e-8, 1, "highest learning rate of the encoder's top layer")
    head_learning_rate: float = between(1e-3, 0, 1, "highest learning rate of the heads; 0: the encoder's")
    layer_decay: float = between(0.9, 0.1, 1, "each layer learns by this factor of the one above it")
    schedule: Literal["linear", "cosine"] = said("cosine", "how the rates fall to 0 after the warm-up")
    warm_up: float = between(0.06, 0, 1, "share of the steps with rising rates")
    batch_texts: int = between(32, 1, 4096, "texts in a step")
    weight_decay: float = between(0.01, 0, 10, "AdamW's, of all but biases and norms")
    dropout: float = between(0.1, 0, 0.9, "of the embedding, before the heads")
    clip: float = between(1.0, 1e-3, 1000, "highest norm of a step's gradient")
    max_tokens: int = between(128, 8, 512, "tokens of a text that are read")
    half: bool = said(True, "matrix products in bfloat16 where the GPU or the processor has instructions for it")
    head_start: Literal["quick", "random"] = said(
        "quick", "what the heads start as: a linear solution on the encoder as it is, or random"
    )
    heads: Literal["all", "primary"] = said("all", "the heads whose labels the encoder is tuned to")
    # What is minimised
    label_smoothing: float = between(0.1, 0, 0.9, "share of the target that all labels share")
    class_weights: float = between(
        0.0, 0, 1, "weight of a label: its frequency to the power of minus this; 1: balanced"
    )
    focal: float = between(0.0, 0, 10, "focal loss's gamma: texts that are decided surely count less")
    logit_adjustment: float = between(0.0, 0, 3, "times the log frequency of each label added to its logit in training")
    r_drop: float = between(1.0, 0, 100, "weight of the divergence between two passes with other dropout")
    contrastive: float = between(
        0.0, 0, 1, "weight of the supervised contrastive loss beside 1 minus it of the labels'"
    )
    contrastive_temperature: float = between(0.1, 1e-3, 10, "of the contrastive loss")
    adversarial: Literal["none", "fgm", "freelb"] = said("none", "training on shifted token embeddings")
    adversarial_size: float = between(0.5, 0, 100, "length of the shift of a text's token embeddings")
    adversarial_steps: int = between(2, 1, 16, "FreeLB's steps of ascent; each costs a pass")
    # What is averaged
    ema: float = between(0.0, 0, 0.99999, "decay of the moving average of the weights; 0: none")
    seeds: int = between(1, 1, 16, "trainings of other seeds whose weights are averaged where the tuning loss says so")
    # What is learnt beside the labels
    outside: float = between(0.0, 0, 10, "weight of the loss that draws out-of-scope texts and mixes towards no label")
    outside_mixes: bool = said(True, "mixes of texts of two labels count as out of scope, beside known texts")
    distillation: float = between(0.0, 0, 1, "share of the loss that soft labels have")
    distillation_temperature: float = between(2.0, 0.1, 20, "of the soft labels")
    teacher: str = said(
        "", "who gives soft labels: `mpnet` or a folder (extra `teacher`); empty: the encoder's own folds"
    )
    folds: int = between(3, 2, 10, "of the out-of-fold answers that soft labels and the stack stand on")
    stack: bool = said(False, "heads are fitted beside n-grams on what out-of-fold models answer")
    unlabelled: float = between(0.0, 0, 10, "weight of the loss on texts without labels")
    unlabelled_sure: float = between(0.95, 0.5, 1, "probability from which a text without a label is given one")
    unlabelled_from: float = between(0.4, 0, 1, "share of the steps after which texts without labels come in")

    @property
    def soft_share(self) -> float:
        """Share of the loss that soft labels have: a teacher that is named is heard."""
        return self.distillation or (TAUGHT if self.teacher else 0.0)

    def total_steps(self, texts: int) -> int:
        """For so many training texts."""
        if self.steps:
            return self.steps
        per_epoch = -(-texts // self.batch_texts)
        return max(1, min(max(round(self.epochs * per_epoch), self.min_steps), self.max_steps))


def plan_from(table: Mapping[str, Any], plan: FineTuning | None = None) -> FineTuning:
    """The plan with a table's values in it. plan: what holds where the table is silent; None: the defaults. Raises
    ConfigError at an unknown name, another type, or a value out of its range."""
    return with_options(plan or FineTuning(), table, "full")
