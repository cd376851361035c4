"""Strategies that train a few weights beside an encoder's own: "lora", "adalora", "prefix" and "adapter".

Judged and served as the full strategy is (`retrain.strategies.tuned`). What LoRA and AdaLoRA train is merged into the
encoder's weights; a prefix and adapters become nodes of its graph.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from models.entities.views import ReadAs
from retrain.entities.rows import EntityRows
from retrain.fitting.tuning.around import Around
from retrain.fitting.tuning.bodies.adapters import Adapters
from retrain.fitting.tuning.bodies.low_rank import AdaptiveRank, LowRank
from retrain.fitting.tuning.bodies.prefix import PrefixTuning
from retrain.fitting.tuning.body import Body
from retrain.fitting.tuning.plan import FineTuning
from retrain.fitting.tuning.texts import Weights
from retrain.strategies.full import FullStrategy
from retrain.strategies.tuned import Quantize

BODIES: Final[Mapping[str, Callable[[], Body]]] = {
    "lora": LowRank,
    "adalora": AdaptiveRank,
    "prefix": PrefixTuning,
    "adapter": Adapters,
}
# Few weights learn from higher rates than all of them do: as the papers have it, ten times and more.
PLANS: Final[Mapping[str, FineTuning]] = {
    "lora": FineTuning(epochs=4, learning_rate=1e-3, r_drop=0.0),
    "adalora": FineTuning(epochs=6, learning_rate=2e-3, r_drop=0.0),
    "prefix": FineTuning(epochs=6, learning_rate=5e-3, r_drop=0.0),
    "adapter": FineTuning(epochs=4, learning_rate=1e-3, r_drop=0.0),
}


def few_weights_strategy(
    name: str,
    weights: Weights,
    config: Mapping[str, Any],
    quantize: Quantize,
    epochs: float | None = None,
    threads: int | None = None,
    around: Around | None = None,
    *,
    entities: EntityRows | None = None,
    read_as: ReadAs = str,
) -> FullStrategy:
    """The strategy of this name, a key of BODIES. epochs: None leaves them to the strategy. around: what
    keeps checkpoints and is shown figures. entities, read_as: see `FullStrategy`."""
    plan = PLANS[name] if epochs is None else replace(PLANS[name], epochs=epochs)
    parts = weights, config, quantize, plan, threads, BODIES[name](), name, around or Around()
    return FullStrategy(*parts, entities=entities, read_as=read_as)
