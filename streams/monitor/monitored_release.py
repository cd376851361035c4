"""What the monitor holds of one release while its signals come in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from connectors.ports import Record
from streams.monitor.drift.detector import DriftMonitor, Episode, Signal
from streams.wire.signals import MonitorSignal, read_signals


@dataclass(slots=True)
class MonitoredRelease:
    """events: its signals so far. episode_ms: when its last episode was found, by the record that told it, milliseconds
    since 1970; labels of before say little about what is new. unwatched: why it has no drift monitor, where it cannot
    have one."""

    version: str
    drift: DriftMonitor | None = None
    events: int = 0
    episode_ms: int = 0
    episode_at: str = ""
    unwatched: str = ""

    def fits(self, signal: MonitorSignal, head: str) -> bool:
        """Whether a signal says what the drift monitor needs. head: the application's first."""
        has_size = signal.embedding is None or self.drift is None or signal.embedding.shape == (self.drift.dimensions,)
        return has_size and head in signal.labels

    def take(self, signal: MonitorSignal, head: str, offset: int) -> Episode | None:
        """Take a signal in that fits; an episode where it is found with this one. offset: of its record."""
        if self.drift is None:
            return None
        self.events += 1
        return self.drift.update(_for_drift(signal, head, self.events, offset))

    def state(self) -> dict[str, Any]:
        """For JSON; `of` and `restore_drift` take it."""
        return {
            "version": self.version,
            "events": self.events,
            "episode_ms": self.episode_ms,
            "episode_at": self.episode_at,
            "drift": self.drift.state() if self.drift is not None and self.events else None,
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """What `state` gave, without its drift monitor. Raises ValueError, KeyError or TypeError."""
        figures = int(state["events"]), int(state["episode_ms"]), str(state["episode_at"])
        return cls(str(state["version"]), None, *figures)

    def restore_drift(self, state: Mapping[str, Any], head: str, read: Callable[[int, int], Iterable[Record]]) -> None:
        """Give a fresh drift monitor its state back. read: signals from an offset to another (exclusive)."""
        if self.drift is None:
            return
        first, end = (int(offset) for offset in state["offsets"])
        signals = [
            (signal, record.offset)
            for record in (read(first, end) if end > first else ())
            for signal in read_signals(record.value).signals
            if signal.version == self.version and self.fits(signal, head)
        ]
        before = self.events - len(signals)
        numbered = enumerate(signals, start=before + 1)
        self.drift.restore(state, [_for_drift(signal, head, number, offset) for number, (signal, offset) in numbered])


def _for_drift(signal: MonitorSignal, head: str, number: int, offset: int) -> Signal:
    label, probability = signal.labels[head]
    return Signal(
        signal.id,
        number,
        signal.text,
        label,
        probability,
        signal.oos,
        signal.embedding,
        signal.path == "fast",
        signal.at,
        offset,
        signal.key,
        fields=_segments(signal),
    )


def _segments(signal: MonitorSignal) -> dict[str, str]:
    """The application's own, and the first symbol: an event of many symbols is about the first one most."""
    return {"symbol": signal.symbols[0], **signal.segments} if signal.symbols else signal.segments
