"""Which deliveries may be acknowledged: only those before which nothing is unfinished.

Contiguous means the sequence as delivered, not consecutive offsets: compaction and transactions leave gaps. Every
assignment of a partition starts a new generation; what finishes from an older one is dropped, because another member
(or this one, again) gets those events once more.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Partition = tuple[str, int]
H = TypeVar("H")


@dataclass(slots=True)
class InFlight(Generic[H]):
    """A delivery's place in its partition's sequence. handle: whatever acknowledges it."""

    partition: Partition
    generation: int
    handle: H
    done: bool = False


class OffsetTracker(Generic[H]):
    """Per partition, the deliveries in flight in the order they came. Not thread-safe: one event loop owns it.

    generation: grows with every change of what is assigned.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._owned: dict[Partition, int] = {}
        self._in_flight: dict[Partition, deque[InFlight[H]]] = {}

    def assign(self, partitions: Iterable[Partition]) -> None:
        """A new assignment: these partitions start afresh."""
        self.generation += 1
        self._owned = dict.fromkeys(partitions, self.generation)
        self._in_flight = {partition: deque() for partition in self._owned}

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """These are no longer ours: what is in flight will not be acknowledged."""
        self.generation += 1
        for partition in partitions:
            self._owned.pop(partition, None)
            self._in_flight.pop(partition, None)

    def deliver(self, partition: Partition, handle: H) -> InFlight[H]:
        """Take the next delivery of a partition into the sequence."""
        if partition not in self._owned:  # Faust may deliver before its own signal: treat as assigned
            self.generation += 1
            self._owned[partition] = self.generation
            self._in_flight[partition] = deque()
        ticket = InFlight(partition, self._owned[partition], handle)
        self._in_flight[partition].append(ticket)
        return ticket

    def mark_done(self, tickets: Iterable[InFlight[H]]) -> list[H]:
        """These deliveries are decided and confirmed. Returns the handles that may be acknowledged now, each
        partition's in its order."""
        touched: dict[Partition, None] = {}
        for ticket in tickets:
            ticket.done = True
            if self._owned.get(ticket.partition) == ticket.generation:
                touched[ticket.partition] = None
        free = []
        for partition in touched:
            queue = self._in_flight[partition]
            while queue and queue[0].done:
                free.append(queue.popleft().handle)
        return free

    def is_in_flight(self, partition: Partition) -> bool:
        """Whether a delivery of this partition is not acknowledged yet."""
        return bool(self._in_flight.get(partition))
