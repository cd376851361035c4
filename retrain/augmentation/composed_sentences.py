"""Sentences of which only what their words do to each other tells good from bad, made of a release's own list.

They teach a head how much to believe what is composed (`models.polarity`): in texts that people wrote the words around
it nearly always tell as well, so a head learns the words. Each frame comes with both directions and with quantities of
both kinds, so that no single word is good or bad among them. Only sentences are kept whose composed sign is what
the frame says it is.

Idea: Kaushik, Hovy and Lipton, Learning the Difference that Makes a Difference with Counterfactually-Augmented Data
(2020).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from models.polarity.view import Polarity

_FIRMS: Final = ("Osk", "Varrick", "Tolm Group", "Prenn Foods", "Halvor", "Quenby Rail", "Listow", "Marden Steel")
_MOVED: Final = {1: ("rose", "climbed", "increased", "jumped", "grew"), -1: ("fell", "declined", "dropped", "shrank")}
_CHANGED: Final = {1: ("raised", "boosted", "lifted"), -1: ("cut", "reduced", "trimmed")}
_CHANGE: Final = {1: ("raise", "boost", "lift"), -1: ("cut", "reduce", "trim")}
_MORE: Final = {1: ("higher", "larger", "bigger"), -1: ("lower", "smaller", "weaker")}
_HAPPENS: Final = {
    1: ("win the contract", "recover", "return to profit", "gain approval", "break even"),
    -1: ("default", "lose customers", "go bankrupt", "miss its target", "fail"),
}
_LATER: Final = {1: ("raised its outlook", "won a large order"), -1: ("cut its outlook", "lost its largest customer")}
_TRIES: Final = 20  # for each sentence that is wanted; a list of another language keeps none


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What a frame may use. quantity: its name. kind, way: +1 or -1, of the quantity and of the direction. low, high:
    two numbers."""

    random: np.random.Generator
    firm: str
    quantity: str
    kind: int
    way: int
    low: float
    high: float

    def of(self, words: Mapping[int, Sequence[str]]) -> str:
        """One of those of the direction."""
        return str(self.random.choice(words[self.way]))

    @property
    def pair(self) -> tuple[float, float]:
        """What it is, and what it was."""
        return (self.high, self.low) if self.way > 0 else (self.low, self.high)


Frame = Callable[[_Drawn], tuple[str, int]]

_FRAMES: Final[tuple[Frame, ...]] = (
    lambda x: (f"{x.quantity} {x.of(_MOVED)} at {x.firm}", x.way * x.kind),
    lambda x: (f"{x.firm} {x.of(_CHANGED)} its {x.quantity}", x.way * x.kind),
    lambda x: (f"{x.firm} failed to {x.of(_CHANGE)} {x.quantity}", -x.way * x.kind),
    lambda x: (f"{x.quantity} at {x.firm} did not {'rise' if x.way > 0 else 'fall'}", -x.way * x.kind),
    lambda x: (f"{x.firm} reports {x.of(_MORE)} {x.quantity}", x.way * x.kind),
    lambda x: (f"{x.quantity} at {x.firm} {x.of(_MORE)} than a year ago", x.way * x.kind),
    lambda x: (f"{x.quantity} at {x.firm} {x.of(_MORE)} than analysts had expected", x.way * x.kind),
    lambda x: (f"{x.quantity} of {x.firm} went from {x.pair[1]:.1f} to {x.pair[0]:.1f} million", x.way * x.kind),
    lambda x: (
        f"{x.quantity} of {x.pair[0]:.1f} million against {x.pair[1]:.1f} million a year earlier",
        x.way * x.kind,
    ),
    lambda x: (f"{x.quantity} at {x.firm} no longer {'rising' if x.way > 0 else 'falling'}", -x.way * x.kind),
    lambda x: (f"{x.firm} will not {x.of(_HAPPENS)}", -x.way),
    lambda x: (f"{x.firm} did {x.of(_HAPPENS)} after all", x.way),
    lambda x: (f"{x.of(_MORE)} than feared at {x.firm}", -x.way),
    lambda x: (
        f"{x.quantity} {x.of(_MOVED)} at {x.firm}, but it {x.random.choice(_LATER[-x.way * x.kind])}",
        -x.way * x.kind,
    ),
)


def composed_sentences(polarity: Polarity, count: int, seed: int) -> list[tuple[str, int]]:
    """Different sentences, each with +1 (good) or -1 (bad); fewer than `count` where the list gives no more. The same
    list and seed give the same ones."""
    random, quantities = np.random.default_rng(seed), polarity.quantities
    made: dict[str, int] = {}
    for number in range(count * _TRIES):
        if len(made) == count:
            break
        text, sign = _FRAMES[number % len(_FRAMES)](_drawn(quantities, random))
        text = text[0].upper() + text[1:]
        if polarity.read(text).score * sign > 0:
            made[text] = sign
    return list(made.items())


def _drawn(quantities: Mapping[int, list[str]], random: np.random.Generator) -> _Drawn:
    kind, way = (int(sign) for sign in random.choice((-1, 1), size=2))
    listed = quantities[kind]
    low = round(float(random.uniform(1, 9)), 1)
    high = round(low + float(random.uniform(0.3, 4)), 1)
    firm = str(random.choice(_FIRMS))
    return _Drawn(random, firm, listed[random.integers(len(listed))], kind, way, low, high)
