"""Is a head no worse than before? Shown, refuted, or not to be said with so few texts.

Shown: the bound of what it loses (Tango's, at the level of this challenger) is at most MARGIN. An equal head of which
4 % of the answers change shows it four times in five with ENOUGH texts; from there on, what is not shown is refused.
With fewer, most equal heads could not show it, and a small application would never get a release. There a head is
refused that loses more than MARGIN and more often than it wins, beyond chance (one-sided sign test, CHANCE: four losses
to no win, for one); any other passes, and the verdict says that the texts are too few, and how many labels would do
(of live texts: no label adds to the corpus's).

What is spent over the challengers of a champion is the chance that a head passes which loses MARGIN: ALPHA over LOOKS
of them, half of it on the first, as most champions meet few. The later ones share the rest alike: a level that fell
from challenger to challenger, as that of the bet does, would refuse one and the same head ever more often, though
nothing about it has changed, and would never spend most of what it holds back.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

from scipy.stats import binom

from retrain.gate.comparison import Comparison
from retrain.gate.evidence import ALPHA
from retrain.paired_bounds import drop_bound

MARGIN: Final = 0.01
ENOUGH: Final = 3000
CHANCE: Final = 0.1
LOOKS: Final = 8  # over which the chance of a wrong pass is at most ALPHA; each more adds a fourteenth of it
MOST_TEXTS: Final = 1_000_000  # that are asked for

Outcome = Literal["passed", "too few", "refused"]


@dataclass(frozen=True, slots=True)
class NoWorse:
    """bound: of the accuracy that is lost, in [-1, 1]. more_texts: how many more would show it of a head that loses
    nothing, where so many answers change as now; None where it is shown or refuted, or MOST_TEXTS would not do."""

    outcome: Outcome
    bound: float
    more_texts: int | None


def no_worse_level(look: int, alpha: float = ALPHA) -> float:
    """The chance at which a head of the look-th challenger that loses MARGIN may pass; the first is 1."""
    return alpha / 2 if look == 1 else alpha / 2 / (LOOKS - 1)


def no_worse(pair: Comparison, level: float, next_level: float) -> NoWorse:
    """level: of `no_worse_level`; next_level: the next challenger's."""
    lost, won, texts = pair.only_champion, pair.only_challenger, pair.texts
    bound = drop_bound(lost, won, texts, 1 - level)
    if bound <= MARGIN:
        return NoWorse("passed", bound, None)
    if -pair.gain > MARGIN and binom.cdf(won, won + lost, 0.5) <= CHANCE:
        return NoWorse("refused", bound, None)
    enough = _texts_that_show((lost + won + 1) / (texts + 1), next_level)
    more = None if enough is None else max(1, enough - texts)
    return NoWorse("refused" if texts >= ENOUGH else "too few", bound, more)


def _texts_that_show(changed: float, level: float) -> int | None:
    """Texts on which an equal head passes, if this share of its answers changes."""
    low, high = 1.0, float(MOST_TEXTS)
    changed = min(changed, 0.5)

    def shows(texts: float) -> bool:
        return drop_bound(texts * changed / 2, texts * changed / 2, texts, 1 - level) <= MARGIN

    if not shows(high):
        return None
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if shows(middle) else (middle, high)
    return math.ceil(high)
