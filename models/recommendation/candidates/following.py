"""What users touched after which items, of late: the last touches and what each came after, no counts of all time.

A shop's baskets come in an order, and what comes after what changes sooner than what goes together: each touch counts
from the next event on, without a fit, and for a fixed number of touches. What counts is how often an item came after
one of the user's last items, the later the more (a Markov chain over a few last items at once, as the sequential
nearest neighbours of Garg, Gupta, Malhotra, Vig, Shroff, 2019, "Sequence and time aware neighborhood for session-based
recommendations", by single items in place of sessions).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

TOUCHES: Final = 2_000  # that are remembered
BEFORE: Final = 5  # items that a touch came after, at most
_DECAY: Final = 0.5  # per newer item of the user who asks; a power of two, so that sums are exact in any order
_NONE: Final = -1


class Following:
    """A function of the last touches. Not thread-safe: one owner."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as before the first touch."""
        self._touched = np.full(TOUCHES, _NONE, np.int64)
        self._before = np.full((TOUCHES, BEFORE), _NONE, np.int64)
        self._next = 0

    def touched(self, item: int, own: NDArray[np.int64]) -> None:
        """A user touched an item after these of his, the latest last."""
        last = own[own != item][-BEFORE:]
        if not len(last):
            return
        self._touched[self._next] = item
        self._before[self._next] = _NONE
        self._before[self._next, : len(last)] = last
        self._next = (self._next + 1) % TOUCHES

    def came_after(self, item: int, own: NDArray[np.int64]) -> int | None:
        """Which of a user's last items it came after last, the latest of these; None: after none."""
        last = own[-BEFORE:]
        found = np.isin(self._before[self._touched == item], last)
        if not found.any():
            return None
        before = self._before[self._touched == item][found]
        return int(last[np.isin(last, before)][-1])

    def state(self) -> NDArray[np.int32]:
        """What `restore` needs, int32 (touches, 1 + BEFORE), oldest first: the item, and what it came after."""
        rows = np.roll(np.column_stack([self._touched, self._before]), -self._next, axis=0)
        return np.asarray(rows[rows[:, 0] != _NONE], np.int32)

    def restore(self, state: NDArray[np.int32], places: NDArray[np.int32]) -> None:
        """Go on where `state` was taken. places: where the items stand now, below zero: nowhere."""
        self.forget()
        moved = np.append(places, _NONE)[state]  # what is nowhere was the last place and stays so
        kept = moved[moved[:, 0] >= 0][-TOUCHES:]
        self._touched[: len(kept)], self._before[: len(kept)] = kept[:, 0], np.maximum(kept[:, 1:], _NONE)
        self._next = len(kept) % TOUCHES

    def scores(self, own: NDArray[np.int64], items: int) -> NDArray[np.float32]:
        """How often each item came after the last of these of a user, the latest last, float32 (items,)."""
        last = own[-BEFORE:]
        counts_for = np.zeros(items + 1, np.float32)  # one more: where nothing stands
        counts_for[last] = np.power(_DECAY, np.arange(len(last) - 1, -1, -1), dtype=np.float32)
        each = counts_for[self._before].sum(axis=1)
        said = np.flatnonzero(each)
        return np.bincount(self._touched[said], each[said], minlength=items).astype(np.float32)
