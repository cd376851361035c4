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
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, logsumexp

ALPHA: Final = 0.05
# The bet is spread over the share of wins that a better challenger may have by a Beta(2, 2) cut to (1/2, 1). Chosen of
# 1, 2, 3, 5, 10 and mixtures by the exact power at 250 to 5,000 texts, with 4 to 10 % of them discordant: Beta(5, 5)
# finds small gains of many texts as well (0.69 against 0.65), but ten wins to none (0.57 against 0.65) do not suffice.
PRIOR: Final = 2.0
MOST_TEXTS: Final = 1_000_000  # that are asked for

Counts = NDArray[np.floating[Any]]


def level_of(look: int, alpha: float = ALPHA) -> float:
    """The level of the look-th challenger against one champion, the first being 1; those of all sum up to alpha."""
    return 6 * alpha / (math.pi * look) ** 2


def log_e_value(won: float | Counts, lost: float | Counts) -> Counts:
    """Logarithm of what one unit became after so many texts that only the challenger, only the champion has right.

    2^(won + lost) times the mean of p^won (1 - p)^lost over the prior. Counts need not be whole.
    """
    won, lost = np.asarray(won, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    upper_half = betainc(lost + PRIOR, won + PRIOR, 0.5)  # of Beta(won + PRIOR, lost + PRIOR), above 1/2
    with np.errstate(divide="ignore"):
        mean = betaln(won + PRIOR, lost + PRIOR) + np.log(upper_half) - betaln(PRIOR, PRIOR) - math.log(0.5)
    result: Counts = mean + (won + lost) * math.log(2)
    return result


@dataclass(frozen=True, slots=True)
class Evidence:
    """log_peak: the most that the bet has won, on its way through the texts. log_needed: what it must have won.
    more_texts: how many more, live ones where there are any, would suffice for the next challenger, if it wins and
    loses on them as often; None where it does not win more often, or MOST_TEXTS would not do."""

    log_peak: float
    log_needed: float
    more_texts: int | None

    @property
    def suffices(self) -> bool:
        """Whether a challenger that is no better would have had less luck."""
        return self.log_peak >= self.log_needed


def weigh(
    champion_right: NDArray[np.bool_],
    challenger_right: NDArray[np.bool_],
    look: int = 1,
    alpha: float = ALPHA,
    is_live: NDArray[np.bool_] | None = None,
) -> Evidence:
    """The bet on both results, by text, in the order of the texts, which must have nothing to do with the results: what
    matters is the peak, and of texts sorted by label a challenger that is better on the first ones would pass.

    is_live: where some texts are live and others the corpus's, half of the stake is bet on the live ones alone: what is
    learnt of a new subject shows there, and chance on the corpus's would hide it.
    """
    texts = len(champion_right)
    is_live = np.zeros(texts, dtype=bool) if is_live is None else is_live
    parts = [np.ones(texts, dtype=bool)] + ([is_live] if is_live.any() and not is_live.all() else [])
    won = np.array([np.cumsum(challenger_right & ~champion_right & part) for part in parts], dtype=np.float64)
    lost = np.array([np.cumsum(champion_right & ~challenger_right & part) for part in parts], dtype=np.float64)
    peak = max(0.0, float(_stakes_together(won, lost).max(initial=0.0)))
    log_needed = -math.log(level_of(look, alpha))
    if peak >= log_needed or not texts:
        return Evidence(peak, log_needed, None)
    more = _more_texts(won[:, -1], lost[:, -1], int(is_live.sum()) or texts, -math.log(level_of(look + 1, alpha)))
    return Evidence(peak, log_needed, more)


def _stakes_together(won: Counts, lost: Counts) -> Counts:
    """The bets of equal stakes: (bets, ...) to (...)."""
    result: Counts = logsumexp(log_e_value(won, lost), axis=0) - math.log(len(won))
    return result


def _more_texts(won: Counts, lost: Counts, growing: int, log_needed: float) -> int | None:
    """By the value at the end. growing: texts of the last bet, of which labels bring more; the others stay."""
    each_won, each_lost = won[-1] / growing, lost[-1] / growing

    def suffice(more: float) -> bool:
        return bool(_stakes_together(won + more * each_won, lost + more * each_lost) >= log_needed)

    low, high = 1.0, float(MOST_TEXTS)
    if each_won <= each_lost or not suffice(high):
        return None
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return math.ceil(high)
