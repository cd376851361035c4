"""Evidence that may be looked at after every event: bets whose stake can only grow by chance with a stated probability.

If a mean is at most 0, who bets a fixed part of what he has on each next value being above 0 cannot expect to win. So
that his stake ever reaches 1/alpha has a probability of at most alpha, however often one looks and whenever one stops.
Source: Ville's inequality; Robbins (1970), mixtures; Waudby-Smith and Ramdas, Estimating means of bounded random
variables by betting, JRSS B 86 (2024); Johari, Pekelis and Walsh, Always valid inference, Operations Research (2022).
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

SHARES: Final = (0.01, 0.03, 0.08, 0.15, 0.3, 0.5, 0.7, 0.9)  # of the largest bet; equal weights


@dataclass(slots=True)
class Bets:
    """A mixture of bets that the mean of some values is above 0. logs: the logarithm of each one's stake."""

    logs: list[float] = field(default_factory=lambda: [0.0] * len(SHARES))

    def take(self, value: float, lowest: float, weight: float = 1.0) -> None:
        """Bet on one more value. lowest: the least it could have been, below 0, known before it came, as its weight
        was: a weight below 1 lets the value count less (a power below 1 of a stake that cannot be expected to grow
        cannot be either: Jensen)."""
        if value == 0.0 or weight == 0.0:
            return
        gains = _gains(value / -lowest)
        self.logs = [log + weight * gain for log, gain in zip(self.logs, gains, strict=True)]

    @property
    def log_evidence(self) -> float:
        """Logarithm of the mean stake."""
        return log_mean_exp(self.logs)

    def reaches(self, error: float) -> bool:
        """Whether the mean stake is at least 1 / error now."""
        limit = -math.log(error)
        return max(self.logs) >= limit and self.log_evidence >= limit  # a mean is no more than the highest


@functools.lru_cache(maxsize=8_192)
def _gains(most: float) -> tuple[float, ...]:
    """Of each bet, where the largest one would win `most` times what is at stake. Few values come again and again."""
    return tuple(math.log1p(share * most) for share in SHARES)


def log_mean_exp(logs: Sequence[float]) -> float:
    """Logarithm of the mean of exponentials."""
    highest = max(logs)
    return highest + math.log(math.fsum(math.exp(log - highest) for log in logs) / len(logs))


def counted_evidence(worse: int, better: int) -> float:
    """The same for pairs that differ, from their counts alone: so it does not matter in which order labels came. Tests
    that `worse` is not more probable than `better`; natural logarithm."""
    return log_mean_exp([worse * math.log1p(share) + better * math.log1p(-share) for share in SHARES])


def exceeds(events: int, of: int, share: float) -> float:
    """Natural logarithm of the evidence that events come more often than `share`, from their counts alone."""
    most = 1.0 / share
    return log_mean_exp(
        [
            events * math.log1p(part * most * (1.0 - share)) + (of - events) * math.log1p(-part * most * share)
            for part in SHARES
        ]
    )


def upper_bound(events: float, of: float, error: float) -> float:
    """The highest share that so few events of so many are not too few for, with probability `error` of being wrong.

    Both may be sums of weights up to 1. 1.0 where nothing was seen. Source: Chernoff's bound, inverted.
    """
    if of <= 0:
        return 1.0
    seen, limit = events / of, math.log(1.0 / error) / of
    low, high = seen, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(seen, middle) < limit else (low, middle)
    return high


def _divergence(seen: float, share: float) -> float:
    """Kullback and Leibler's, between two coins."""
    first = 0.0 if seen <= 0 else seen * math.log(seen / share)
    second = 0.0 if seen >= 1 else (1 - seen) * math.log((1 - seen) / (1 - share)) if share < 1 else math.inf
    return first + second


def split_evidence(taken: int, of: int, share: float, strength: float = 100.0) -> float:
    """Natural logarithm of the evidence that not `share` of the units are taken, from their counts alone.

    Source: sequential multinomial test of a sample ratio, Lindon and Malek, Anytime-valid inference for multinomial
    count data (2022); strength: of the prior, in units, around `share`.
    """
    if share >= 1.0:
        return 0.0 if taken == of else math.inf
    first, second = strength * share, strength * (1.0 - share)
    with_any = _log_beta(first + taken, second + of - taken) - _log_beta(first, second)
    return with_any - taken * math.log(share) - (of - taken) * math.log1p(-share)


def _log_beta(first: float, second: float) -> float:
    return math.lgamma(first) + math.lgamma(second) - math.lgamma(first + second)
