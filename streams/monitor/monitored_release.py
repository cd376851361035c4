"""What the monitor holds of one release while its signals come in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from connectors.ports import Record
from streams.application import Application
from streams.monitor.drift.detector import DriftMonitor, Episode, Signal
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.signals.values import EventFacts
from streams.monitor.signals.watch import SignalWatch
from streams.wire.signals import MonitorSignal, read_signals


@dataclass(slots=True)
class MonitoredRelease:
    """events: its signals so far. opened_ms: of each open episode, when it was found, by the record that told it,
    milliseconds since 1970; labels of before say little about what is new. episode_ms: the earliest of those, and where
    none is open any more, as it was when one was. unwatched: why it has no drift monitor, where it cannot have one.
    signals: what is watched beside the embeddings, where it has one."""

    version: str
    drift: DriftMonitor | None = None
    events: int = 0
    episode_ms: int = 0
    episode_at: str = ""
    unwatched: str = ""
    signals: SignalWatch | None = None
    opened_ms: dict[str, int] = field(default_factory=dict)

    @property
    def found_ms(self) -> list[int]:
        """When the open episodes were found; where none is, those of before."""
        return list(self.opened_ms.values()) or ([self.episode_ms] if self.episode_ms else [])

    def follow_episodes(self, arrival_ms: int) -> None:
        """Note which episodes are open. arrival_ms: of the record that was taken in last."""
        self._note_open(arrival_ms)
        self.episode_ms = min(self.opened_ms.values(), default=self.episode_ms)

    def watch_signals(self, app: Application) -> None:
        """Watch what the application's file names beside the embeddings, from now on."""
        if self.drift is not None:
            quiet_events = self.drift.policy.quiet_events
            self.signals = SignalWatch(app.drift.signals, app.false_alarm_every, quiet_events)

    def fits(self, signal: MonitorSignal, head: str) -> bool:
        """Whether a signal says what the drift monitor needs. head: the application's first."""
        has_size = signal.embedding is None or self.drift is None or signal.embedding.shape == (self.drift.dimensions,)
        return has_size and head in signal.labels

    def take(self, signal: MonitorSignal, head: str, offset: int) -> Episode | None:
        """Take a signal in that fits; an episode where it is found with this one. offset: of its record."""
        if self.drift is None:
            return None
        self.events += 1
        counted_keys = self.drift.counts_keys
        found = self.drift.update(_for_drift(signal, head, self.events, offset))
        if self.signals is not None:
            if self.drift.counts_keys is not counted_keys:
                self.signals.begin_anew()
            self._take_signals(self.signals, self.drift, signal, head)
        return found

    def _take_signals(self, watch: SignalWatch, drift: DriftMonitor, signal: MonitorSignal, head: str) -> None:
        """Signals that changed are symptoms of the drift episode that began when they did, whichever is found first."""
        seen = drift.newest
        if seen is None or seen.event_number != self.events:
            return  # its numbers cannot be used
        facts = EventFacts(signal, self.events, seen.copies, seen.distance, head, drift.newest_repeats)
        self._place(watch, drift, watch.take(facts))
        waiting = watch.episode
        if waiting is not None and drift.episode is not None and drift.episode.detected_event > waiting.told_event:
            taken = {symptom: drift.join(symptom) for symptom in waiting.symptoms}
            watch.leave({symptom: by.detected_id for symptom, by in taken.items() if by is not None}, self.events)

    def take_label_values(self, values: Mapping[str, float], identity: str, at: str) -> None:
        """Take in what a label says (see LabelValues). identity: of the decision. at: when it was labelled."""
        if self.signals is not None and self.drift is not None:
            self._place(self.signals, self.drift, self.signals.take_labelled(values, self.events, identity, at))

    def _place(self, watch: SignalWatch, drift: DriftMonitor, symptoms: Iterable[Symptom]) -> None:
        for symptom in symptoms:
            if drift.join(symptom) is None:
                watch.open(symptom)

    def _note_open(self, at_ms: int) -> None:
        episodes = () if self.drift is None else self.drift.episodes
        known = self.opened_ms  # what was split off was found with the episode that it comes from
        self.opened_ms = {
            one.detected_id: known.get(one.detected_id, known.get(one.split_from, at_ms)) for one in episodes
        }

    def state(self) -> dict[str, Any]:
        """For JSON; `of` and `restore_drift` take it. `signals_state` is beside it, as each may be lost alone."""
        return {
            "version": self.version,
            "events": self.events,
            "episode_ms": self.episode_ms,
            "episode_at": self.episode_at,
            "opened_ms": self.opened_ms,
            "drift": self.drift.state() if self.drift is not None and self.events else None,
        }

    def signals_state(self) -> dict[str, Any] | None:
        """For JSON; `SignalWatch.restore` takes it."""
        return self.signals.state() if self.signals is not None and self.events else None

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Self:
        """What `state` gave, without its drift monitor. Raises ValueError, KeyError or TypeError."""
        figures = int(state["events"]), int(state["episode_ms"]), str(state["episode_at"])
        opened_ms = {str(name): int(at_ms) for name, at_ms in dict(state.get("opened_ms", {})).items()}
        return cls(str(state["version"]), None, *figures, opened_ms=opened_ms)

    def restore_drift(self, state: Mapping[str, Any], head: str, read: Callable[[int, int], Iterable[Record]]) -> None:
        """Give a fresh drift monitor its state back. read: signals from an offset to another (exclusive)."""
        if self.drift is None:
            return
        first, end = (int(offset) for offset in state["offsets"])
        signals = [
            (signal, record.offset)
            for record in (read(first, end) if end > first else ())
            for signal in read_signals(record.value).signals
            if signal.version == self.version and signal.failed is None and self.fits(signal, head)
        ]
        before = self.events - len(signals)
        numbered = enumerate(signals, start=before + 1)
        self.drift.restore(state, [_for_drift(signal, head, number, offset) for number, (signal, offset) in numbered])
        self._note_open(self.episode_ms)  # states of earlier versions know the last one's time only


def _for_drift(signal: MonitorSignal, head: str, number: int, offset: int) -> Signal:
    label, probability = signal.labels[head]
    return Signal(
        signal.id,
        number,
        signal.text,
        label,
        probability,
        signal.oos,
        None if signal.again else signal.embedding,
        signal.path == "fast",
        signal.at,
        offset,
        signal.key,
        fields=_segments(signal),
    )


def _segments(signal: MonitorSignal) -> dict[str, str]:
    """The application's own, and the first symbol: an event of many symbols is about the first one most."""
    return {"symbol": signal.symbols[0], **signal.segments} if signal.symbols else signal.segments
