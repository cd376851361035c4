"""Records of a catalogue's topic that are still to be heard, some with each batch: what they withdraw is known before.

A shop that writes its whole catalogue at once may withdraw an item in the last of its records, and lists are made until
that one's turn has come.
"""

import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final

from connectors.ports import Record
from models.errors import MessageError
from streams.recommend.catalogue_changes import Gone, said_by

_MAY_WITHDRAW: Final = re.compile(rb'"withdrawn"\s*:\s*(?!false)')  # as reading each of a bulk would take too long


class CatalogueBacklog:
    """In their order. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting = deque[Record]()
        self._withdrawn = Counter[str]()  # by how many of those that wait

    def __len__(self) -> int:
        """How many records wait."""
        return len(self._waiting)

    def __contains__(self, item_id: str) -> bool:
        """Whether a record that waits withdraws the item: until that was heard, none before it brings it back."""
        return item_id in self._withdrawn

    def put(self, records: Sequence[Record]) -> list[str]:
        """The latest ones; returns the items that they withdraw."""
        self._waiting += records
        withdrawn = [item_id for record in records for item_id in _withdrawn_by(record)]
        self._withdrawn.update(withdrawn)
        return withdrawn

    def take(self, most: int) -> list[Record]:
        """The next ones, so many at most."""
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        for record in taken:
            for item_id in _withdrawn_by(record):
                self._withdrawn[item_id] -= 1
                if not self._withdrawn[item_id]:
                    del self._withdrawn[item_id]
        return taken


def _withdrawn_by(record: Record) -> Iterator[str]:
    """Under their own ids. What else stood under a key of the shop's own is known when the record is heard."""
    if record.value is not None and not _MAY_WITHDRAW.search(record.value):
        return
    try:
        said = said_by(record.key, record.value)
    except MessageError:  # is logged when it is heard
        return
    yield from (item_id for item_id, what in said.items() if isinstance(what, Gone))
