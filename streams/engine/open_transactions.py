"""Tells of transactions that keep committed records back: a reader of committed records waits at the last stable offset
until the producer commits or aborts, or the broker gives it up (`transaction.timeout.ms`, a minute to 15 minutes).

That is no fault of the reader, so it is told, never a reason to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.engine.offset_tracker import Partition
from streams.engine.watchdog import LogState

TELL_AFTER_SECONDS = 60.0  # a healthy producer's is over by then: it is the Java client's default time-out
TELL_AGAIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """The oldest one of a partition. offset: the last stable one, where it begins. kept_back: offsets from there to
    the log's end."""

    partition: Partition
    offset: int
    kept_back: int


def open_transactions(log: LogState) -> Sequence[OpenTransaction]:
    """Where the log's end lies behind the last stable offset."""
    return [
        OpenTransaction((name, partition), stable, topic.ends[partition] - stable)
        for name, topic in log.topics.items()
        for partition, (_, stable) in topic.bounds.items()
        if topic.ends.get(partition, stable) > stable
    ]


@dataclass(slots=True)
class TransactionWatch:
    """Remembers since when each is open. `check` is called about once a second; times are of a monotonic clock."""

    _since: dict[tuple[Partition, int], float] = field(default_factory=dict)
    _told_at: dict[tuple[Partition, int], float] = field(default_factory=dict)

    def check(self, now: float, transactions: Sequence[OpenTransaction]) -> list[str]:
        """A line for each that has been open for long and was not told of lately."""
        known = {(transaction.partition, transaction.offset) for transaction in transactions}
        self._since = {place: self._since.get(place, now) for place in known}
        self._told_at = {place: at for place, at in self._told_at.items() if place in known}
        warnings = []
        for transaction in transactions:
            place = (transaction.partition, transaction.offset)
            open_seconds = now - self._since[place]
            told_at = self._told_at.get(place)
            if open_seconds > TELL_AFTER_SECONDS and (told_at is None or now - told_at > TELL_AGAIN_SECONDS):
                self._told_at[place] = now
                warnings.append(_warning(transaction, open_seconds))
        return warnings


def _warning(transaction: OpenTransaction, open_seconds: float) -> str:
    topic, partition = transaction.partition
    return (
        f"{topic}[{partition}]: a transaction has been open at offset {transaction.offset} for {open_seconds:.0f} s "
        f"and keeps {transaction.kept_back} offsets back; they are read when its producer commits or aborts it, or the "
        f"broker gives it up (see kafka-transactions.sh describe-producers --topic {topic} --partition {partition})"
    )
