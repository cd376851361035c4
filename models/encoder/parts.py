"""What may stand in an encoder's weights beside those of a BERT: adapters and a prefix, by their tensors' names.

An adapter is a narrow detour behind each of a layer's two outputs, before it is added to what went in: down to some
dimensions, GELU, up again, added (Houlsby et al., Parameter-Efficient Transfer Learning for NLP, 2019). A prefix is
some keys and values a layer that every text's tokens look at beside each other's (Li and Liang, Prefix-Tuning, 2021).
Neither can be merged into a BERT's own weights, so both are nodes of their own in the graph.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

ADAPTERS: Final = ("attention_adapter", "output_adapter")  # what the graph calls them, behind the layer's name
ADAPTED: Final = ("attention.output", "output")  # the modules of a layer that hold one, as `<module>.adapter`
PREFIX: Final = "prefix"

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Prefix:
    """keys, values: float32 (tokens, hidden), the heads side by side as the encoder's own have them."""

    keys: NDArray[np.float32]
    values: NDArray[np.float32]


def adapter_linears(weights: Weights, layer: int) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The linear layers of a layer's adapters, (weight (inputs, outputs), bias (outputs,)), by the name that the graph
    gives them; none where it has no adapters. Raises ModelError where a part of one is missing."""
    linears = {}
    for name, module in zip(ADAPTERS, ADAPTED, strict=True):
        prefix = f"encoder.layer.{layer}.{module}.adapter"
        for part in ("down", "up") if _has(weights, f"{prefix}.down.weight") else ():
            weight, bias = _get(weights, f"{prefix}.{part}.weight"), _get(weights, f"{prefix}.{part}.bias")
            linears[f"layer{layer}.{name}.{part}"] = (np.ascontiguousarray(weight.T), bias)
    return linears


def prefix_of(weights: Weights, layer: int) -> Prefix | None:
    """A layer's prefix, where it has one. Raises ModelError where a part of it is missing."""
    name = f"encoder.layer.{layer}.attention.self.{PREFIX}"
    if not _has(weights, f"{name}.keys"):
        return None
    return Prefix(_get(weights, f"{name}.keys"), _get(weights, f"{name}.values"))


def parts_of(weights: Weights) -> tuple[str, ...]:
    """Which of `adapter` and `prefix` there are."""
    found = {"adapter": ".adapter.", PREFIX: f".{PREFIX}."}
    return tuple(part for part, infix in found.items() if any(infix in name for name in weights))


def _has(weights: Weights, name: str) -> bool:
    return name in weights or f"bert.{name}" in weights


def _get(weights: Weights, name: str) -> NDArray[np.float32]:
    for candidate in (name, f"bert.{name}"):
        if candidate in weights:
            return np.asarray(weights[candidate], dtype=np.float32)
    raise ModelError(f"encoder weights lack {name!r}, a part of what was tuned into them; train the release again")
