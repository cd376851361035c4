"""Items by place: they appear, change and are withdrawn while events pass. A place is never given to another item."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.recommendation.adapting.item_map import ItemMap, unit_rows

_SPARE: Final = 64  # places at the least that are made at a time
_GONE_MIN: Final = 1_000  # items that are not there any more and keep a place, at the least


class Catalogue:
    """ids, texts and unit vectors of items, and which of them may be shown. `revision` counts changes."""

    def __init__(self, item_ids: Sequence[str], embeddings: NDArray[np.float32], texts: Sequence[str] = ()) -> None:
        """embeddings: (items, dimensions), float32, any length; rows stand for `item_ids`, as texts do where there are
        any.

        Raises ModelError when ids repeat, or rows and ids do not agree.
        """
        if embeddings.ndim != 2 or len(embeddings) != len(item_ids) or not len(item_ids):
            raise ModelError(
                f"{len(item_ids)} item ids for embeddings of shape {embeddings.shape}; give one row per item"
            )
        if len(set(item_ids)) != len(item_ids):
            raise ModelError(
                f"{len(item_ids) - len(set(item_ids))} item ids occur twice; make them unique in the catalogue"
            )
        self.ids = list(item_ids)
        self.texts = list(texts) or [""] * len(self.ids)
        self.revision = 0
        self._changed: dict[str, None] = {}  # since somebody asked
        self._told: set[str] = set()  # by `put` and `withdraw`: of them it is known what they are now
        self._places = {item_id: place for place, item_id in enumerate(self.ids)}
        # What all items share says nothing about taste.
        known = np.nan_to_num(np.asarray(embeddings, np.float32))
        self._mean = known.mean(axis=0) if len(known) > 1 else np.zeros(known.shape[1], np.float32)
        # Dimensions first: 10,000 items are scored three times as fast.
        self._columns = np.ascontiguousarray(self._centred(known).T)
        self._frozen: NDArray[np.float32] | None = None  # the same without the map, where there is one
        self._map: ItemMap | None = None
        self._shown = np.ones(len(self.ids), bool)
        self._told_again: set[str] = set()  # withdrawn, as who takes items up anew is told without a snapshot

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def columns(self) -> NDArray[np.float32]:
        """Unit vectors around the catalogue's mean, mapped where a map serves, float32 (dimensions, items)."""
        return self._columns[:, : len(self.ids)]

    def adapt(self, item_map: ItemMap | None) -> None:
        """From now on the embeddings count as this map has them; None: as they are. What they are without one is kept,
        so another map, or none, can follow. Raises ModelError for one of other dimensions, and nothing changes."""
        frozen = self._columns if self._frozen is None else self._frozen
        if item_map is not None:
            item_map.check(len(frozen))
        if self._map is None and (item_map is None or item_map.is_identity):
            return  # no item changes
        if item_map is None or item_map.is_identity:
            self._columns, self._frozen, self._map = frozen, None, None
        else:
            mapped = np.ascontiguousarray(item_map.of(frozen.T).T)
            self._columns, self._frozen, self._map = mapped, frozen, item_map
        self._changed |= dict.fromkeys(self.ids)
        self.revision += 1

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which items may be shown, (items,)."""
        return self._shown[: len(self.ids)]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """For a snapshot: like `shown`, with those that `withdraw` was told to be told again."""
        kept = self.shown.copy()
        kept[[self._places[item_id] for item_id in self._told_again]] = True
        return kept

    def place(self, item_id: str | None) -> int | None:
        """Where an item stands; a withdrawn one keeps its place. None: there is no such item."""
        return None if item_id is None else self._places.get(item_id)

    def put(self, item_id: str, text: str, embedding: NDArray[np.float32]) -> int:
        """A new item, or what an item is now; one that was withdrawn is back. Returns its place."""
        place = self._places.get(item_id)
        if place is None:
            place = len(self.ids)
            self._make_room(place)
            self._places[item_id] = place
            self.ids.append(item_id)
            self.texts.append(text)
        self.texts[place] = text
        self._store(place, self._centred(np.nan_to_num(embedding[None, :].astype(np.float32))))
        self._shown[place] = True
        self._told.add(item_id)
        self._told_again.discard(item_id)
        self._changed[item_id] = None
        self.revision += 1
        return place

    def show(self, item_id: str) -> bool:
        """An item is as it was put last. Returns whether it had been withdrawn, and is back."""
        place = self._places[item_id]
        self._told.add(item_id)
        self._told_again.discard(item_id)
        is_back = not self._shown[place]
        if is_back:
            self._shown[place] = True
            self._changed[item_id] = None
            self.revision += 1
        return is_back

    def withdraw(self, item_id: str, *, is_told_again: bool = False) -> None:
        """It is not shown any more; unknown items are passed over. is_told_again: who withdraws it says so after each
        restart, so that no snapshot need keep it (and outlast its word)."""
        place = self._places.get(item_id)
        if place is None:
            return
        self._told.add(item_id)
        (self._told_again.add if is_told_again else self._told_again.discard)(item_id)
        if self._shown[place]:
            self._shown[place] = False
            self._changed[item_id] = None
            self.revision += 1

    def reserve(self, item_id: str) -> int | None:
        """A place for an item that is not there yet, as if it had been withdrawn: what is remembered of it holds once
        it appears. None where as many places stand for items that are not shown as for others: ids of such events are
        of another shop."""
        place = self._places.get(item_id)
        shown = int(np.count_nonzero(self.shown))
        if place is None and len(self.ids) - shown < max(shown, _GONE_MIN):
            place = self._reserve(item_id)
        return place

    def forget_changes(self) -> list[str]:
        """Items that appeared, changed or were withdrawn since the last call, in that order."""
        changed, self._changed = list(self._changed), {}
        return changed

    def arrange(self, item_ids: Sequence[str], shown: Sequence[bool]) -> NDArray[np.int32]:
        """Have the places that another catalogue of the same items had. Those that are not here any more keep a place,
        withdrawn, until they are back (the last of them, as many as there are others). shown: of each, what was
        `kept` there; what was withdrawn there and is only known here from the beginning is withdrawn here as well, as
        who withdrew it may have been forgotten since. Returns where each item stands now, -1: nowhere."""
        gone = [item_id for item_id in item_ids if item_id not in self._places]
        for item_id in gone[-max(len(self.ids), _GONE_MIN) :]:
            self._reserve(item_id)
        first = [self._places[item_id] for item_id in item_ids if item_id in self._places]
        known = set(first)
        order = np.array(first + [place for place in range(len(self.ids)) if place not in known], np.int64)
        self.ids = [self.ids[place] for place in order.tolist()]
        self.texts = [self.texts[place] for place in order.tolist()]
        self._places = {item_id: place for place, item_id in enumerate(self.ids)}
        for columns in self._stored():
            columns[:, : len(order)] = columns[:, order]
        self._shown[: len(order)] = self._shown[order]
        for item_id, is_shown in zip(item_ids, shown, strict=True):
            if not is_shown and item_id in self._places and item_id not in self._told:
                self._shown[self._places[item_id]] = False
                self._changed[item_id] = None
        self.revision += 1
        return self.places_of(item_ids)

    def places_of(self, item_ids: Sequence[str]) -> NDArray[np.int32]:
        """Where each item stands, -1: there is no such item."""
        return np.array([self._places.get(item_id, -1) for item_id in item_ids], np.int32)

    def _reserve(self, item_id: str) -> int:
        place = len(self.ids)
        self._make_room(place)
        self._places[item_id] = place
        self.ids.append(item_id)
        self.texts.append("")
        for columns in self._stored():
            columns[:, place] = 0.0
        self._shown[place] = False
        return place

    def _store(self, place: int, vector: NDArray[np.float32]) -> None:
        if self._frozen is not None:
            self._frozen[:, place] = vector[0]
        self._columns[:, place] = (vector if self._map is None else self._map.of(vector))[0]

    def _stored(self) -> list[NDArray[np.float32]]:
        return [self._columns] if self._frozen is None else [self._columns, self._frozen]

    def _make_room(self, place: int) -> None:
        room = self._columns.shape[1]
        if place < room:
            return
        more = max(room, _SPARE)
        spare = np.zeros((len(self._columns), more), np.float32)
        self._columns = np.hstack([self._columns, spare])
        if self._frozen is not None:
            self._frozen = np.hstack([self._frozen, spare])
        self._shown = np.concatenate([self._shown, np.zeros(more, bool)])

    def _centred(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return unit_rows(vectors - self._mean)
