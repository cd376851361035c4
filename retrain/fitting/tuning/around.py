"""What a training keeps and shows while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass, field

from retrain.fitting.resuming.checkpoints import Checkpoints, NoCheckpoints

Watch = Callable[[str, float, int], None]


def unwatched(name: str, value: float, step: int, /) -> None:
    """Figures that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a training keeps and shows. watch: told figures by name and step, for pictures of the training."""

    checkpoints: Checkpoints = field(default_factory=NoCheckpoints)
    watch: Watch = unwatched
