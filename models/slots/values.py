"""What a slot finder gives, and what finds it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class Found(NamedTuple):
    """`text[start:end]`, and what it stands for, written in one way however a person wrote it."""

    start: int
    end: int
    value: str


class Finder(Protocol):
    """Finds the values of one slot."""

    def find(self, text: str, at: datetime) -> Iterable[Found]:
        """From the left, no two overlapping. at: when the text was written, UTC; what is relative is reckoned from
        it."""


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A value in a text: `text[start:end]`, in characters."""

    start: int
    end: int
    name: str
    value: str
    text: str
