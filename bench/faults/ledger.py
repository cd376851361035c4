"""What happened in a campaign, as the clients saw it. Times are seconds of a monotonic clock."""

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Literal, Union

Source = tuple[int, int]  # partition and offset of an event in the application's topic
Guarantee = Literal["once", "at least once"]


@dataclass(frozen=True, slots=True)
class Sent:
    """The broker has confirmed an event."""

    kind: ClassVar[str] = "sent"
    source: Source
    key: str
    at: float


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision stands in the decisions topic. Of one key they are appended in the order in which they stand there."""

    kind: ClassVar[str] = "decided"
    source: Source
    key: str
    version: str
    at: float


@dataclass(frozen=True, slots=True)
class Committed:
    """The worker's group stood at this offset. Appended only after every decision that was there by then."""

    kind: ClassVar[str] = "committed"
    partition: int
    offset: int
    at: float


@dataclass(frozen=True, slots=True)
class FaultDone:
    """A fault from its injection to its end.

    name: of its row. injected, ended: times. kill, outage: whether a process of ours, or a service, was ended.
    recovery: seconds from the injection to a new decision in each of the partitions concerned; None where none came.
    limit: what recovery may be at most; None where nothing is promised.
    """

    kind: ClassVar[str] = "fault"
    name: str
    number: int
    injected: float
    ended: float
    seen: bool
    guarantee: Guarantee
    kill: bool = False
    outage: bool = False
    recovery: float | None = None
    limit: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """A process of ours left without being asked to; it was started again."""

    kind: ClassVar[str] = "left"
    name: str
    code: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Worked:
    """At the end: what a living worker did while the last events passed."""

    kind: ClassVar[str] = "worked"
    name: str
    partitions: int
    finished: int
    at: float


@dataclass(frozen=True, slots=True)
class Agreed:
    """All workers serve what was announced last. seconds: since the announcement, or since the last of them was ready
    where that was later; None: they did not agree."""

    kind: ClassVar[str] = "agreed"
    version: str
    seconds: float | None
    detail: str
    at: float


@dataclass(frozen=True, slots=True)
class Retrained:
    """What a retrain request led to. versions: published for it; announcements: records in `model.releases` for it."""

    kind: ClassVar[str] = "retrained"
    request: str
    versions: int
    announcements: int
    at: float


@dataclass(frozen=True, slots=True)
class Alerted:
    """A record of `alerts` about the application, in the topic's order."""

    kind: ClassVar[str] = "alerted"
    fingerprint: str
    rule: str
    state: str
    at: float


@dataclass(frozen=True, slots=True)
class MonitorState:
    """At the end: the state that the last monitor put down. differing: parts that are not as those of a monitor that
    never stopped. firing: fingerprints of what should fire. events: signals that there were."""

    kind: ClassVar[str] = "monitor"
    differing: tuple[str, ...]
    firing: tuple[str, ...]
    events: int
    at: float


Entry = Union[Sent, Decided, Committed, FaultDone, Left, Worked, Agreed, Retrained, Alerted, MonitorState]  # noqa: UP007  # a name for isinstance as well


class Ledger:
    """Entries in the order of their arrival, in memory and in `path`. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._entries: list[Entry] = []
        self._lock = threading.Lock()

    def append(self, entry: Entry) -> None:
        """Add one entry."""
        line = json.dumps({"kind": entry.kind, **asdict(entry)})
        with self._lock:
            self._entries.append(entry)
            self._file.write(line + "\n")

    def entries(self, start: int = 0) -> Sequence[Entry]:
        """A copy of the entries from number `start` on."""
        with self._lock:
            return self._entries[start:]

    def __len__(self) -> int:
        return len(self._entries)

    def first(self, start: int, wanted: Callable[[Entry], bool]) -> Entry | None:
        """The first wanted entry from number `start` on."""
        return next((entry for entry in self.entries(start) if wanted(entry)), None)

    def close(self) -> None:
        """Close the file; the entries stay readable."""
        with self._lock:
            self._file.close()
