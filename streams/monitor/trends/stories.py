"""Which story an item tells, and how new it is: single-pass clustering of items by their embeddings.

A story is called by the id of its first item. An item joins the story that told it before word by word, else one whose
newest item is a near copy of it (MinHash) that is about nobody else, else the one whose mean embedding is nearest, if
it is near enough; else it begins one. Looser than `streams.monitor.clusters`,
which asks whether texts are copies: tellers of one story use words of their own, and only together do they say what it
is about.

Pure and bounded: the same items in the same order give the same stories; a story that nobody told for a day, or that
has not been told for longest where there are too many, is over.

Source: single-pass clustering by centroids, Allan, Papka, Lavrenko (1998), "On-line new event detection and tracking",
SIGIR; MinHash, Broder (1997), "On the resemblance and containment of documents".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.monitor.clusters import PERMUTATIONS, signature_of
from streams.monitor.trends.originals import Originals, name_of
from streams.monitor.trends.recency import LENGTHS, Recency, RecencyPolicy
from streams.monitor.trends.subjects import WIDTH, Subject, differ, subject_of
from streams.packing import Arrays

Floats = NDArray[np.float32]
Signature = NDArray[np.uint16]

_NEVER: Final = -np.inf
MEAN_OF: Final = 128  # items at the least that a new one is weighed against: a long story's mean follows what is told
_ROW_BYTES: Final = 2 * (PERMUTATIONS + WIDTH) + 112  # of a story beside its mean: signature, subject, counts, time, id


@dataclass(frozen=True, slots=True)
class StoryPolicy:
    """stories: that are open at most, 1 kB each at 384 dimensions. cosine: least one of an item to the mean of a story
    that it joins. jaccard: least estimated share of word pairs that near copies share. open_seconds: without an item,
    after which a story is over. kept_bytes: what all may take where their state is kept; with more dimensions fewer are
    open then. None: no matter. recency: how much it counts how long ago a story was told."""

    stories: int = 1_000
    cosine: float = 0.35
    jaccard: float = 0.5
    open_seconds: float = 86_400.0
    kept_bytes: int | None = None
    recency: RecencyPolicy = field(default_factory=RecencyPolicy)

    def size(self, dimensions: int) -> int:
        """How many stories are open at most."""
        if self.kept_bytes is None:
            return self.stories
        return min(self.stories, self.kept_bytes // (2 * dimensions + _ROW_BYTES))


class StoryItem(NamedTuple):
    """id: of its decision. at_seconds: event time. embedding: (dimensions,), unit length; None where there is none.
    names: known ones of whom it is about."""

    id: str
    at_seconds: float
    text: str | None
    embedding: Floats | None = None
    names: tuple[str, ...] = ()


class _Marks(NamedTuple):
    """What copies of a text are known by."""

    name: int
    signature: Signature | None
    subject: Subject


class Told(NamedTuple):
    """story_id: the id of the story's first item. nth: the how-many-eth of its items this is. novelty: 1 less the
    cosine to what the nearest open story says, between 0 (nothing new) and 1; 0 for a copy and a near copy."""

    story_id: str
    nth: int
    novelty: float


class Stories:
    """The open stories. Not thread-safe.

    Means are held to the precision of 16 bits, and signatures are: what `state` keeps is what goes on here, to the bit.
    """

    def __init__(self, policy: StoryPolicy | None = None) -> None:
        """policy: None: the default."""
        self.policy = policy or StoryPolicy()
        self.over: list[str] = []
        """Stories that made room, for who forgets them."""
        self._recency = Recency(self.policy.recency)
        self._clear(0)

    def _clear(self, dimensions: int) -> None:
        size = self.policy.size(dimensions)
        self._ids = [""] * size
        self._items, self._embedded = np.zeros((2, size), np.int64)
        self._last_seconds = np.full(size, _NEVER)
        self._signatures = np.zeros((size, PERMUTATIONS), np.uint16)  # of the newest item of each
        self._subjects = np.zeros((size, WIDTH), np.uint16)  # of the same
        self._originals = Originals()
        self._means = np.zeros((size, dimensions), np.float32)
        self._norms = np.ones(size, np.float32)

    def add(self, item: StoryItem) -> Told:
        """Take the next item in."""
        embedding = self._checked(item.embedding)
        marks = _Marks(name_of(item.text), _signature(item.text), subject_of(item.text, item.names))
        ages = item.at_seconds - self._last_seconds
        place, novelty = self._nearest(embedding, marks, ages)
        if place is None:
            place = int(self._last_seconds.argmin())
            self._begin(place, item.id)
        self._take_in(place, item.at_seconds, embedding, marks)
        return Told(self._ids[place], int(self._items[place]), round(novelty, 4))

    def state(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        """What `restore` needs: what JSON can hold, and arrays."""
        known = np.array([bool(identity) for identity in self._ids], np.bool_)
        arrays = [self._items, self._embedded, self._last_seconds, self._signatures, self._means.astype(np.float16)]
        head = {
            "ids": [identity for identity in self._ids if identity],
            "dimensions": self._means.shape[1],
            "originals": len(self._originals),
            "recency": LENGTHS,
        }
        return head, [
            *(array[known] for array in arrays),
            self._subjects[known],
            *self._originals.state(),
            *self._recency.state(),
        ]

    def restore(self, state: Mapping[str, Any], arrays: Arrays) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        ids, dimensions = [str(identity) for identity in state["ids"]], int(state["dimensions"])
        self._clear(dimensions)
        stories = len(ids)
        if stories > len(self._ids):
            raise ValueError(f"{stories} stories, where {len(self._ids)} can be open")
        self._ids[:stories] = ids
        self._items[:stories] = arrays.take(np.int64, (stories,))
        self._embedded[:stories] = arrays.take(np.int64, (stories,))
        self._last_seconds[:stories] = arrays.take(np.float64, (stories,))
        self._signatures[:stories] = arrays.take(np.uint16, (stories, PERMUTATIONS))
        self._means[:stories] = arrays.take(np.float16, (stories, dimensions))
        for place in range(stories):
            self._norms[place] = _norm(self._means[place])
        if "originals" in state:  # earlier versions lack what follows
            self._subjects[:stories] = arrays.take(np.uint16, (stories, WIDTH))
            self._originals.restore(int(state["originals"]), stories, arrays)
        if state.get("recency") == LENGTHS:
            self._recency.restore(arrays)

    def _nearest(self, embedding: Floats | None, marks: _Marks, ages: NDArray[np.float64]) -> tuple[int | None, float]:
        """The story that an item joins, None where it begins one; and its novelty. ages: seconds since each story was
        told."""
        open_now = ages <= self.policy.open_seconds
        original = self._originals.place_of(marks.name)
        if original is not None and open_now[original]:
            return original, 0.0
        may_join = open_now
        if marks.signature is not None:
            copied, others = self._near_copy(marks.signature, marks.subject, open_now)
            if copied is not None:
                return copied, 0.0
            may_join = open_now & ~others
        places = np.flatnonzero(may_join)
        if embedding is None or not len(places):
            return None, 1.0
        cosines, ages = (self._means @ embedding / self._norms)[places], ages[places]
        near = cosines + self._recency.worth(ages)
        self._recency.learn(ages, cosines, self.policy.cosine)
        novelty = float(np.clip(1.0 - cosines.max(), 0.0, 1.0))
        nearest = int(near.argmax())
        return (int(places[nearest]) if near[nearest] >= self.policy.cosine else None), novelty

    def _near_copy(
        self, signature: Signature, subject: Subject, open_now: NDArray[np.bool_]
    ) -> tuple[int | None, NDArray[np.bool_]]:
        """The story whose newest item is one, None where there is none; and those that say the same of somebody else,
        which embeddings would take for one with it."""
        shared = np.where(open_now, np.count_nonzero(self._signatures == signature, axis=1), 0)
        others = np.zeros(len(shared), np.bool_)
        copies = np.flatnonzero(shared >= self.policy.jaccard * PERMUTATIONS)
        copies = copies[np.argsort(-shared[copies], kind="stable")]
        about_others = differ(subject, self._subjects[copies])
        others[copies[about_others]] = True
        same = copies[~about_others]
        return (int(same[0]) if same.size else None), others

    def _begin(self, place: int, identity: str) -> None:
        """By the same place in every process: the first of those that nobody told for longest."""
        if self._ids[place]:
            self.over.append(self._ids[place])
            self._originals.forget(place)
        self._ids[place], self._items[place], self._embedded[place] = identity, 0, 0
        self._last_seconds[place], self._signatures[place], self._subjects[place] = _NEVER, 0, 0
        self._means[place], self._norms[place] = 0.0, 1.0

    def _take_in(self, place: int, at_seconds: float, embedding: Floats | None, marks: _Marks) -> None:
        self._items[place] += 1
        self._last_seconds[place] = max(self._last_seconds[place], at_seconds)
        self._originals.remember(marks.name, place)
        if marks.signature is not None:
            self._signatures[place], self._subjects[place] = marks.signature, marks.subject.row
        if embedding is not None:
            self._embedded[place] += 1
            mean = self._means[place]
            moved = mean + (embedding - mean) / np.float32(min(int(self._embedded[place]), MEAN_OF))
            self._means[place] = moved.astype(np.float16)
            self._norms[place] = _norm(self._means[place])

    def _checked(self, embedding: Floats | None) -> Floats | None:
        """Another encoder may have other dimensions: what it gives is near to nothing before."""
        if embedding is None or not np.isfinite(embedding).all():
            return None
        if self._means.shape[1] != len(embedding):
            self._make_room(len(embedding))
        return embedding.astype(np.float32, copy=False)

    def _make_room(self, dimensions: int) -> None:
        """For other means; copies and near copies still find their stories, of the newest ones that fit."""
        ids, last, originals = self._ids, self._last_seconds, self._originals
        columns: list[NDArray[Any]] = [self._items, last, self._signatures, self._subjects]
        self._clear(dimensions)
        known = [place for place, identity in enumerate(ids) if identity]
        kept = sorted(sorted(known, key=lambda place: float(last[place]))[-len(self._ids) :])
        self.over += [ids[place] for place in known if place not in set(kept)]
        self._ids[: len(kept)] = [ids[place] for place in kept]
        now: list[NDArray[Any]] = [self._items, self._last_seconds, self._signatures, self._subjects]
        for column, before in zip(now, columns, strict=True):
            column[: len(kept)] = before[kept]
        self._originals = originals.moved({before: place for place, before in enumerate(kept)})


def _signature(text: str | None) -> Signature | None:
    """Of 16 bits a hash: two that differ meet once in 65,536."""
    whole = signature_of(text)
    return None if whole is None else whole.astype(np.uint16)


def _norm(mean: Floats) -> np.float32:
    return np.float32(max(float(np.linalg.norm(mean)), 1e-9))
