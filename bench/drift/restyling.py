"""The same texts written another way, as a new channel or a new kind of user writes them. Pure."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from models.words.typing_noise import typed_badly

Restyle = Callable[[str, np.random.Generator], str]

_MARKS: Final = str.maketrans("", "", ".,;:!?'\"()")


def _halved(text: str, random: np.random.Generator) -> str:
    return " ".join(word for word in text.split() if random.random() < 0.5) or text


def _joined(text: str, random: np.random.Generator) -> str:
    return "".join(word if random.random() < 0.5 else f" {word}" for word in text.split()).strip() or text


STYLES: Final[Mapping[str, Restyle]] = {
    "capitals": lambda text, _: text.upper(),
    "as spoken": lambda text, _: text.lower().translate(_MARKS) or text,
    "with a greeting": lambda text, _: f"Hello, {text}",
    "with a signature": lambda text, _: f"{text} Sent from my phone",
    "with a number": lambda text, random: f"Ticket {random.integers(10_000, 99_999)}: {text}",
    "politely": lambda text, _: f"Could you please look at this: {text}",
    "loudly": lambda text, _: f"{text}!!!",
    "with a few slips": lambda text, random: typed_badly(text, 0.03, random) or text,
    "mistyped": lambda text, random: typed_badly(text, 0.2, random) or text,
    "half of the words": _halved,
    "half of the spaces": _joined,
}
