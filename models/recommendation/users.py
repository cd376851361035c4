"""What users did last, in arrays: some 600 bytes a user, so that a million fit into memory.

All of it as of one moment can be written down while events go on: a user who is touched before he is written is put
aside as he was (copy on write), so that no event waits for the whole.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import ACTION_INDEX
from models.recommendation.popularity import NO_SEGMENT
from models.recommendation.user_rows import UNKNOWN_LIST, UserRows, joined

_PURCHASE: Final = ACTION_INDEX["purchase"]
_FIRST_ROOM: Final = 256
_GROWTH: Final = 4  # a quarter more room at a time: what is not used yet is memory as well
_NOBODY: Final = -1
_NONE: Final = np.empty(0, np.int64)
_PLACE_BYTES: Final = 4  # of a purchase: int32
_OLDEST: Final = 1_000  # users that are found at a time when some are to be forgotten
_NO_SEGMENTS: Final = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class History:
    """items: places of a user's recent items, most recently touched last; actions: what was last done with each
    (`events.ACTIONS`); both int64. bought: places of what the user bought. shown: the last list, or None; empty: there
    was one, and nobody knows what it held. segments: numbers of the user's segments (`popularity.py`), int32
    (fields,)."""

    items: NDArray[np.int64]
    actions: NDArray[np.int64]
    bought: NDArray[np.int64]
    shown: NDArray[np.int64] | None
    segments: NDArray[np.int32] = field(default_factory=lambda: _NO_SEGMENTS)


EMPTY: Final = History(_NONE, _NONE, _NONE, None)


class Users:
    """Bounded: the last items of the last users. Who is beyond `users_max` is forgotten, least recently active
    first."""

    def __init__(self, recent_items: int, length: int, users_max: int, bought_max: int, fields: int = 0) -> None:
        """length: of the lists. bought_max: of a user's purchases, the latest stay. fields: of segments."""
        self._recent, self._length, self._max, self._bought_max = recent_items, length, users_max, bought_max
        self._slots: dict[str, int] = {}
        self._oldest = deque[tuple[int, int]]()  # slots and when they were active, the least recently first
        self._ids: list[str] = []
        self._homes = np.zeros(0, np.int16)
        self._times = np.zeros(0, np.int64)
        self._now = 0
        self._unwritten = (0, 0)  # slots that are still to be written down as they were
        self._aside: dict[int, UserRows] = {}
        self._bought: dict[int, bytes] = {}  # places, int32: bytes take half of what an array of its own does
        self._items = np.full((0, recent_items), _NOBODY, np.int32)
        self._actions = np.zeros((0, recent_items), np.int8)
        self._counts = np.zeros(0, np.int32)
        self._shown = np.full((0, length), _NOBODY, np.int32)
        self._segments = np.full((0, fields), NO_SEGMENT, np.int32)

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, user_id: str, home: int = 0) -> int:
        """A user's slot, made where there is none; now the most recently active. home: a number of what his events
        come from, kept with him."""
        slot = self._slots.get(user_id)
        self._now += 1
        if slot is not None:
            self._put_aside(slot)
        else:
            slot = self._new_slot(user_id)
        self._times[slot], self._homes[slot] = self._now, home
        return slot

    def _new_slot(self, user_id: str) -> int:
        if len(self._slots) >= self._max:
            slot = self._least_recent()
            del self._slots[self._ids[slot]]
            self._put_aside(slot)
            self._bought.pop(slot, None)
            self._ids[slot] = user_id
        else:
            slot = len(self._slots)
            self._make_room(slot)
            self._ids.append(user_id)
        self._slots[user_id] = slot
        self._counts[slot] = 0
        self._shown[slot] = _NOBODY
        self._segments[slot] = NO_SEGMENT
        return slot

    def _least_recent(self) -> int:
        """The slot of who was active least recently. A thousand are found at once: who was active since is passed over,
        and all others were so later."""
        while True:
            while self._oldest:
                slot, at = self._oldest.popleft()
                if self._times[slot] == at:
                    return slot
            times = self._times[: len(self._slots)]
            count = min(_OLDEST, len(times))
            slots = np.argpartition(times, count - 1)[:count]
            slots = slots[np.lexsort((slots, times[slots]))]
            self._oldest.extend(zip(slots.tolist(), times[slots].tolist(), strict=True))

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
            shown[shown >= 0].astype(np.int64) if shown[0] != _NOBODY else None,
            self._segments[slot].copy(),
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
            self.buy(slot, item)
        return is_new

    def belong(self, slot: int, segments: NDArray[np.int32]) -> None:
        """The user's segments, (fields,), as an event says; of what it does not say the last ones stay."""
        own = self._segments[slot]
        self._segments[slot] = np.where(segments == NO_SEGMENT, own, segments)

    def show(self, slot: int, items: NDArray[np.integer]) -> None:
        """The list that the user has now."""
        self._shown[slot] = _NOBODY
        self._shown[slot, : len(items)] = items

    def show_unknown(self, slot: int) -> None:
        """The user has a list, and nobody knows which."""
        self._shown[slot] = _NOBODY
        self._shown[slot, 0] = UNKNOWN_LIST

    def begin_writing(self) -> None:
        """From now on `next_rows` gives all users as they are at this moment."""
        self._unwritten, self._aside = (0, len(self._slots)), {}

    def next_rows(self, most: int) -> UserRows | None:
        """The next of them, at most so many; None: that was all."""
        start, end = self._unwritten
        if start >= end:
            return None
        stop = min(start + most, end)
        slots = np.array([slot for slot in range(start, stop) if slot not in self._aside], np.int64)
        aside = [self._aside.pop(slot) for slot in range(start, stop) if slot in self._aside]
        self._unwritten = (stop, end)
        return joined([self._rows(slots), *aside])

    def put(self, rows: UserRows) -> None:
        """Take users up again, whose places are the catalogue's. Who is there already keeps what is known of him, and
        all he ever bought. Afterwards `settle`."""
        ends = np.cumsum(rows.counts, axis=0, dtype=np.int64)
        for number, name in enumerate(rows.ids):
            (items, shown, bought), (i, s, b) = ends[number].tolist(), rows.counts[number].tolist()
            is_known = name in self._slots
            slot = self._slots[name] if is_known else self._new_slot(name)
            if b:
                self._bought[slot] = _union(self._bought.get(slot), rows.bought[bought - b : bought], self._bought_max)
            if is_known:
                continue
            kept = min(i, self._recent)
            self._counts[slot] = kept
            self._items[slot, :kept] = rows.items[items - kept : items]
            self._actions[slot, :kept] = rows.actions[items - kept : items]
            self.show(slot, rows.shown[shown - s : shown][: self._length])
            self._homes[slot], self._times[slot] = rows.homes[number], rows.times[number]
            self._segments[slot] = rows.segments[number]
            self._now = max(self._now, int(rows.times[number]))

    def settle(self) -> None:
        """Once all are taken up: who is forgotten first is looked for anew."""
        self._oldest.clear()

    def recent(self, homes: frozenset[int]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32]]]:
        """The recent items and the segments of each user of these homes."""
        for slot in np.flatnonzero(np.isin(self._homes[: len(self._slots)], list(homes))).tolist():
            yield self._items[slot, : self._counts[slot]].astype(np.int64), self._segments[slot]

    def _put_aside(self, slot: int) -> None:
        start, end = self._unwritten
        if start <= slot < end and slot not in self._aside:
            self._aside[slot] = self._rows(np.array([slot]))

    def _rows(self, slots: NDArray[np.int64]) -> UserRows:
        """Of these slots, in their order."""
        items, shown = self._items[slots], self._shown[slots]
        own = np.arange(self._recent) < self._counts[slots][:, None]
        bought = [np.frombuffer(self._bought.get(slot, b""), np.int32) for slot in slots.tolist()]
        counts = [self._counts[slots], (shown != _NOBODY).sum(axis=1), [len(one) for one in bought]]
        return UserRows(
            tuple(self._ids[slot] for slot in slots.tolist()),
            self._homes[slots],
            self._times[slots],
            np.stack([np.asarray(column, np.int32) for column in counts], axis=1),
            items[own],
            self._actions[slots][own],
            shown[shown != _NOBODY],
            np.concatenate([_NONE.astype(np.int32), *bought]),
            self._segments[slots],
        )

    def buy(self, slot: int, item: int) -> None:
        """The user has it."""
        bought = self._bought.get(slot, b"")
        if item not in np.frombuffer(bought, np.int32):
            self._bought[slot] = (bought + np.int32(item).tobytes())[-_PLACE_BYTES * self._bought_max :]

    def _make_room(self, slot: int) -> None:
        room = len(self._counts)
        if slot < room:
            return
        more = min(max(room // _GROWTH, _FIRST_ROOM), self._max - room)
        self._items = np.concatenate([self._items, np.full((more, self._recent), _NOBODY, np.int32)])
        self._actions = np.concatenate([self._actions, np.zeros((more, self._recent), np.int8)])
        self._counts = np.concatenate([self._counts, np.zeros(more, np.int32)])
        self._shown = np.concatenate([self._shown, np.full((more, self._length), _NOBODY, np.int32)])
        self._homes = np.concatenate([self._homes, np.zeros(more, np.int16)])
        self._times = np.concatenate([self._times, np.zeros(more, np.int64)])
        segments = np.full((more, self._segments.shape[1]), NO_SEGMENT, np.int32)
        self._segments = np.concatenate([self._segments, segments])


def _union(known: bytes | None, more: NDArray[np.int32], most: int) -> bytes:
    """Purchases of both, the latest stay."""
    first = more.astype(np.int32)
    if known is not None:
        others = np.frombuffer(known, np.int32)
        first = np.concatenate([first, others[~np.isin(others, first)]])
    return first[-most:].tobytes()
