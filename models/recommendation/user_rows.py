"""What is remembered of some users, in arrays without gaps: as it is written down and taken up again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.popularity import NO_SEGMENT

UNKNOWN_LIST: Final = -2  # among the places of lists: there was one, and nobody knows any more what it held


@dataclass(frozen=True, slots=True)
class UserRows:
    """ids: of the users. homes: int16, whose each is (`Users.slot`). times: int64, when each was last active, in events
    of all users. counts: int32 (users, 3), how many of the places in `items`, `shown` and `bought` are each user's, in
    the users' order; `actions`: int8, one for each of `items`; places: int32. segments: int32 (users, fields), numbers
    of each user's segments, `NO_SEGMENT`: none."""

    ids: tuple[str, ...]
    homes: NDArray[np.int16]
    times: NDArray[np.int64]
    counts: NDArray[np.int32]
    items: NDArray[np.int32]
    actions: NDArray[np.int8]
    shown: NDArray[np.int32]
    bought: NDArray[np.int32]
    segments: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.ids)

    def chosen(self, keep: NDArray[np.bool_]) -> "UserRows":
        """Those users alone; keep: (users,)."""
        items, shown, bought = (np.repeat(keep, self.counts[:, column]) for column in range(3))
        return UserRows(
            tuple(name for name, is_kept in zip(self.ids, keep.tolist(), strict=True) if is_kept),
            self.homes[keep],
            self.times[keep],
            self.counts[keep],
            self.items[items],
            self.actions[items],
            self.shown[shown],
            self.bought[bought],
            self.segments[keep],
        )

    def halves(self) -> "tuple[UserRows, UserRows]":
        """The first half of the users, and the others."""
        first = np.arange(len(self)) < len(self) // 2
        return self.chosen(first), self.chosen(~first)

    def moved(self, places: NDArray[np.int32]) -> "UserRows":
        """With other places of the same items: places[old] is the new one, below zero: it is left out."""
        items, shown, bought = (np.where(own < 0, own, places[own]) for own in (self.items, self.shown, self.bought))
        kept = items >= 0, (shown >= 0) | (self.shown == UNKNOWN_LIST), bought >= 0
        users = np.arange(len(self))
        counts = [
            np.bincount(np.repeat(users, self.counts[:, column])[is_kept], minlength=len(self))
            for column, is_kept in enumerate(kept)
        ]
        return UserRows(
            self.ids,
            self.homes,
            self.times,
            np.stack(counts, axis=1).astype(np.int32),
            items[kept[0]].astype(np.int32),
            self.actions[kept[0]],
            shown[kept[1]].astype(np.int32),
            bought[kept[2]].astype(np.int32),
            self.segments,
        )

    def in_segments(self, columns: Sequence[int], fields: int, moved: Mapping[int, int]) -> "UserRows":
        """With other numbers of the same segments: those of a column (a field; -1: it is none any more) stand in
        another one of `fields`; what is not in `moved` is left out."""
        segments = np.full((len(self), fields), NO_SEGMENT, np.int32)
        for column, place in enumerate(columns):
            if place >= 0:
                values, own = np.unique(self.segments[:, column], return_inverse=True)
                numbers = np.array([moved.get(value, NO_SEGMENT) for value in values.tolist()], np.int32)
                segments[:, place] = numbers[own]
        return replace(self, segments=segments)

    def check(self, items: int, actions: int, fields: int) -> None:
        """Raises ValueError where the arrays do not belong together, name a place beyond `items` or an action beyond
        `actions`, or are of segments of other than `fields`."""
        wanted = (len(self.items), len(self.shown), len(self.bought))
        if (self.counts < 0).any() or tuple(self.counts.sum(axis=0).tolist()) != wanted:
            raise ValueError(f"{wanted} places for users with {self.counts.sum(axis=0).tolist()}")
        for name, values, end in (
            ("items", self.items, items),
            ("shown", self.shown[self.shown != UNKNOWN_LIST], items),
            ("bought", self.bought, items),
            ("actions", self.actions, actions),
        ):
            if len(values) and not (int(values.min()) >= 0 and int(values.max()) < end):
                raise ValueError(f"{name} beyond {end}")
        if len(self.actions) != len(self.items) or len(self.homes) != len(self) or len(self.times) != len(self):
            raise ValueError("arrays of different lengths")
        if self.segments.shape != (len(self), fields):
            raise ValueError(f"segments of shape {self.segments.shape} of {fields} fields")


def joined(parts: Sequence[UserRows]) -> UserRows:
    """All users of these, one after the other; at least one part."""
    ids = tuple(name for part in parts for name in part.ids)
    arrays = [field.name for field in fields(UserRows) if field.name != "ids"]
    return UserRows(ids, *(np.concatenate([getattr(part, name) for part in parts]) for name in arrays))
