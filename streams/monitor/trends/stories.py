"""Which story an item tells, and how new it is: single-pass clustering of items by their embeddings.

A story is called by the id of its first item. An item joins a story that holds a near copy of it (MinHash), else the
one whose mean embedding is nearest, if it is near enough; else it begins one. Looser than `streams.monitor.clusters`,
which asks whether texts are copies: tellers of one story use words of their own, and only together do they say what it
is about.

Pure and bounded: the same items in the same order give the same stories; a story that nobody told for a day, or that
has not been told for longest where there are too many, is over.

Source: single-pass clustering by centroids, Allan, Papka, Lavrenko (1998), "On-line new event detection and tracking",
SIGIR; MinHash, Broder (1997), "On the resemblance and containment of documents".
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.monitor.clusters import PERMUTATIONS, signature_of

Floats = NDArray[np.float32]

_NEVER: Final = -np.inf


@dataclass(frozen=True, slots=True)
class StoryPolicy:
    """stories: that are open at most, 2 kB each at 384 dimensions. cosine: least one of an item to the mean of a story
    that it joins. jaccard: least estimated share of word pairs that near copies share. open_seconds: without an item,
    after which a story is over."""

    stories: int = 1_000
    cosine: float = 0.35
    jaccard: float = 0.5
    open_seconds: float = 86_400.0


class StoryItem(NamedTuple):
    """id: of its decision. at_seconds: event time. embedding: (dimensions,), unit length; None where there is none."""

    id: str
    at_seconds: float
    text: str | None
    embedding: Floats | None = None


class Told(NamedTuple):
    """story_id: the id of the story's first item. nth: the how-many-eth of its items this is. novelty: 1 less the
    cosine to what the nearest open story says, between 0 (nothing new) and 1; 0 for a near copy."""

    story_id: str
    nth: int
    novelty: float


class Stories:
    """The open stories. Not thread-safe."""

    def __init__(self, policy: StoryPolicy | None = None) -> None:
        """policy: None: the default."""
        self.policy = policy or StoryPolicy()
        size = self.policy.stories
        self._ids = [""] * size
        self._items = np.zeros(size, np.int64)
        self._last_seconds = np.full(size, _NEVER)
        self._signatures = np.zeros((size, PERMUTATIONS), np.uint32)  # of the newest item of each
        self._sums = np.zeros((size, 0), np.float32)
        self._means = np.zeros((size, 0), np.float32)  # of unit length

    def add(self, item: StoryItem) -> Told:
        """Take the next item in."""
        embedding, signature = self._checked(item.embedding), signature_of(item.text)
        open_now = item.at_seconds - self._last_seconds <= self.policy.open_seconds
        place, novelty = self._nearest(embedding, signature, open_now)
        if place is None:
            place = int(self._last_seconds.argmin())
            self._begin(place, item.id)
        self._take_in(place, item.at_seconds, embedding, signature)
        return Told(self._ids[place], int(self._items[place]), round(novelty, 4))

    def _nearest(
        self, embedding: Floats | None, signature: NDArray[np.uint32] | None, open_now: NDArray[np.bool_]
    ) -> tuple[int | None, float]:
        """The story that an item joins, None where it begins one; and its novelty."""
        if signature is not None:
            shared = np.where(open_now, np.count_nonzero(self._signatures == signature, axis=1), 0)
            copied = int(shared.argmax())
            if shared[copied] >= self.policy.jaccard * PERMUTATIONS:
                return copied, 0.0
        if embedding is None or not open_now.any():
            return None, 1.0
        cosines = np.where(open_now, self._means @ embedding, -1.0)
        nearest = int(cosines.argmax())
        novelty = float(np.clip(1.0 - cosines[nearest], 0.0, 1.0))
        return (nearest if cosines[nearest] >= self.policy.cosine else None), novelty

    def _begin(self, place: int, identity: str) -> None:
        self._ids[place], self._items[place], self._last_seconds[place] = identity, 0, _NEVER
        self._signatures[place], self._sums[place], self._means[place] = 0, 0.0, 0.0

    def _take_in(
        self, place: int, at_seconds: float, embedding: Floats | None, signature: NDArray[np.uint32] | None
    ) -> None:
        self._items[place] += 1
        self._last_seconds[place] = max(self._last_seconds[place], at_seconds)
        if signature is not None:
            self._signatures[place] = signature
        if embedding is not None:
            self._sums[place] += embedding
            self._means[place] = self._sums[place] / max(float(np.linalg.norm(self._sums[place])), 1e-9)

    def _checked(self, embedding: Floats | None) -> Floats | None:
        """Another encoder may have other dimensions: what it gives is near to nothing before."""
        if embedding is None or not np.isfinite(embedding).all():
            return None
        if self._sums.shape[1] != len(embedding):
            self._sums, self._means = np.zeros((2, len(self._ids), len(embedding)), np.float32)
        return embedding.astype(np.float32, copy=False)
