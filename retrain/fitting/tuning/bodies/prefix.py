"""Prefix tuning (library peft): each layer's attention is given some keys and values that are trained, and no more.

They come of a small network while they are trained (`peft.PrefixEncoder`), and are kept as the numbers that it gives.
transformers' BertModel takes no keys and values of the past unless it is a decoder, so the attention that reads them
stands here. Source: Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation (2021).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from retrain.fitting.tuning.bodies.low_rank import load_peft
from retrain.fitting.tuning.body import NoOwnSteps


@dataclass(frozen=True, slots=True)
class PrefixTuning(NoOwnSteps):
    """tokens: of the prefix. width: of the network that its keys and values come of."""

    tokens: int = 16
    width: int = 256

    def prepared(self, encoder: Any) -> Any:
        """See `Body`. The prefix begins as zeros: little of an embedding changes at first."""
        import torch

        peft, config = load_peft(), encoder.config
        encoder.requires_grad_(False)
        encoder.prefix = peft.PrefixEncoder(
            peft.PrefixTuningConfig(
                num_virtual_tokens=self.tokens,
                token_dim=config.hidden_size,
                num_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                encoder_hidden_size=self.width,
                num_transformer_submodules=1,
                prefix_projection=True,
            )
        )
        torch.nn.init.zeros_(encoder.prefix.transform[-1].weight)
        torch.nn.init.zeros_(encoder.prefix.transform[-1].bias)
        now: dict[str, Any] = {}

        def compute(*_: Any) -> None:
            now["prefix"] = self._prefix(encoder)

        encoder.register_forward_pre_hook(compute)
        for number, layer in enumerate(encoder.encoder.layer):

            def told(place: int = 2 * number) -> tuple[Any, Any]:
                return now["prefix"][:, place], now["prefix"][:, place + 1]

            layer.attention.self = _prefixed(torch, layer.attention.self, told)
        return encoder

    def merged(self, module: Any) -> Mapping[str, Any]:
        """See `Body`: keys and values of each layer, as `models.encoder.parts` names them."""
        state = {name: value for name, value in module.state_dict().items() if not name.startswith("prefix.")}
        prefix = self._prefix(module).detach()
        for number in range(module.config.num_hidden_layers):
            name = f"encoder.layer.{number}.attention.self.prefix"
            state[f"{name}.keys"], state[f"{name}.values"] = prefix[:, 2 * number], prefix[:, 2 * number + 1]
        return state

    def _prefix(self, module: Any) -> Any:
        """(tokens, layers x keys and values, hidden)."""
        import torch

        tokens = torch.arange(self.tokens, device=module.prefix.embedding.weight.device)
        return module.prefix(tokens).view(self.tokens, 2 * module.config.num_hidden_layers, module.config.hidden_size)


def _prefixed(torch: Any, attention: Any, told: Callable[[], tuple[Any, Any]]) -> Any:
    """A BertSelfAttention with the same linear layers, and keys and values in front of a text's own."""
    heads, share = attention.num_attention_heads, attention.dropout.p

    class PrefixedAttention(torch.nn.Module):  # type: ignore[misc]  # torch is Any here: it is loaded late
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = attention.query, attention.key, attention.value

        def forward(self, hidden_states: Any, attention_mask: Any = None, *_: Any, **__: Any) -> tuple[Any, None]:
            texts, tokens, hidden = hidden_states.shape

            def split(value: Any) -> Any:
                return value.view(texts, -1, heads, hidden // heads).transpose(1, 2)

            keys, values = (
                torch.cat([part.expand(texts, -1, -1), own(hidden_states)], dim=1)
                for part, own in zip(told(), (self.key, self.value), strict=True)
            )
            mask = attention_mask
            if mask is not None:
                seen = torch.ones if mask.dtype == torch.bool else torch.zeros
                front = seen((*mask.shape[:-1], keys.shape[1] - tokens), dtype=mask.dtype, device=mask.device)
                mask = torch.cat([front, mask], dim=-1)
            attended = torch.nn.functional.scaled_dot_product_attention(
                split(self.query(hidden_states)),
                split(keys),
                split(values),
                attn_mask=mask,
                dropout_p=share if self.training else 0.0,
            )
            return attended.transpose(1, 2).reshape(texts, tokens, hidden), None

    return PrefixedAttention()
