"""What is around a training in a test: checkpoints that end, and figures that are looked at."""

from collections.abc import Mapping
from typing import Any

from retrain.fitting.resuming.checkpoints import Tensors


class Watched:
    """Figures of a training, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, list[tuple[int, float]]] = {}

    def __call__(self, name: str, value: float, step: int) -> None:
        self.by_name.setdefault(name, []).append((step, value))


class Kept:
    """Checkpoints in memory. Those after the first `whole` are not reached: the training is cut off there."""

    def __init__(self, whole: int = 1000) -> None:
        self.left = whole
        self.by_name: dict[str, tuple[Tensors, dict[str, Any]]] = {}

    def load(self, name: str) -> tuple[Tensors, dict[str, Any]] | None:
        return self.by_name.get(name)

    def save(self, name: str, tensors: Tensors, state: Mapping[str, Any]) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.by_name[name] = ({key: value.copy() for key, value in tensors.items()}, dict(state))

    def forget(self) -> None:
        """They are looked at."""
