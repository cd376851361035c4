"""What a compression is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.encoder.quantization import QuantizationPolicy
from models.errors import ConfigError
from retrain.compression.distillation import Distillation

QUANTIZATIONS: Final[Mapping[str, QuantizationPolicy]] = {
    "outliers": QuantizationPolicy(),
    "percentile": QuantizationPolicy(range_by="percentile"),
    "entropy": QuantizationPolicy(range_by="entropy"),
    "smoothing": QuantizationPolicy(smoothing=0.5),
}


@dataclass(frozen=True, slots=True)
class CompressionPlan:
    """layers: left of the encoder's; None: all, or with distillation half of them. heads, units: shares of the
    attention heads and feed-forward units that are left, in (0, 1]. distillation: how the small encoder is taught;
    None: not at all. quantization: a key of QUANTIZATIONS, or auto: the one whose INT8 embeddings are nearest to the
    exact ones, on texts held out. Raises ConfigError.
    """

    layers: int | None = None
    heads: float = 1.0
    units: float = 1.0
    distillation: Distillation | None = None
    quantization: str = "auto"

    def __post_init__(self) -> None:
        for name in ("heads", "units"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give the share that is left, such as 0.75")
        if self.layers is not None and self.layers < 1:
            raise ConfigError(f"layers is {self.layers}; give how many are left, 1 or more")
        if self.quantization != "auto" and self.quantization not in QUANTIZATIONS:
            raise ConfigError(
                f"quantization {self.quantization!r} does not exist; there are: auto, {', '.join(QUANTIZATIONS)}"
            )
