"""Who touched what, in the order of time, and which of it a map of the items' embeddings may learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.recommendation.events import UserEvent

HELD_OUT: Final = 0.2  # of the events, the last ones, judge; of the items so many are kept from the training
_SEED: Final = 0x17E3


@dataclass(frozen=True, slots=True)
class Touches:
    """One row an event of a known user and an item of the catalogue. users, items: int64, numbers and places. at:
    which of the events it was."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    at: NDArray[np.int64]
    user_ids: tuple[str, ...]

    def part(self, chosen: NDArray[np.bool_]) -> "Touches":
        """Those that are chosen, (touches,)."""
        return Touches(self.users[chosen], self.items[chosen], self.at[chosen], self.user_ids)

    def matrix(self, items: int) -> csr_matrix:
        """1 where a user touched an item, float32 (users, items)."""
        ones = np.ones(len(self.users), np.float32)
        found = csr_matrix((ones, (self.users, self.items)), (len(self.user_ids), items))
        found.data[:] = 1.0  # however often
        return found


def touches_of(events: Sequence[UserEvent], item_ids: Sequence[str]) -> Touches:
    """events: in the order of time. Those of no user, or of an item that is not there, are left out."""
    places = {item_id: place for place, item_id in enumerate(item_ids)}
    numbers: dict[str, int] = {}
    rows = [
        (numbers.setdefault(event.user_id, len(numbers)), places[event.item_id], at)
        for at, event in enumerate(events)
        if event.user_id is not None and event.item_id in places
    ]
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Touches(table[:, 0], table[:, 1], table[:, 2], tuple(numbers))


@dataclass(frozen=True, slots=True)
class HeldOut:
    """start: the event from which on judges. cold: bool (items,), those whose touches no map learns from: some drawn,
    and all that nobody had touched before."""

    start: int
    cold: NDArray[np.bool_]

    def train(self, touches: Touches) -> Touches:
        """What may be learnt from."""
        return touches.part((touches.at < self.start) & ~self.cold[touches.items])


def hold_out(touches: Touches, items: int, seed: int) -> HeldOut:
    """The last fifth of the touches by time, and a fifth of the items, by the seed."""
    first = int(len(touches.at) * (1 - HELD_OUT))
    start = int(touches.at[first]) if first < len(touches.at) else 0
    cold = np.random.default_rng((_SEED, seed)).random(items) < HELD_OUT
    known = np.zeros(items, bool)
    known[touches.items[touches.at < start]] = True
    return HeldOut(start, cold | ~known)
