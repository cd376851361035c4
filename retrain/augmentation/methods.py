"""What a method of augmentation is: one text made of each text, the same one wherever it is made."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from retrain.progress import Progress, no_progress

Rewrite = Callable[[str, np.random.Generator], str]
_CHUNK = 1024


class Method(Protocol):
    """A way to make a text of a text. name: as it is asked for, and told of."""

    @property
    def name(self) -> str:
        """Short, such as `typing`."""

    def rewritten(self, texts: Sequence[str], seed: int, progress: Progress = no_progress) -> list[str]:
        """One text made of each, in order; the text itself where none can be made of it. What is made of a text depends
        on it and the seed, not on its neighbours' order. Raises HeadraceError."""


@dataclass(frozen=True, slots=True)
class EachByItself:
    """`Method` whose texts know nothing of each other."""

    name: str
    rewrite: Rewrite

    def rewritten(self, texts: Sequence[str], seed: int, progress: Progress = no_progress) -> list[str]:
        """See `Method`."""
        made = []
        for number, text in enumerate(texts):
            if number % _CHUNK == 0:
                progress(f"augmenting by {self.name}", number, len(texts))
            made.append(self.rewrite(text, random_of(text, seed)))
        progress(f"augmenting by {self.name}", len(texts), len(texts))
        return made


def random_of(text: str, seed: int) -> np.random.Generator:
    """Random numbers of a text: the same wherever it stands, on every machine."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
