"""The evidence that a challenger decides more texts rightly than the champion: what a fair bet would have won.

Somebody bets against "the challenger is no better" on one text after the other that just one of both decides rightly.
If it is no better, the money grows to k times the stake at any time with a chance of at most 1/k, however often one
looks. So a look costs nothing: neither one more text, nor one more hour.

Each challenger is a new bet, on texts that its predecessors were judged on as well. So the k-th challenger against the
same champion must win more: its level is 6/(pi k)^2 of all, and over any number of challengers, whatever they have in
common, the chance that one passes that is no better stays below ALPHA (by the union bound).

Sources: Ville (1939); Shafer, Testing by betting (2021); Waudby-Smith and Ramdas, Estimating means of bounded random
variables by betting (2024); the bet: Turner, Ly and Gruenwald, Generic e-variables for exact sequential k-sample tests
(2022), conditional on the discordant texts.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln

ALPHA: Final = 0.05
# The bet is spread over the share of wins that a better challenger may have by a Beta(2, 2) cut to (1/2, 1). Chosen of
# 1, 2, 3, 5, 10 and mixtures by the exact power at 250 to 5,000 texts, with 4 to 10 % of them discordant: Beta(5, 5)
# finds small gains of many texts as well (0.69 against 0.65), but ten wins to none (0.57 against 0.65) do not suffice.
PRIOR: Final = 2.0
MOST_TEXTS: Final = 1_000_000  # that are asked for


def level_of(look: int, alpha: float = ALPHA) -> float:
    """The level of the look-th challenger against one champion, the first being 1; those of all sum up to alpha."""
    return 6 * alpha / (math.pi * look) ** 2


def log_e_value(won: float | NDArray[np.int64], lost: float | NDArray[np.int64]) -> NDArray[np.float64]:
    """Logarithm of what one unit became after so many texts that only the challenger, only the champion has right.

    2^(won + lost) times the mean of p^won (1 - p)^lost over the prior. Counts need not be whole.
    """
    won, lost = np.asarray(won, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    upper_half = betainc(lost + PRIOR, won + PRIOR, 0.5)  # of Beta(won + PRIOR, lost + PRIOR), above 1/2
    with np.errstate(divide="ignore"):
        mean = betaln(won + PRIOR, lost + PRIOR) + np.log(upper_half) - betaln(PRIOR, PRIOR) - math.log(0.5)
    result: NDArray[np.float64] = mean + (won + lost) * math.log(2)
    return result


@dataclass(frozen=True, slots=True)
class Evidence:
    """log_peak: the most that the bet has won, on its way through the texts. log_needed: what it must have won.
    more_texts: how many more would suffice for the next challenger, if it wins and loses as often; None where it does
    not win more often, or by MOST_TEXTS nothing would come of it."""

    log_peak: float
    log_needed: float
    more_texts: int | None

    @property
    def suffices(self) -> bool:
        """Whether a challenger that is no better would have had less luck."""
        return self.log_peak >= self.log_needed


def weigh(
    champion_right: NDArray[np.bool_], challenger_right: NDArray[np.bool_], look: int = 1, alpha: float = ALPHA
) -> Evidence:
    """The bet on both results, by text, in the order of the texts, which must have nothing to do with the results: what
    matters is the peak, and of texts sorted by label a challenger that is better on the first ones would pass."""
    differs = champion_right != challenger_right
    wins = np.cumsum(challenger_right[differs])
    losses = np.cumsum(champion_right[differs])
    path = log_e_value(wins, losses)
    log_needed = -math.log(level_of(look, alpha))
    peak = float(path.max(initial=0.0))
    texts, won, lost = len(differs), int(challenger_right[differs].sum()), int(champion_right[differs].sum())
    return Evidence(peak, log_needed, None if peak >= log_needed else _more_texts(won, lost, texts, look + 1, alpha))


def _more_texts(won: int, lost: int, texts: int, look: int, alpha: float) -> int | None:
    """By the value at the end, on so many times the texts."""
    if won <= lost:
        return None
    needed = -math.log(level_of(look, alpha))
    low, high = 1.0, MOST_TEXTS / texts
    if log_e_value(high * won, high * lost) < needed:
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if log_e_value(middle * won, middle * lost) >= needed else (middle, high)
    return max(1, math.ceil((high - 1) * texts))
