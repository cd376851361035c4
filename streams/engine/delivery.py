"""What goes through an engine, and what one delivery leads to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.engine.offset_tracker import InFlight


@dataclass(slots=True)
class Delivery:
    """A record as it came in. result: what the stages make of it."""

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
        return len(self.value or b"") + len(self.key or b"")


Step = tuple[str, Callable[[Sequence[Delivery]], None]]  # a stage's name and what it does, in a thread


Acknowledge = Callable[[Sequence[Delivery]], None]


@dataclass(slots=True)
class OutRecord:
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What one delivery leads to: records to send, and what the monitor gets to know of it.

    path: which way the text was decided: fast, full, or cache (decided before, either way). agrees: on an audited text,
    whether the full path says the same. trial_agrees: for each canary or shadow that decided it as well.
    """

    records: list[OutRecord]
    signal: dict[str, Any] | None = None
    rejected_because: str | None = None
    latency_seconds: float = 0.0
    path: str = "full"
    agrees: bool | None = None
    trial_agrees: dict[str, bool] = field(default_factory=dict)
