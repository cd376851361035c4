"""What goes through an engine, and what one delivery leads to."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.errors import HeadraceError, MessageError
from streams.engine.offset_tracker import InFlight


@dataclass(slots=True)
class Delivery:
    """A record as it came in.

    offset: its own; the position after it is offset + 1. timestamp_ms: the record's own time, milliseconds since 1970,
    which its producer set (CreateTime), or the broker where the topic says LogAppendTime. urgent: of a priority topic,
    so it goes before the others and has bounds of its own. result: what the stages make of it; the last stage sends it.
    ticket: its place in its partition's sequence, while it is in flight.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    urgent: bool = False
    headers: Sequence[tuple[str, bytes]] = ()
    result: Any = None
    ticket: InFlight["Delivery"] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Bytes held while this delivery is in flight."""
        in_headers = sum(len(name) + len(content) for name, content in self.headers) if self.headers else 0
        return len(self.value or b"") + len(self.key or b"") + in_headers


Step = tuple[str, Callable[[Sequence[Delivery]], None]]  # a stage's name and what it does, in a thread

# Told of deliveries whose results are confirmed and before which nothing of their partition is unfinished, in that
# order: the position may move past them.
Acknowledge = Callable[[Sequence[Delivery]], None]


@dataclass(slots=True)
class OutRecord:
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


TOO_LARGE, REFUSED = "too_large", "refused"  # the reasons why a record is


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that the broker does not take, however often it is sent. error: its reason is TOO_LARGE or REFUSED."""

    record: OutRecord
    error: MessageError


class RecordsRefused(HeadraceError):
    """Some records were refused for good. All others of the call are confirmed, so only these are left to deal with."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(f"{len(refusals)} records were refused; of {refusals[0].record.topic}: {refusals[0].error}")
        self.refusals = refusals


# Send and confirm, records of one partition in their order. Raises BrokerUnavailable (nothing is known of the records:
# send them again; some may then be there twice), AccessDenied, or RecordsRefused.
SendAll = Callable[[Sequence[OutRecord]], Awaitable[None]]


@dataclass(slots=True)
class Outcome:
    """What one delivery leads to: records to send, and what the monitor gets to know of it.

    records: the first is the delivery's own (decision or dead letter), the others go with it. rejected_because: the
    reason of its dead letter. passed_over: why there is nothing to decide in it, which is no mistake (a tombstone, a
    delete). path: which way the text was decided: fast, full, or cache (decided before, either way). agrees: on an
    audited text, whether the full path says the same. trial_agrees: for each canary or shadow that decided it as well.
    """

    records: list[OutRecord]
    signal: dict[str, Any] | None = None
    rejected_because: str | None = None
    passed_over: str | None = None
    latency_seconds: float = 0.0
    path: str = "full"
    agrees: bool | None = None
    trial_agrees: dict[str, bool] = field(default_factory=dict)
