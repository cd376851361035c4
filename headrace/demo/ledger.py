"""What happened in a demo, measured at its two ends: what the broker confirmed, what the decisions say."""

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headrace.demo.scenario import LabelledText

RECENT = 200


@dataclass(slots=True)
class StreamLedger:
    """One stream. truth: decision id to what a person would say. correct: of the primary head, in order of decision."""

    truth: dict[str, LabelledText | None] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    correct: list[bool] = field(default_factory=list)
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    latency_ms: list[float] = field(default_factory=list)
    version: str = ""
    onset_event: int | None = None

    @property
    def accuracy(self) -> float | None:
        """Over the whole stream."""
        return sum(self.correct) / len(self.correct) if self.correct else None

    @property
    def recent_accuracy(self) -> float | None:
        """Over the last 200 decisions."""
        return sum(self.recent) / len(self.recent) if self.recent else None


class Ledger:
    """All streams of a demo. Written by the loader, the agents and the callbacks of the roles; read by the view."""

    def __init__(self, apps: Iterable[str]) -> None:
        self.lock = threading.Lock()
        self.streams: dict[str, StreamLedger] = {app: StreamLedger() for app in apps}
        self.story: list[str] = []
        self.corrections = 0
        self.swaps: list[dict[str, Any]] = []

    def confirmed(self, app: str, identity: str, text: LabelledText | None) -> None:
        """The broker has this event for good."""
        with self.lock:
            self.streams[app].truth[identity] = text

    def decided(self, app: str, decision: dict[str, Any], is_correct: bool | None) -> None:
        """A decision was read."""
        with self.lock:
            stream = self.streams[app]
            stream.version = decision["version"]
            if decision["id"] in stream.decided:
                return
            stream.decided.add(decision["id"])
            stream.latency_ms.append(decision["latency_ms"])
            if is_correct is not None:
                stream.correct.append(is_correct)
                stream.recent.append(is_correct)

    def tell(self, line: str) -> None:
        """A line of the story."""
        with self.lock:
            self.story.append(line)

    def events(self) -> int:
        """How many events the broker confirmed."""
        with self.lock:
            return sum(len(stream.truth) for stream in self.streams.values())

    def undecided(self) -> int:
        """How many of them no decision was read of yet."""
        with self.lock:
            return sum(len(stream.truth.keys() - stream.decided) for stream in self.streams.values())

    def latency(self) -> dict[str, float]:
        """Milliseconds from the record's own time to the decision, over all streams."""
        with self.lock:
            values = [value for stream in self.streams.values() for value in stream.latency_ms]
        if not values:
            return {"p50": 0.0, "p99": 0.0}
        return {"p50": round(float(np.percentile(values, 50)), 1), "p99": round(float(np.percentile(values, 99)), 1)}
