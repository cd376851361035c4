"""Which interactions train, and which are to be foretold: the protocols that published figures stand on.

A pair of user and item counts once, with the time of its first interaction; what a user has in the training part is
never asked of him again (repeats are figures of their own). So each protocol is about what is new to the user.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from bench.recommendation.files.log import Log

_TEST_SHARE: Final = 0.25
_LAST_SHARE: Final = 0.2  # of the interactions, by time


@dataclass(frozen=True, slots=True)
class Pairs:
    """Users with the items they touched, each pair once. days: when first, or None where nobody knows."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    days: NDArray[np.float64] | None
    shape: tuple[int, int]

    def part(self, chosen: NDArray[np.bool_]) -> "Pairs":
        """Those that are chosen, (pairs,)."""
        days = self.days[chosen] if self.days is not None else None
        return Pairs(self.users[chosen], self.items[chosen], days, self.shape)

    def matrix(self) -> csr_matrix:
        """1 for each pair, float32 (users, items)."""
        return csr_matrix((np.ones(len(self.users), np.float32), (self.users, self.items)), self.shape)


@dataclass(frozen=True, slots=True)
class Split:
    """train and test have no pair in common. now: the day of the recommendation, None where no time is known."""

    train: Pairs
    test: Pairs
    now: float | None


Protocol = Callable[[Pairs, int], Split]


def pairs_of(log: Log) -> Pairs:
    """Of a log, each pair with its first time."""
    order = np.argsort(log.days, kind="stable") if log.days is not None else np.arange(len(log.users))
    codes = log.users[order] * log.shape[1] + log.items[order]
    _, first = np.unique(codes, return_index=True)
    chosen = np.sort(order[first])
    days = log.days[chosen] if log.days is not None else None
    return Pairs(log.users[chosen], log.items[chosen], days, log.shape)


def by_user(pairs: Pairs, seed: int) -> Split:
    """A quarter of each user's items, at random; a user of fewer than four items trains."""
    places, sizes = _places(pairs, np.random.default_rng(seed).random(len(pairs.users)))
    return _split(pairs, places < np.floor(sizes * _TEST_SHARE), None)


def leave_one_out(pairs: Pairs, seed: int) -> Split:
    """Each user's last item (one at random where no time is known); a user of one item trains."""
    draw = np.random.default_rng(seed).random(len(pairs.users))
    order = draw if pairs.days is None else -pairs.days + draw * 1e-9  # the items of one basket at random
    places, sizes = _places(pairs, order)
    return _split(pairs, (places == 0) & (sizes > 1), None)


def by_time(pairs: Pairs, seed: int) -> Split:
    """The last fifth of all interactions, of users who have earlier ones."""
    assert pairs.days is not None
    now = float(np.quantile(pairs.days, 1 - _LAST_SHARE))
    later = pairs.days >= now
    known = np.isin(pairs.users, pairs.users[~later])
    return Split(pairs.part(~later), pairs.part(later & known), now)


def protocols(pairs: Pairs) -> dict[str, Protocol]:
    """Those that the interactions allow, by name."""
    found: dict[str, Protocol] = {"75/25 per user": by_user, "leave one out": leave_one_out}
    if pairs.days is not None:
        found["split by time"] = by_time
    return found


def _split(pairs: Pairs, is_test: NDArray[np.bool_], now: float | None) -> Split:
    return Split(pairs.part(~is_test), pairs.part(is_test), now)


def _places(pairs: Pairs, order: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each pair: its place among its user's, by `order`, from 0; and how many its user has."""
    by_user_then = np.lexsort((order, pairs.users))
    sizes = np.bincount(pairs.users, minlength=pairs.shape[0])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    places = np.empty(len(pairs.users), np.int64)
    sorted_users = pairs.users[by_user_then]
    places[by_user_then] = np.arange(len(pairs.users)) - starts[sorted_users]
    return places, sizes[pairs.users]
