"""Items on their way into a recommender's catalogue: their texts are embedded beside the events.

A shop that writes its whole catalogue at once, or a reader that begins anew, gives as many texts as there are items:
half a minute or more of an encoder. A few are embedded at once, so that a new item can be listed from the next event
on; where there are more, a thread of its own embeds them one by one, with less right to a core than lists have, and
they are taken some with each batch. The latest text of an item counts.
"""

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

# Texts to embeddings, float32 (texts, dimensions).
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
_Embedded = tuple[str, str, NDArray[np.float32]]  # item, text, embedding
AT_ONCE: Final = 8  # texts that a batch waits for, while that takes
_SHARE: Final = 0.25  # of the time at most, and
_BURST_SECONDS: Final = 0.1  # of a core at once
_TAKEN_SECONDS: Final = 0.003  # that a batch gives to taking items in
_NICENESS: Final = 10
_FIRST: Final = 256  # texts embedded together where all are waited for


class Intake:
    """Its owner puts and takes; not thread-safe otherwise. Bounded by what it is given: one text an item, and its
    embedding until it is taken."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._wanted: dict[str, str] = {}  # and not taken yet
        self._few: list[tuple[str, str]] = []  # to be embedded at once
        self._queue = deque[tuple[str, str]]()  # by the thread
        self._spare, self._spared_at = _BURST_SECONDS, time.monotonic()  # of a core, for few
        self._ready = deque[_Embedded]()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def __len__(self) -> int:
        """How many items are on their way."""
        return len(self._wanted)

    def close(self) -> None:
        """Embed no more. A process must not end while a thread of it is in the encoder: it would be aborted."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def drop(self, item_id: str) -> None:
        """It is not to come any more."""
        self._wanted.pop(item_id, None)

    def put(self, texts: Mapping[str, str]) -> None:
        """By item. Those that are on their way already come with this text."""
        changed = [(name, text) for name, text in texts.items() if self._wanted.get(name) != text]
        self._wanted |= dict(changed)
        if len(changed) <= AT_ONCE and self._has_time():
            self._few += changed
        elif len(changed) <= AT_ONCE:
            self._queue.extendleft(changed)  # before a bulk
        else:
            self._queue += changed

    def take(self, *, all_of_them: bool = False) -> Iterator[_Embedded]:
        """Items with text and embedding that are there now, as many as there is time for. all_of_them: waits for every
        one, and raises what embedding raises; else what cannot be embedded is logged and passed over: events go on."""
        if all_of_them:
            self._embed_all()
        elif self._queue and not self._is_embedding():
            if self._thread is None:
                atexit.register(self.close)
            self._thread = threading.Thread(target=self._embed_beside, name="recommend-catalogue", daemon=True)
            self._thread.start()
        begun, few = time.thread_time(), self._few
        self._few = []
        if few:
            yield from self._of(self._embedded(few))
            self._spare -= time.thread_time() - begun
        until = time.monotonic() + _TAKEN_SECONDS
        while self._ready and (all_of_them or time.monotonic() < until):
            yield from self._of([self._ready.popleft()])

    def _of(self, embedded: Sequence[_Embedded]) -> Iterator[_Embedded]:
        """Without those that were withdrawn or changed meanwhile."""
        for one in embedded:
            name, text, _ = one
            if self._wanted.get(name) == text:
                del self._wanted[name]
                yield one

    def _has_time(self) -> bool:
        now = time.monotonic()
        self._spare = min(self._spare + _SHARE * (now - self._spared_at), _BURST_SECONDS)
        self._spared_at = now
        return self._spare > 0

    def _embedded(self, some: Sequence[tuple[str, str]]) -> list[_Embedded]:
        """Nothing where that fails: lists are made without these items."""
        try:
            return self._with_embeddings(some)
        except Exception as error:  # whatever is wrong with a text or the encoder, it is no event's fault
            for name, text in some:
                log.warning("the item %r of the catalogue could not be embedded and stays as it was: %r", name, error)
                if self._wanted.get(name) == text:
                    self._wanted.pop(name, None)
            return []

    def _with_embeddings(self, some: Sequence[tuple[str, str]]) -> list[_Embedded]:
        embeddings = self._embed([text for _, text in some])
        return [(name, text, embedding) for (name, text), embedding in zip(some, embeddings, strict=True)]

    def _embed_all(self) -> None:
        some, self._few = [*self._few, *self._queue], []
        self._queue.clear()
        for start in range(0, len(some), _FIRST):
            self._ready += self._with_embeddings(some[start : start + _FIRST])

    def _is_embedding(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _embed_beside(self) -> None:
        """One by one: a single text is one thread's work, and lists have the other cores."""
        with suppress(OSError, AttributeError):  # elsewhere than on Linux a thread's share is as any other's
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
        while self._queue and not self._closing.is_set():
            one = self._queue.popleft()
            if self._wanted.get(one[0]) == one[1]:
                self._ready += self._embedded([one])
