"""Which story a text was told in before, word by word: only the newest item of a story is compared otherwise."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.packing import Arrays

TEXTS: Final = 4_096  # the one not told for longest makes room; 10 bytes each where they are kept


class Originals:
    """The last different texts of open stories. Not thread-safe."""

    def __init__(self) -> None:
        self._places: OrderedDict[int, int] = OrderedDict()  # of texts, by their hashes; the one told last at the end
        self._texts: dict[int, set[int]] = {}  # of places

    def place_of(self, name: int) -> int | None:
        """The place of the story that told it; None: nobody knows. name: of `name_of`; 0: of no text."""
        return self._places.get(name)

    def remember(self, name: int, place: int) -> None:
        """The story at this place tells it now."""
        if not name:
            return
        self._drop(name)
        self._places[name] = place
        self._texts.setdefault(place, set()).add(name)
        if len(self._places) > TEXTS:
            self._drop(next(iter(self._places)))

    def forget(self, place: int) -> None:
        """Another story begins at this place."""
        for name in self._texts.pop(place, ()):
            del self._places[name]

    def moved(self, places: Mapping[int, int]) -> "Originals":
        """The same for other places, by those before; of places that are none any more nothing is known."""
        originals = Originals()
        for name, place in self._places.items():
            if place in places:
                originals.remember(name, places[place])
        return originals

    def state(self) -> list[NDArray[Any]]:
        """For `restore`."""
        texts = len(self._places)
        names = np.fromiter(self._places.keys(), np.uint64, texts)
        return [names, np.fromiter(self._places.values(), np.uint16, texts)]

    def restore(self, texts: int, places_known: int, arrays: Arrays) -> None:
        """Go on where `state` was taken, of so many texts. Raises ValueError where it does not fit."""
        names, places = arrays.take(np.uint64, (texts,)), arrays.take(np.uint16, (texts,))
        if texts > TEXTS or (texts and int(places.max()) >= places_known):
            raise ValueError(f"{texts} texts of {places_known} stories do not fit")
        for name, place in zip(names.tolist(), places.tolist(), strict=True):
            self.remember(name, place)

    def __len__(self) -> int:
        return len(self._places)

    def _drop(self, name: int) -> None:
        place = self._places.pop(name, None)
        if place is not None:
            self._texts[place].discard(name)


def name_of(text: str | None) -> int:
    """The same for texts that differ in case and spaces alone, in every process; 0 where there is none."""
    plain = " ".join(text.casefold().split()) if text else ""
    return int.from_bytes(hashlib.blake2b(plain.encode("utf-8", "replace"), digest_size=8).digest()) if plain else 0
