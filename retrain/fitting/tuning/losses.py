"""What a fine-tuning minimises."""

from collections.abc import Mapping, Sequence
from typing import Any

from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import NO_LABEL


def label_loss(torch: Any, logits: Sequence[Any], labels: Mapping[str, Any], plan: FineTuning) -> Any:
    """Mean over the heads of their cross-entropy, with label smoothing, over the texts that have a label of it.

    logits: by head in the order of `labels`, each (texts, labels). labels: (texts,), -1 for none.
    """
    losses = []
    for scores, wanted in zip(logits, labels.values(), strict=True):
        if bool((wanted != NO_LABEL).any()):
            losses.append(
                torch.nn.functional.cross_entropy(
                    scores, wanted, ignore_index=NO_LABEL, label_smoothing=plan.label_smoothing
                )
            )
    return torch.stack(losses).mean()
