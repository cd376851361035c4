"""What has been taken and waits for its batch: bounded by events and by bytes, urgent deliveries before the others.

Owned by one event loop: nothing here waits or locks.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """Something that takes memory while it is held."""

    @property
    def size(self) -> int:
        """Bytes."""


S = TypeVar("S", bound=Sized)


@dataclass(frozen=True, slots=True)
class Limits:
    """max_events, max_bytes: held at once, waiting or in a stage; one event above `max_bytes` still passes alone.

    batch_events, batch_bytes: of one batch. The bytes stand for the tokens, which are known only after tokenising: long
    texts cost more each, so fewer of them make a batch.
    """

    max_events: int = 4_096
    max_bytes: int = 64 * 1024 * 1024
    batch_events: int = 1_024
    batch_bytes: int = 256 * 1024


class InFlightBudget:
    """Counts what is held; urgent deliveries have bounds of their own, so that a backlog cannot keep them out."""

    def __init__(self, bounds: Limits) -> None:
        self._bounds = bounds
        self.events = self.bytes = 0

    def is_full(self, size: int) -> bool:
        """Whether one more of `size` bytes must wait."""
        return self.events >= self._bounds.max_events or (
            self.events > 0 and self.bytes + size > self._bounds.max_bytes
        )

    def add(self, events: int, size: int) -> None:
        """Hold these; negative numbers let go."""
        self.events += events
        self.bytes += size


class DeliveryBuffer(Generic[S]):
    """Deliveries in order of arrival, urgent ones before the others."""

    def __init__(self, bounds: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds, self._clock = bounds, clock
        self._urgent: deque[tuple[float, S]] = deque()
        self._usual: deque[tuple[float, S]] = deque()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._usual)

    def add(self, delivery: S, *, urgent: bool) -> None:
        """Put one at the end of its row."""
        (self._urgent if urgent else self._usual).append((self._clock(), delivery))

    def take(self) -> tuple[list[S], float]:
        """The next batch, at least one delivery, and how many seconds its oldest has waited."""
        batch: list[S] = []
        size, oldest = 0, self._clock()
        for row in (self._urgent, self._usual):
            if row:
                oldest = min(oldest, row[0][0])
            while row and len(batch) < self._bounds.batch_events:
                size += row[0][1].size
                if batch and size > self._bounds.batch_bytes:
                    return batch, self._clock() - oldest
                batch.append(row.popleft()[1])
        return batch, self._clock() - oldest

    def drop(self, is_lost: Callable[[S], bool]) -> list[S]:
        """Drop those and return them; the others keep their order."""
        lost: list[S] = []
        for row in (self._urgent, self._usual):
            kept = list(_split(row, is_lost, lost))
            row.clear()
            row.extend(kept)
        return lost


def _split(row: Iterable[tuple[float, S]], is_lost: Callable[[S], bool], lost: list[S]) -> Iterator[tuple[float, S]]:
    for since, delivery in row:
        if is_lost(delivery):
            lost.append(delivery)
        else:
            yield since, delivery
