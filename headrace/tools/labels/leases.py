"""Who looks at which decision: nobody is given one that another looks at.

`labels.leases` is a log of one partition, so everybody sees the same order. A lease is a record; of those of a decision
whose time is not over, the first one counts. Who wrote one reads the topic to its end to see whether it is the first.
"""

from collections.abc import Callable, Iterable
from typing import Final

from connectors.errors import TopicMismatch
from connectors.ports import Publisher, Record, TopicReader
from models.errors import ConfigError, MessageError
from streams.clock import wall_clock_ms
from streams.topics import LEASES_TOPIC
from streams.wire.records import Lease, decode

LEASE_MS: Final = 10 * 60_000


def holders(records: Iterable[Record], now_ms: int) -> dict[str, str]:
    """Decision id to who looks at it. records: of the topic, in its order."""
    standing: dict[str, dict[str, int]] = {}  # decision to who has asked, first ones first, and until when
    for record in records:
        try:
            lease = decode(Lease, record.value)
        except MessageError:
            continue
        asked = standing.setdefault(lease.decision_id, {})
        if lease.until_ms > now_ms:
            asked.setdefault(lease.by, lease.until_ms)
        elif lease.until_ms == 0:
            asked.pop(lease.by, None)
    return {decision: next(iter(asked)) for decision, asked in standing.items() if asked}


class Leases:
    """One person's. Every call reads the topic to its end; all raise BrokerUnavailable."""

    def __init__(
        self,
        by: str,
        open_reader: Callable[[], TopicReader],
        publisher: Publisher,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._by, self._open_reader, self._publisher, self._clock_ms = by, open_reader, publisher, clock_ms

    def taken_by_others(self) -> set[str]:
        """Ids of decisions that others look at."""
        return {decision for decision, by in self._holders().items() if by != self._by}

    def take(self, decision_id: str) -> bool:
        """Whether the decision is ours to look at, for ten minutes. Where two ask at once, one gets it."""
        holder = self._holders().get(decision_id)
        if holder is not None:
            return holder == self._by
        self._write(decision_id, self._clock_ms() + LEASE_MS)
        if self._holders().get(decision_id) == self._by:
            return True
        self.give_back(decision_id)
        return False

    def give_back(self, decision_id: str) -> None:
        """Let others have it."""
        self._write(decision_id, 0)

    def _write(self, decision_id: str, until_ms: int) -> None:
        lease = Lease(decision_id=decision_id, by=self._by, until_ms=until_ms)
        self._publisher.send(LEASES_TOPIC, lease.encode(), decision_id.encode())
        self._publisher.flush()

    def _holders(self) -> dict[str, str]:
        reader = self._open_reader()
        try:
            return holders(reader.read(LEASES_TOPIC), self._clock_ms())
        except TopicMismatch as error:
            raise ConfigError(f"there is no topic {LEASES_TOPIC}: `headrace up APP` makes it") from error
        finally:
            reader.close()
