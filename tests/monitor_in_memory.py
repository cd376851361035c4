"""A monitor's topics as lists, and a monitor on them that can be killed: what it sent stays, what it held is gone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.ports import Record
from models.errors import ConfigError
from streams.application import Application, Drift, HeadSpec, Surge
from streams.engine.delivery import Delivery, OutRecord
from streams.monitor.clusters import ClusterPolicy
from streams.monitor.drift.detector import DriftPolicy
from streams.monitor.drift.evidence import EvidencePolicy
from streams.monitor.drift.thresholds import SimulationPolicy
from streams.monitor.handler import MonitorHandler
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.rules.outside import Outside
from streams.monitor.sources import Reference, SignalsLog, TakeStep
from streams.monitor.state.parts import state_of
from streams.notifier.silences import Silences
from streams.packing import pack
from streams.topics import (
    ACCEPTED_TOPIC,
    ALERTS_TOPIC,
    FEEDBACK_TOPIC,
    MONITOR_STATE_TOPIC,
    RETRAIN_REQUESTS_TOPIC,
    SILENCES_TOPIC,
)
from streams.wire.records import Alert, Feedback, Release, RetrainRequest, format_time

DIMENSIONS, LABELS = 24, 4
START_MS = 1_795_000_000_000
POLICY = DriftPolicy(
    EvidencePolicy(lag_events=10, settle_events=120),
    SimulationPolicy(runs=32, events=400),
    history_texts=80,
    clusters=ClusterPolicy(recent_texts=60),
    quiet_events=60,
    retold_after=(),
)
APP = Application(
    name="support",
    topic="support.chats",
    priority_topics=("support.urgent",),
    heads=(HeadSpec(name="intent", column="intent"),),
    surges=(Surge(head="intent", label="3", share=0.8, window=20),),
    false_alarm_every=2_000,
    drift=Drift(signals=()),
)
SUBJECTS = np.random.default_rng(5).standard_normal((LABELS + 1, DIMENSIONS)).astype(np.float32)
SUBJECTS /= np.linalg.norm(SUBJECTS, axis=1, keepdims=True)


def embeddings(subjects: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    near = SUBJECTS[subjects] + 0.15 * random.standard_normal((len(subjects), DIMENSIONS))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def reference() -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(1)
    known = embeddings(random.integers(LABELS, size=400), random)
    return {
        "centroids": SUBJECTS[:LABELS],
        "reference_distances": 1.0 - (known @ SUBJECTS[:LABELS].T).max(axis=1),
        "reference_confidence": random.uniform(0.5, 1.0, len(known)).astype(np.float32),
        "reference_embeddings": known,
    }


REFERENCE = reference()


def signal(number: int, version: str, subject: int, random: np.random.Generator, at_ms: int) -> dict[str, Any]:
    """As a worker writes one; subject LABELS is one that no release knows."""
    (vector,) = embeddings(np.array([subject]), random)
    confidence = random.uniform(0.2, 0.5) if subject == LABELS else random.uniform(0.5, 1.0)
    return {
        "id": f"support.chats@0a1b2c3d-0-{number}",
        "at": format_time(at_ms),
        "path": "full",
        "version": version,
        "labels": {"intent": [str(subject % LABELS), round(float(confidence), 4)]},
        "oos": 0.1,
        "characters": 20,
        "unknown_share": 0.0,
        "text": f"text {'abcdefgh'[int(random.integers(8))] * int(random.integers(1, 9))}",
        "embedding": pack(vector.astype(np.float16)),
    }


@dataclass
class World:
    """The topics, and the time."""

    records: dict[str, list[Record]] = field(default_factory=dict)
    committed: int = 0
    releases: list[Release] = field(default_factory=list)
    now_ms: int = START_MS
    references: dict[str, Reference | Exception] = field(default_factory=lambda: {"1": REFERENCE, "2": REFERENCE})

    def append(self, topic: str, value: bytes | None, key: bytes | None = None) -> None:
        records = self.records.setdefault(topic, [])
        records.append(Record(topic, 0, len(records), key, value, self.now_ms))

    def signals(self, signals: Sequence[object]) -> None:
        self.append(APP.signals_topic, orjson.dumps(signals))

    def label(self, number: int, label: str | None, by: str = "ann", topic: str = "support.chats") -> None:
        identity = f"{topic}@0a1b2c3d-0-{number}"
        said = Feedback(decision_id=identity, head="intent", label=label or "", by=by, at=format_time(self.now_ms))
        self.append(FEEDBACK_TOPIC, None if label is None else said.encode(), said.key)

    def announce(self, champion: str, canary: str | None = None) -> None:
        before = self.announced
        self.releases.append(
            Release(
                model=APP.name,
                champion=champion,
                previous=before.champion if before is not None else None,
                canary=canary,
                share=0.5 if canary else None,
                revision=before.revision + 1 if before is not None else 1,
                manifest_sha256={},
                by="test",
                at=format_time(self.now_ms),
            )
        )

    @property
    def announced(self) -> Release | None:
        return self.releases[-1] if self.releases else None

    def alerts(self) -> list[Alert]:
        return [Alert.model_validate_json(record.value or b"") for record in self.records.get(ALERTS_TOPIC, [])]

    def requests(self) -> list[RetrainRequest]:
        records = self.records.get(RETRAIN_REQUESTS_TOPIC, [])
        return [RetrainRequest.model_validate_json(record.value or b"") for record in records]

    def firing(self) -> set[str]:
        standing = {alert.fingerprint: alert.state for alert in self.alerts()}
        return {name for name, state in standing.items() if state == "firing"}


class MemorySources:
    """The MonitorSources on a world."""

    def __init__(self, world: World) -> None:
        self._world, self.keeps_snapshots = world, True
        self._labels_read: int | None = None
        self.references_read = 0
        self.silences_are_refused = False

    def signals(self) -> SignalsLog:
        end = len(self._world.records.get(APP.signals_topic, []))
        return SignalsLog("0a1b2c3d", {0: (0, end)}, {0: self._world.committed})

    def read(
        self, topic: str, start: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterable[Record]:
        records = self._world.records.get(topic, [])
        return list(records)[(start or {}).get(0, 0) : (end or {}).get(0, len(records))]

    def snapshot(self) -> bytes | None:
        return self.kept(APP.name.encode())

    def kept(self, key: bytes) -> bytes | None:
        records = [one for one in self._world.records.get(MONITOR_STATE_TOPIC, []) if one.key in (key, None)]
        return records[-1].value if records else None

    def release(self) -> Release | None:
        return self._world.announced

    def releases(self) -> Sequence[Release]:
        return list(self._world.releases)

    def reference(self, version: str) -> Reference:
        self.references_read += 1
        reference = self._world.references[version]
        if isinstance(reference, Exception):
            raise reference
        return reference

    def is_published(self, version: str) -> bool:
        return version in self._world.references

    def outside(self, minutes: Sequence[float], now_ms: int) -> Outside:
        return Outside()

    def looked_after(self, alerts: Sequence[Alert]) -> dict[str, str]:
        if self.silences_are_refused:
            raise ConfigError("no rights")
        silences = Silences(self._world.records.get(SILENCES_TOPIC, []))
        said = {alert.fingerprint: silences.acknowledgement_of(alert) for alert in alerts}
        return {name: one.by for name, one in said.items() if one is not None}

    def follow_labels(self) -> None:
        self._labels_read = 0

    def labels(self) -> tuple[Sequence[Record], bool]:
        assert self._labels_read is not None
        records = self._world.records.get(FEEDBACK_TOPIC, [])[self._labels_read :]
        self._labels_read += len(records)
        return records, True

    def accepted(self) -> Sequence[Record]:
        return self._world.records.get(ACCEPTED_TOPIC, [])

    def leave_labels(self) -> None:
        self._labels_read = None


class Process:
    """One monitor process on a world: gives it its signals, and sends what it says."""

    def __init__(
        self,
        world: World,
        policy: RetrainPolicy | None = None,
        snapshot_seconds: float = 0.0,
        app: Application = APP,
        take_step: TakeStep | None = None,
        drift: DriftPolicy = POLICY,
    ) -> None:
        self.world, self.sources = world, MemorySources(world)
        self.handler = MonitorHandler(
            app,
            self.sources,
            policy or RetrainPolicy(after_episode=5, without_episode=10, per_label=3, first_wins=0, texts_per_label=0),
            drift=drift,
            snapshot_seconds=snapshot_seconds,
            now_ms=lambda: world.now_ms,
            clock=lambda: world.now_ms / 1_000,
            take_step=take_step,
        )
        self.given = world.committed

    def follow(self, *, publish: bool = True, commit: bool = True) -> None:
        """Take the signals that are there, a record at a time. publish, commit: False: killed before that."""
        for record in self.world.records.get(APP.signals_topic, [])[self.given :]:
            delivery = Delivery(record.topic, 0, record.offset, None, record.value, record.timestamp_ms)
            self.handler.observe([delivery])
            self.given = record.offset + 1
            if publish:
                self.publish()
            if publish and commit:
                self.world.committed = self.given

    def tick(self) -> None:
        self.handler.tick()
        self.publish()

    def stop(self) -> None:
        self.handler.hand_over()
        self.publish()

    def publish(self) -> None:
        for record in self.handler.outbox:
            self._send(record)
        self.handler.outbox.clear()

    def state(self) -> dict[str, Any]:
        core = self.handler.core
        assert core is not None
        return state_of(core)

    def _send(self, record: OutRecord) -> None:
        self.world.append(record.topic, record.value, record.key)
