"""The port to what a monitor reads beside the signals it is given."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from connectors.ports import Record
from models.errors import HeadraceError
from streams.monitor.rules.outside import Outside
from streams.release_watch.policy import Decision
from streams.wire.records import Alert, Release

Reference = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SignalsLog:
    """Where the signals stand. epoch: names the topic. bounds: partition to oldest and next offset. committed:
    partition to the offset from which on this monitor is given them."""

    epoch: str
    bounds: Mapping[int, tuple[int, int]]
    committed: Mapping[int, int]


class MonitorSources(Protocol):
    """What a monitor reads beside the signals it is given. Every method may raise retriable errors."""

    keeps_snapshots: bool

    def signals(self) -> SignalsLog:
        """Where the signals stand."""

    def read(
        self, topic: str, start: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterable[Record]:
        """See TopicReader.read."""

    def snapshot(self) -> bytes | None:
        """The application's last record of `monitor.state`."""

    def kept(self, key: bytes) -> bytes | None:
        """The last record of `monitor.state` with this key."""

    def release(self) -> Release | None:
        """The application's state in `model.releases`, as far as it was heard."""

    def releases(self) -> Sequence[Release]:
        """All that stands there of the application, in its order, read anew to the end."""

    def reference(self, version: str) -> Reference:
        """The arrays of a release that drift is measured against. Raises ModelError, ConnectorError."""

    def is_published(self, version: str) -> bool:
        """Whether the registry has this version, as far as is known."""

    def outside(self, minutes: Sequence[float], now_ms: int) -> Outside:
        """Steps of the application's releases, and its dead letters of so many minutes each. now_ms: milliseconds since
        1970."""

    def looked_after(self, alerts: Sequence[Alert]) -> Mapping[str, str]:
        """Of these, fingerprint to who looks after it (`headrace alerts ack`)."""

    def follow_labels(self) -> None:
        """Begin to follow `feedback.labels` and `drift.accepted` from the beginning."""

    def labels(self) -> tuple[Sequence[Record], bool]:
        """What was heard since the last call, and whether that is all there is."""

    def accepted(self) -> Sequence[Record]:
        """What was heard of `drift.accepted` since the last call."""

    def leave_labels(self) -> None:
        """Follow them no more."""


class TakeStep(Protocol):
    """Does what was decided about a release."""

    def __call__(self, standing: Release, decision: Decision, /) -> None:
        """Announce it, unless something else than `standing` stands by now; then nothing is done. Raises
        HeadraceError; what is retriable is tried again."""


def is_transient(error: BaseException) -> bool:
    """Whether it helps to try again."""
    return isinstance(error, HeadraceError) and error.retriable
