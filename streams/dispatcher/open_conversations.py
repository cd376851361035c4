"""The conversations that people have or had, by id: each as its record stands in the topic, which takes a third
of the memory of its values, and of each what the clock and the metrics ask for."""

import heapq
from collections.abc import Iterator, Mapping

from streams.dispatcher.holding import HEADRACE, heard_ms, next_time
from streams.dispatcher.window import compact
from streams.wire.records import HeldConversation, decode
from streams.wire.source_times import read_time

LAPSES_AT_ONCE = 200  # 70 ms of a core


class OpenConversations:
    """A mapping. `with_people` and `overdue` may be asked from another thread."""

    def __init__(self, held: Mapping[str, HeldConversation], quiet_ms: int) -> None:
        """quiet_ms: after so long without a word a conversation lapses."""
        self._quiet_ms = quiet_ms
        self._records: dict[str, bytes] = {}
        self._respond_by: dict[str, int] = {}  # milliseconds since 1970, of those in which somebody waits
        self._people: set[str] = set()
        self._quiet: list[tuple[int, str]] = []  # each that people have once, by when it is to be looked at
        self._watched: set[str] = set()  # those that stand there
        for one in held.values():
            self.put(one)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._records))

    @property
    def with_people(self) -> int:
        """How many people have."""
        return len(self._people)

    def overdue(self, now_ms: int) -> int:
        """In how many somebody waits longer than was promised."""
        return sum(time < now_ms for time in list(self._respond_by.values()))

    def get(self, identity: str) -> HeldConversation | None:
        """As it was put; None: nobody has or had it."""
        record = self._records.get(identity)
        return None if record is None else decode(HeldConversation, record)

    def put(self, held: HeldConversation) -> None:
        """In place of what it was."""
        self.drop(held.id)
        self._records[held.id] = compact(held)
        if held.owner != HEADRACE:
            self._people.add(held.id)
            self._watch(held, heard_ms(held) + self._quiet_ms)
        due_ms = read_time(held.respond_by) if held.respond_by else None
        if due_ms is not None:
            self._respond_by[held.id] = due_ms

    def drop(self, identity: str) -> None:
        """As if people never had it."""
        self._records.pop(identity, None)
        self._respond_by.pop(identity, None)
        self._people.discard(identity)

    def lapsing(self, now_ms: int) -> list[str]:
        """Those of people in which nobody has said or done anything for so long, and nothing is due; each once until it
        is put again. After a standstill that may be all of them: so many at a time that a look stays short."""
        found: list[str] = []
        while len(found) < LAPSES_AT_ONCE and self._quiet and self._quiet[0][0] <= now_ms:
            _, identity = heapq.heappop(self._quiet)
            self._watched.discard(identity)
            held = self.get(identity) if identity in self._people else None
            if held is None:
                continue
            if self._lapses_ms(held) <= now_ms:
                found.append(identity)
            else:
                self._watch(held, self._lapses_ms(held))
        return found

    def _watch(self, held: HeldConversation, at_ms: int) -> None:
        if held.id not in self._watched:
            self._watched.add(held.id)
            heapq.heappush(self._quiet, (at_ms, held.id))

    def _lapses_ms(self, held: HeldConversation) -> int:
        """At the earliest; what is due by the clock comes first."""
        return max(heard_ms(held) + self._quiet_ms, next_time(held) or 0)
