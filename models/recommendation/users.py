"""What users did last, in arrays: some 400 bytes a user, so that a million fit into memory."""

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import ACTION_INDEX

_PURCHASE: Final = ACTION_INDEX["purchase"]
_FIRST_ROOM: Final = 256
_NOBODY: Final = -1
_NONE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class History:
    """items: places of a user's recent items, most recently touched last; actions: what was last done with each
    (`events.ACTIONS`); both int64. bought: places of what the user bought. shown: the last list, or None."""

    items: NDArray[np.int64]
    actions: NDArray[np.int64]
    bought: NDArray[np.int64]
    shown: NDArray[np.int64] | None


EMPTY: Final = History(_NONE, _NONE, _NONE, None)


class Users:
    """Bounded: the last items of the last users. Who is beyond `users_max` is forgotten, least recently active
    first."""

    def __init__(self, recent_items: int, length: int, users_max: int, bought_max: int) -> None:
        """length: of the lists. bought_max: of a user's purchases, the latest stay."""
        self._recent, self._length, self._max, self._bought_max = recent_items, length, users_max, bought_max
        self._slots: OrderedDict[str, int] = OrderedDict()
        self._bought: dict[int, array[int]] = {}
        self._items = np.full((0, recent_items), _NOBODY, np.int32)
        self._actions = np.zeros((0, recent_items), np.int8)
        self._counts = np.zeros(0, np.int32)
        self._shown = np.full((0, length), _NOBODY, np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, user_id: str) -> int:
        """A user's slot, made where there is none; now the most recently active."""
        slot = self._slots.get(user_id)
        if slot is not None:
            self._slots.move_to_end(user_id)
            return slot
        if len(self._slots) >= self._max:
            _, slot = self._slots.popitem(last=False)
            self._bought.pop(slot, None)
        else:
            slot = len(self._slots)
            self._make_room(slot)
        self._slots[user_id] = slot
        self._counts[slot] = 0
        self._shown[slot] = _NOBODY
        return slot

    def known(self, user_id: str | None) -> int | None:
        """A user's slot; None where nothing is known of him."""
        return None if user_id is None else self._slots.get(user_id)

    def history(self, slot: int) -> History:
        """What a user did last."""
        count = self._counts[slot]
        shown = self._shown[slot]
        return History(
            self._items[slot, :count].astype(np.int64),
            self._actions[slot, :count].astype(np.int64),
            np.frombuffer(self._bought[slot], np.int32).astype(np.int64) if slot in self._bought else _NONE,
            shown[shown != _NOBODY].astype(np.int64) if shown[0] != _NOBODY else None,
        )

    def touch(self, slot: int, item: int, action: int) -> bool:
        """The user's latest event; returns whether the item was none of his recent ones."""
        items, actions, count = self._items[slot], self._actions[slot], int(self._counts[slot])
        places = np.flatnonzero(items[:count] == item)
        is_new = not len(places)
        if is_new and count < self._recent:
            self._counts[slot] = count = count + 1
        else:
            start = 0 if is_new else int(places[0])
            items[start : count - 1] = items[start + 1 : count]
            actions[start : count - 1] = actions[start + 1 : count]
        items[count - 1], actions[count - 1] = item, action
        if action == _PURCHASE:
            self._buy(slot, item)
        return is_new

    def show(self, slot: int, items: NDArray[np.int64]) -> None:
        """The list that the user has now."""
        self._shown[slot] = _NOBODY
        self._shown[slot, : len(items)] = items

    def _buy(self, slot: int, item: int) -> None:
        bought = self._bought.setdefault(slot, array("i"))
        if item not in bought:
            bought.append(item)
            del bought[: -self._bought_max]

    def _make_room(self, slot: int) -> None:
        room = len(self._counts)
        if slot < room:
            return
        more = min(max(room, _FIRST_ROOM), self._max - room)
        self._items = np.concatenate([self._items, np.full((more, self._recent), _NOBODY, np.int32)])
        self._actions = np.concatenate([self._actions, np.zeros((more, self._recent), np.int8)])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int32)])
        self._shown = np.concatenate([self._shown, np.full((more, self._length), _NOBODY, np.int32)])
