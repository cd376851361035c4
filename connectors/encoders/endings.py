"""How an encoder makes one embedding of its tokens, as sentence-transformers writes it down beside the weights.

modules.json             the parts in their order
1_Pooling/config.json    which tokens: all (mean) or the first (cls)
2_Dense/                 a dense layer behind it: config.json, model.safetensors
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.errors import EncoderUnavailable

_POOLINGS: Final = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
_ACTIVATIONS: Final = {"Identity": "identity", "Tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class Ending:
    """config: what `models.encoder.graph` wants to know of it, by its names there. dense: the layer's weights; None
    where there is none."""

    config: dict[str, Any] = field(default_factory=dict)
    dense: Path | None = None


def ending_of(folder: Path) -> Ending:
    """Of a folder of sentence-transformers'; a folder of another kind says nothing, and the mean is taken. Raises
    EncoderUnavailable for an ending that cannot be built, and ValueError or OSError for files that cannot be read."""
    listed = folder / "modules.json"
    if not listed.is_file():
        return Ending()
    ending = Ending()
    for module in json.loads(listed.read_text("utf-8")):
        kind, part = str(module["type"]).rsplit(".", 1)[-1], folder / str(module["path"])
        if kind == "Pooling":
            pooling = _pooling(part)
            ending = Ending(ending.config | ({} if pooling == "mean" else {"pooling": pooling}), ending.dense)
        elif kind == "Dense":
            ending = Ending(ending.config | {"dense": _activation(part)}, _weights(part))
        elif kind not in ("Transformer", "Normalize"):
            raise EncoderUnavailable(f"encoder folder {folder} ends with a {kind}, which cannot be built")
    return ending


def _pooling(part: Path) -> str:
    modes = json.loads((part / "config.json").read_text("utf-8"))
    if "pooling_mode" in modes:  # as newer versions write it
        chosen = [str(modes["pooling_mode"])]
    else:
        chosen = [_POOLINGS.get(mode, mode) for mode, is_on in modes.items() if mode.startswith("pooling_") and is_on]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS.values():
        raise EncoderUnavailable(f"{part} pools by {', '.join(chosen) or 'nothing'}; mean or cls can be built")
    return chosen[0]


def _activation(part: Path) -> str:
    name = str(json.loads((part / "config.json").read_text("utf-8")).get("activation_function", "Tanh"))
    short = name.rsplit(".", 1)[-1]
    if short not in _ACTIVATIONS:
        raise EncoderUnavailable(f"{part} ends with {name}; Tanh or Identity can be built")
    return _ACTIVATIONS[short]


def _weights(part: Path) -> Path:
    if not (part / "model.safetensors").is_file():
        raise EncoderUnavailable(
            f"{part} lacks model.safetensors; save the encoder with safetensors (no pickle is read)"
        )
    return part / "model.safetensors"
