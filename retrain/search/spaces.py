"""Which options of a strategy are searched, and between what."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Numbers:
    """From `low` to `high`. is_log: steps are factors. grid: what a grid search tries. whole: whole numbers only."""

    low: float
    high: float
    grid: tuple[float, ...]
    is_log: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """One of these values."""

    grid: tuple[str, ...]


Space = Mapping[str, Numbers | Words]

QUICK: Final[Space] = {
    "embedding": Numbers(0.2, 4.0, (1.0, 2.0), is_log=True),
    "words": Numbers(0.1, 4.0, (0.5, 1.0, 2.0), is_log=True),
    "characters": Numbers(0.1, 4.0, (0.5, 1.0), is_log=True),
    "strength": Numbers(0.3, 300.0, (4.0, 10.0, 30.0, 100.0), is_log=True),
    "loss": Words(("cross_entropy", "squared_hinge")),
    "min_texts": Numbers(1, 4, (2,), whole=True),
}
FULL: Final[Space] = {
    "learning_rate": Numbers(2e-5, 4e-4, (5e-5, 1e-4, 2e-4), is_log=True),
    "epochs": Numbers(2, 10, (4, 8)),
    "layer_decay": Numbers(0.8, 1.0, (0.9, 1.0)),
    "label_smoothing": Numbers(0.0, 0.2, (0.05, 0.1)),
    "r_drop": Numbers(0.0, 4.0, (0.0, 1.0)),
    "contrastive": Numbers(0.0, 0.3, (0.0, 0.1)),
    "head_start": Words(("random", "quick")),
}
# What every trial has beside what is searched.
FIXED: Final[Mapping[str, Mapping[str, Any]]] = {"quick": {"policy": "fixed"}, "full": {}}
SPACES: Final[Mapping[str, Space]] = {"quick": QUICK, "full": FULL}


def grid_of(space: Space) -> dict[str, list[Any]]:
    """What a grid search tries, by option."""
    return {name: list(one.grid) for name, one in space.items()}
