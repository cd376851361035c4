"""The conversations that people have or had, by id: each as its record stands in the topic, which takes a third
of the memory of its values, and of each what the clock and the metrics ask for."""

from collections.abc import Iterator, Mapping

from streams.dispatcher.holding import HEADRACE
from streams.dispatcher.window import compact
from streams.wire.records import HeldConversation, decode
from streams.wire.source_times import read_time


class OpenConversations:
    """A mapping. `with_people` and `overdue` may be asked from another thread."""

    def __init__(self, held: Mapping[str, HeldConversation]) -> None:
        self._records: dict[str, bytes] = {}
        self._respond_by: dict[str, int] = {}  # milliseconds since 1970, of those in which somebody waits
        self._people: set[str] = set()
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
        due_ms = read_time(held.respond_by) if held.respond_by else None
        if due_ms is not None:
            self._respond_by[held.id] = due_ms

    def drop(self, identity: str) -> None:
        """As if people never had it."""
        self._records.pop(identity, None)
        self._respond_by.pop(identity, None)
        self._people.discard(identity)
