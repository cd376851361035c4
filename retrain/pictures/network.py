"""The picture network in torch, for its training (extra `train`), and its weights as the serving graph takes them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.pictures.graph import STAGES, stage_stride, stem_stride


def build_network(torch: Any, labels: int, size: int, width: int, dropout: float) -> Any:
    """A module from pixels (pictures, 3, size, size) in [0, 1], already normalised, to logits.

    width: channels of the first stage; each further stage has twice as many.
    """
    nn = torch.nn

    def convolution(inputs: int, outputs: int, side: int, stride: int) -> Any:
        return nn.Sequential(
            nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False), nn.BatchNorm2d(outputs)
        )

    class Block(nn.Module):  # type: ignore[misc, name-defined]  # torch is not typed here
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.first = convolution(inputs, outputs, 3, stride)
            self.second = convolution(outputs, outputs, 3, 1)
            self.shortcut = convolution(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else None

        def forward(self, value: Any) -> Any:
            inner = self.second(torch.relu(self.first(value)))
            return torch.relu(inner + (value if self.shortcut is None else self.shortcut(value)))

    class Network(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            widths = [width * 2**stage for stage in range(STAGES)]
            self.stem = convolution(3, width, 3, stem_stride(size))
            inputs = [width, *widths[:-1]]
            self.stages = nn.ModuleList(
                Block(before, after, stage_stride(number))
                for number, (before, after) in enumerate(zip(inputs, widths, strict=True))
            )
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(widths[-1], labels)

        def forward(self, pixels: Any) -> Any:
            value = torch.relu(self.stem(pixels))
            for stage in self.stages:
                value = stage(value)
            return self.head(self.dropout(value.mean(dim=(2, 3))))

    return Network()


def graph_weights(
    network: Any, mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> Mapping[str, NDArray[np.float32]]:
    """What `models.pictures.graph.build_picture_graph` takes, batch normalisation folded into the convolutions.

    mean, scale: (3,), of a channel. Source: Jacob et al. (2018), "Quantization and training of neural networks for
    efficient integer-arithmetic-only inference", section 3.2.
    """
    weights = {
        "mean": mean.astype(np.float32).reshape(1, 3, 1, 1),
        "scale": scale.astype(np.float32).reshape(1, 3, 1, 1),
        "head.weight": _array(network.head.weight),
        "head.bias": _array(network.head.bias),
    }

    def fold(name: str, pair: Any) -> None:
        convolution, norm = pair
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        weights[f"{name}.weight"] = _array(convolution.weight * factor.reshape(-1, 1, 1, 1))
        weights[f"{name}.bias"] = _array(norm.bias - norm.running_mean * factor)

    fold("stem", network.stem)
    for number, block in enumerate(network.stages):
        for part in ("first", "second", "shortcut"):
            if getattr(block, part) is not None:
                fold(f"stage.{number}.{part}", getattr(block, part))
    return weights


def random_views(torch: Any, pixels: Any, generator: Any, *, mirror: bool) -> Any:
    """Pictures turned by up to 10 degrees, moved by up to a tenth, scaled, lighter or darker: each as its label could
    look as well. mirror: left and right may be changed. pixels: (pictures, 3, size, size) in [0, 1]."""
    count = pixels.shape[0]

    def uniform(low: float, high: float) -> Any:
        return low + (high - low) * torch.rand(count, generator=generator)

    angle, zoom = uniform(-0.175, 0.175), uniform(0.9, 1.1)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    side = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0) if mirror else torch.ones(count)
    rows = [
        torch.stack([cosine * side, -sine, uniform(-0.2, 0.2)], dim=1),
        torch.stack([sine * side, cosine, uniform(-0.2, 0.2)], dim=1),
    ]
    functional = torch.nn.functional
    places = functional.affine_grid(torch.stack(rows, dim=1), list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, places, padding_mode="border", align_corners=False)
    contrast, light = uniform(0.8, 1.2).reshape(-1, 1, 1, 1), uniform(-0.1, 0.1).reshape(-1, 1, 1, 1)
    return ((moved - 0.5) * contrast + 0.5 + light).clamp(0, 1)


Views = Callable[[Any], Any]


def _array(tensor: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = tensor.detach().cpu().numpy().astype(np.float32)
    return values
