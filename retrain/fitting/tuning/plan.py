"""What a fine-tuning is asked to do: options as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FineTuning:
    """How to fine-tune. warm_up: share of the steps with a rising rate. clip: of the gradient's norm."""

    epochs: int = 4
    learning_rate: float = 1e-4
    batch_texts: int = 32
    label_smoothing: float = 0.05
    weight_decay: float = 0.01
    warm_up: float = 0.1
    dropout: float = 0.1
    clip: float = 1.0
    max_tokens: int = 128
