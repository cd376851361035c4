"""Which items were taken in before: a worker that was killed decides its last records again, under the same ids.

An id names topic, partition and offset of its source record, and workers go through a partition in its order: an item
at or below the highest offset of its partition came before. So nothing but that offset need be remembered, however long
ago the item was.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

_ID: Final = re.compile(r"(.+-\d+)-(\d+)")
PARTITIONS: Final = 4_096  # the one not heard of for longest makes room: topics are made again, and old ones go


class SeenItems:
    """Remembers where each partition stands."""

    def __init__(self) -> None:
        self._highest: OrderedDict[str, int] = OrderedDict()

    def is_new(self, identity: str) -> bool:
        """Whether an item is no repeat; it is remembered. Of an id that no worker made nobody knows: it is new."""
        match = _ID.fullmatch(identity)
        if match is None:
            return True
        partition, offset = match[1], int(match[2])
        highest = self._highest.pop(partition, -1)
        self._highest[partition] = max(highest, offset)
        if len(self._highest) > PARTITIONS:
            self._highest.popitem(last=False)
        return offset > highest

    def state(self) -> list[tuple[str, int]]:
        """For JSON."""
        return list(self._highest.items())

    def restore(self, state: Any) -> None:
        """Go on where `state` was taken. Raises ValueError or TypeError where it does not fit."""
        pairs: Mapping[Any, Any] = dict(state)
        self._highest = OrderedDict((str(partition), int(offset)) for partition, offset in pairs.items())
