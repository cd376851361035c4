"""The port of change detectors: values in, one after the other; a level where the stream has changed."""

from collections.abc import Mapping
from typing import Any, Protocol

Value = float | str  # a number, or the name of a kind


class ChangeDetector(Protocol):
    """Watches one stream of values. Not thread-safe.

    The same values in the same order give the same alarms, however often it was taken apart and put together in
    between. After an alarm it begins anew: what comes then is what it compares with.
    """

    @property
    def level(self) -> float:
        """How near it is to an alarm: 0 nothing, 1 an alarm at the last value; 0 in between where a method says
        nothing until it alarms."""
        ...

    @property
    def since(self) -> int:
        """How many values, up to the last one, it takes for those after the change; 1 where the method does not say."""
        ...

    def update(self, value: Value) -> float | None:
        """Take a finite number in, or a kind where it watches kinds. The level where this one makes it alarm; None at
        all others."""
        ...

    def reset(self) -> None:
        """Forget all values."""
        ...

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here, for JSON: bounded, whatever number of values came."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken, by a detector of the same settings. Raises ValueError, KeyError or TypeError
        where it does not fit; it is then to be thrown away."""
        ...
