"""How a long training tells where it is."""

from typing import Protocol


class Progress(Protocol):
    """Told how far a training is."""

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """stage: a short name. done, total: in units of that stage."""


def no_progress(stage: str, done: int, total: int, /) -> None:
    """Progress that nobody looks at."""
