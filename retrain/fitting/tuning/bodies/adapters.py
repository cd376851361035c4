"""Adapters: a narrow detour behind each of a layer's two outputs, trained with the norms while all else stays.

Source: Houlsby et al., Parameter-Efficient Transfer Learning for NLP (2019). The names of the weights are those that
`models.encoder.parts` reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retrain.fitting.tuning.body import NoOwnSteps


@dataclass(frozen=True, slots=True)
class Adapters(NoOwnSteps):
    """width: of the detours."""

    width: int = 64

    def prepared(self, encoder: Any) -> Any:
        """See `Body`. An adapter begins as one that adds nothing."""
        encoder.requires_grad_(False)
        for name, module in encoder.named_modules():
            if name.endswith("LayerNorm"):
                module.requires_grad_(True)
        for layer in encoder.encoder.layer:
            for output in (layer.attention.output, layer.output):
                output.adapter = _adapter(encoder.config.hidden_size, self.width)
                output.dense.register_forward_hook(lambda _, __, value, adapter=output.adapter: adapter(value))
        return encoder

    def merged(self, module: Any) -> Mapping[str, Any]:
        """See `Body`: its own state, in which the adapters stand."""
        state: Mapping[str, Any] = module.state_dict()
        return state


def _adapter(hidden: int, width: int) -> Any:
    import torch

    class Adapter(torch.nn.Module):  # type: ignore[misc]  # mypy does not read torch
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = torch.nn.Linear(hidden, width), torch.nn.Linear(width, hidden)
            torch.nn.init.zeros_(self.up.weight)
            torch.nn.init.zeros_(self.up.bias)

        def forward(self, value: Any) -> Any:
            return value + self.up(torch.nn.functional.gelu(self.down(value)))

    return Adapter()
