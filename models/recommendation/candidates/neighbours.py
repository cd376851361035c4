"""The items of a live catalogue that read most like one, by an index: a graph of neighbours.

Source: hierarchical navigable small worlds (Malkov, Yashunin, 2020, "Efficient and robust approximate nearest neighbor
search using hierarchical navigable small world graphs"), by usearch (extra `ann`).
"""

from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.recommendation.catalogue import Catalogue

_EXPANSION_ADD: Final = 64
_EXPANSION_SEARCH: Final = 128
_AT_ONCE: Final = 4_096  # vectors that are copied for the index at a time


class Neighbours(Protocol):
    """Of a catalogue as it is now: what appeared, changed or was withdrawn counts from the next call on."""

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """Places of the items whose embeddings have the least angle to a vector (dimensions,), the nearest first; of
        those that may be shown. May be fewer than `count`."""


def neighbours_of(catalogue: Catalogue) -> Neighbours | None:
    """By an index, where usearch is installed; None: it is not."""
    try:
        import usearch.index  # noqa: F401
    except ImportError:
        return None
    return IndexedNeighbours(catalogue)


class IndexedNeighbours:
    """Approximate. The graph depends on the order in which items came, so that after a restart what is barely among the
    nearest may be left out, and other items be found. Not thread-safe: one owner, the catalogue's."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._numbers: dict[str, int] = {}  # in the index, as places change when a state is taken up
        self._ids: list[str] = []
        self._index: Any = None
        self._is_new = True

    def nearest(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """See the port."""
        self._follow()
        if not len(self._index):
            return np.empty(0, np.int64)
        numbers = self._index.search(np.ascontiguousarray(vector), count, threads=1).keys
        catalogue = self._catalogue
        places = catalogue.places_of([self._ids[number] for number in numbers.tolist()]).astype(np.int64)
        places = places[places >= 0]
        places = places[catalogue.shown[places]]
        return places[np.argsort(-(vector @ catalogue.columns[:, places]), kind="stable")]

    def _follow(self) -> None:
        """What changed is taken out and, where it may be shown, put in again."""
        catalogue = self._catalogue
        changed = catalogue.forget_changes()
        if self._is_new:
            from usearch.index import Index

            self._index = Index(
                ndim=len(catalogue.columns),
                metric="cos",
                dtype="f16",
                expansion_add=_EXPANSION_ADD,
                expansion_search=_EXPANSION_SEARCH,
            )
            changed, self._is_new = catalogue.ids, False
        for item_id in changed:
            number = self._numbers.get(item_id)
            if number is not None and number in self._index:
                self._index.remove(number)
        places = catalogue.places_of(changed).astype(np.int64)
        places = places[places >= 0]
        self._put(places[catalogue.shown[places]])

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
