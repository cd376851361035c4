"""The items of a live catalogue that read most like one, by an index: a graph of neighbours.

Source: hierarchical navigable small worlds (Malkov, Yashunin, 2020, "Efficient and robust approximate nearest neighbor
search using hierarchical navigable small world graphs"), by usearch (extra `ann`).
"""

from itertools import islice
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.recommendation.catalogue import Catalogue
from models.recommendation.ranked import best

_EXPANSION_ADD: Final = 64
_EXPANSION_SEARCH: Final = 128
_AT_ONCE: Final = 4_096  # vectors that are copied for the index at a time
_A_CALL: Final = 8  # items that go into the index with one call: some 3 ms
_NEARLY_ALL: Final = 0.5  # of the items


class Neighbours(Protocol):
    """Of a catalogue as it is now: what appeared, changed or was withdrawn counts from the next call on."""

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Places of the items whose embeddings have the least angle to a vector (dimensions,), the nearest first; of
        those that may be shown. May be fewer than `count`."""

    def make_ready(self) -> None:
        """Do at once what else the next calls would do, some each."""


def neighbours_of(catalogue: Catalogue) -> Neighbours | None:
    """By an index, where usearch is installed; None: it is not."""
    try:
        import usearch.index  # noqa: F401
    except ImportError:
        return None
    return IndexedNeighbours(catalogue)


class IndexedNeighbours:
    """Approximate. The graph depends on the order in which items came, so that after a restart what is barely among the
    nearest may be left out, and other items be found. Where many items changed, as with another map, they go into the
    index some with each call, and meanwhile all are compared: no call waits for an index. Not thread-safe: one owner,
    the catalogue's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._numbers: dict[str, int] = {}  # in the index, as places change when a state is taken up
        self._ids: list[str] = []
        self._index = self._empty()
        self._waiting = dict.fromkeys(catalogue.ids)  # items that the index does not have as they are
        catalogue.forget_changes()

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """See the port."""
        self._follow(_A_CALL)
        catalogue = self._catalogue
        if self._waiting:
            likeness = vector @ catalogue.columns
            likeness[~catalogue.shown] = -np.inf
            return best(likeness, count)
        if not len(self._index):
            return np.empty(0, np.int64)
        numbers = self._index.search(np.ascontiguousarray(vector), count, threads=1).keys
        places = catalogue.places_of([self._ids[number] for number in numbers.tolist()]).astype(np.int64)
        places = places[places >= 0]
        places = places[catalogue.shown[places]]
        return places[np.argsort(-(vector @ catalogue.columns[:, places]), kind="stable")]

    def make_ready(self) -> None:
        """See the port."""
        self._follow(len(self._catalogue))

    def _follow(self, most: int) -> None:
        """What changed is taken out and, where it may be shown, put in again: so many items at most."""
        changed = self._catalogue.forget_changes()
        if len(changed) > len(self._catalogue) * _NEARLY_ALL:
            self._index, changed = self._empty(), self._catalogue.ids  # sooner than to take each out
        self._waiting |= dict.fromkeys(changed)
        some = list(islice(self._waiting, most))
        for item_id in some:
            del self._waiting[item_id]
            number = self._numbers.get(item_id)
            if number is not None and number in self._index:
                self._index.remove(number)
        places = self._catalogue.places_of(some).astype(np.int64)
        places = places[places >= 0]
        self._put(places[self._catalogue.shown[places]])

    def _empty(self) -> Any:
        from usearch.index import Index

        return Index(
            ndim=len(self._catalogue.columns),
            metric="cos",
            dtype="f16",
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION_SEARCH,
        )

    def _put(self, places: NDArray[np.int64]) -> None:
        for start in range(0, len(places), _AT_ONCE):
            some = places[start : start + _AT_ONCE]
            numbers = [self._number(self._catalogue.ids[place]) for place in some.tolist()]
            # one thread: several would put the same items into another graph each time
            vectors = np.ascontiguousarray(self._catalogue.columns[:, some].T)
            self._index.add(np.array(numbers, np.uint64), vectors, threads=1)

    def _number(self, item_id: str) -> int:
        number = self._numbers.get(item_id)
        if number is None:
            number = self._numbers[item_id] = len(self._ids)
            self._ids.append(item_id)
        return number
