"""How fast each part of the model learns: AdamW, layers from the top down, heads apart."""

import math
import re
from typing import Any, Final

from retrain.fitting.tuning.model import TunedModel
from retrain.fitting.tuning.plan import FineTuning

_LAYER: Final = re.compile(r"(?:^|\.)layer\.(\d+)\.")


def make_optimizer(model: TunedModel, plan: FineTuning) -> Any:
    """AdamW. Biases and norms do not decay. Rates: the heads' own; each layer of the encoder by `layer_decay` of the
    one above it, the token embeddings below the lowest (Howard and Ruder, 2018: discriminative fine-tuning)."""
    groups: dict[tuple[float, float], list[Any]] = {}
    layers = model.layers
    for name, value in model.parameters():
        if name.startswith("heads."):
            rate = plan.head_learning_rate or plan.learning_rate
        else:
            found = _LAYER.search(name)
            rate = plan.learning_rate * plan.layer_decay ** (layers - 1 - int(found[1]) if found else layers)
        groups.setdefault((rate, plan.weight_decay if value.ndim >= 2 else 0.0), []).append(value)
    return model.torch.optim.AdamW(
        [{"params": values, "lr": rate, "weight_decay": decay} for (rate, decay), values in groups.items()],
        lr=plan.learning_rate,
        fused=True,
    )


def make_schedule(torch: Any, optimizer: Any, plan: FineTuning, steps: int) -> Any:
    """A linear rise over the warm-up, then a fall to 0."""
    rising = max(1, round(steps * plan.warm_up))

    def rate(step: int) -> float:
        left = max(0.0, (steps - step) / max(1, steps - rising))
        fallen = 0.5 * (1 - math.cos(math.pi * min(1.0, left))) if plan.schedule == "cosine" else left
        return min((step + 1) / rising, fallen)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
