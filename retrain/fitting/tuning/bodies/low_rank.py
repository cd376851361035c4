"""LoRA and AdaLoRA (library peft): each linear layer's weights change by a product of two narrow matrices.

Both are merged into the weights in the end, so what serves is a BERT like any other. Sources: Hu et al., LoRA (2021);
Zhang et al., AdaLoRA: Adaptive Budget Allocation (2023).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.errors import ConfigError
from retrain.fitting.tuning.body import NoOwnSteps

LINEAR_LAYERS: Final = ("query", "key", "value", "dense")
NEEDS_PEFT: Final = "this strategy needs peft: `make setup-train`, or pip install 'headrace[train]'"
_NAME: Final = "default"  # peft's, of the one set of matrices
_TUNER: Final = "low_rank_tuner"
_IMPORTANCE: Final = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # peft's names: of the last step, its mean, how unsure
_LEFT: Final = "left"


def load_peft() -> Any:
    """The library. Raises ConfigError where it is not installed."""
    try:
        import peft
    except ImportError as error:
        raise ConfigError(NEEDS_PEFT) from error
    return peft


class _Merging(NoOwnSteps):
    def merged(self, module: Any) -> Mapping[str, Any]:
        """See `Body`: every weight with its product added."""
        plain = {
            name.replace(".base_layer.", "."): value
            for name, value in module.state_dict().items()
            if ".lora_" not in name and ".ranknum" not in name
        }
        for name, layer in module.named_modules():
            if hasattr(layer, "get_delta_weight"):
                plain[f"{name}.weight"] = layer.base_layer.weight + layer.get_delta_weight(_NAME)
        return plain


@dataclass(frozen=True, slots=True)
class LowRank(_Merging):
    """LoRA. rank: of the products. alpha: they are scaled by alpha / rank. dropout: of what goes into them."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05

    def prepared(self, encoder: Any) -> Any:
        """See `Body`."""
        peft = load_peft()
        config = peft.LoraConfig(
            r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=list(LINEAR_LAYERS)
        )
        return peft.inject_adapter_in_model(config, encoder)


@dataclass(frozen=True, slots=True)
class AdaptiveRank(_Merging):
    """AdaLoRA: products in the form of a singular value decomposition, the least important values of all layers set to
    zero step by step. first_rank, rank: on average over the layers, before and after. apart: weight of what keeps the
    singular vectors orthogonal. warm_up, rest: shares of the steps before the first is dropped, and after the last.
    """

    first_rank: int = 24
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    apart: float = 0.1
    warm_up: float = 0.1
    rest: float = 0.4

    def prepared(self, encoder: Any) -> Any:
        """See `Body`."""
        peft = load_peft()
        config = peft.AdaLoraConfig(
            init_r=self.first_rank,
            target_r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules=list(LINEAR_LAYERS),
            total_step=1_000_000,  # known once the first step is made
        )
        encoder.__dict__[_TUNER] = peft.AdaLoraModel(encoder, config, _NAME)  # not as a module of the encoder: it
        return encoder  # holds the encoder as one of its own

    def before_step(self, module: Any) -> None:
        """Adds the gradient of what keeps the singular vectors orthogonal."""
        import torch

        apart = [
            torch.linalg.matrix_norm(_gram(name, value) - torch.eye(min(value.shape), device=value.device))
            for name, value in module.named_parameters()
            if ".lora_A." in name or ".lora_B." in name
        ]
        torch.autograd.backward([self.apart * torch.stack(apart).mean()])

    def after_step(self, module: Any, step: int, steps: int) -> None:
        """Drops singular values, by the gradients that this step was made of."""
        tuner = module.__dict__[_TUNER]
        config = tuner.peft_config[_NAME]
        config.total_step, config.tinit, config.tfinal = steps, int(self.warm_up * steps), int(self.rest * steps)
        config.deltaT = max(1, (steps - config.tinit - config.tfinal) // 20)
        if step < steps - config.tfinal or config.rank_pattern is not None:
            tuner.update_and_allocate(step)
        elif step >= steps - config.tfinal:  # the first step of the rest
            tuner.rankallocator.set_total_step(steps)
            tuner.update_and_allocate(steps - config.tfinal)

    def kept(self, module: Any) -> Mapping[str, Any]:
        """See `Body`: how important each weight was up to now, and which singular values are left."""
        import torch

        tuner = module.__dict__[_TUNER]
        parts = {f"{part}.{name}": value for part in _IMPORTANCE for name, value in _of(tuner, part).items()}
        left = tuner.peft_config[_NAME].rank_pattern or {}
        return parts | {f"{_LEFT}.{name}": torch.tensor(those, dtype=torch.uint8) for name, those in left.items()}

    def go_on(self, module: Any, kept: Mapping[str, Any]) -> None:
        """See `Body`."""
        tuner, left = module.__dict__[_TUNER], dict[str, list[bool]]()
        for key, value in kept.items():
            part, _, name = key.partition(".")
            if part == _LEFT:
                left[name] = value.bool().tolist()
            else:
                _of(tuner, part)[name] = value
        tuner.peft_config[_NAME].rank_pattern = left or None


def _of(tuner: Any, part: str) -> dict[str, Any]:
    """peft's own record of the weights' importance."""
    of_weights: dict[str, Any] = getattr(tuner.rankallocator, part)
    return of_weights


def _gram(name: str, value: Any) -> Any:
    return value @ value.T if ".lora_A." in name else value.T @ value
