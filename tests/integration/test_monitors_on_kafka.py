"""Monitors on real Kafka: one is active, another stands by, and a kill -9 changes nothing that is told."""

import base64
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest
from harness import Headrace, Running, wait_for
from numpy.typing import NDArray

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.registry import FolderRegistry
from headrace.applications import load_application
from headrace.releases.references import release_reference
from headrace.wiring import group_name
from streams.application import Application
from streams.monitor.core import MonitorCore
from streams.monitor.drift.detector import DriftMonitor
from streams.monitor.retrain_policy import RetrainPolicy
from streams.monitor.state.parts import state_of
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, MONITOR_STATE_TOPIC, RELEASES_TOPIC, specs
from streams.wire.records import Alert, Feedback, Release, format_time
from streams.wire.signals import read_signals

pytestmark = pytest.mark.kafka
OF_LABELS = ("errors", "agreement")
SIGNALS_PER_RECORD = 5


class Scene:
    """An application's topics, with what the test sends to them."""

    def __init__(self, home: Headrace, toml: str, name: str) -> None:
        self.home, self.toml, self.address = home, toml, home.broker.removeprefix("kafka://")
        self.app: Application = load_application(toml)
        self.registry = FolderRegistry(str(home.home / "registry"))
        self.reference = release_reference(self.registry, name, "1")
        self.admin, self.publisher = KafkaAdmin(self.address), KafkaPublisher(self.address)
        self.admin.ensure(specs([self.app]))
        self._random, self._sent = np.random.default_rng(0), 0
        self.release = self.announce("1", None)

    def announce(self, champion: str, previous: str | None) -> Release:
        release = Release(
            model=self.app.name,
            champion=champion,
            previous=previous,
            revision=int(champion),
            manifest_sha256={},
            by="test",
            at="2026-11-24T12:00:00.000Z",
        )
        self._send(RELEASES_TOPIC, release.encode(), self.app.name.encode())
        return release

    def signals(self, records: int, *, new: float = 0.0) -> None:
        """new: share of texts that point where none of the release's did."""
        known: NDArray[Any] = self.reference["reference_embeddings"]
        confidences: NDArray[Any] = self.reference["reference_confidence"]
        strange = np.random.default_rng(9).standard_normal(known.shape[1])
        for _ in range(records):
            batch = []
            for _ in range(SIGNALS_PER_RECORD):
                self._sent += 1
                is_new = self._random.random() < new
                # alike, and yet no copies of each other: those would count as one
                vector = strange + 0.8 * self._random.standard_normal(len(strange)) if is_new else None
                row = int(self._random.integers(len(known)))
                embedding = known[row] if vector is None else vector / np.linalg.norm(vector)
                confidence = 0.2 if is_new else float(confidences[int(self._random.integers(len(confidences)))])
                batch.append(
                    {
                        "id": f"{self.app.topic}@0a1b2c3d-0-{self._sent}",
                        "at": format_time(1_795_000_000_000 + 1_000 * self._sent),
                        "path": "full",
                        "version": "1",
                        "labels": {"intent": ["order_status", round(confidence, 4)], "urgency": ["low", 0.9]},
                        "text": f"{'recall' if is_new else 'order'} {self._words(5)}",
                        "embedding": base64.b64encode(embedding.astype(np.float16).tobytes()).decode(),
                    }
                )
            self._send(self.app.signals_topic, orjson.dumps(batch), None)

    def _words(self, count: int) -> str:
        letters = self._random.integers(97, 123, size=(count, 6), dtype=np.uint8)
        return " ".join(bytes(word).decode() for word in letters)

    def label(self, number: int) -> None:
        identity = f"{self.app.topic}@0a1b2c3d-0-{number}"
        drawn = {"chosen": "random", "probability": 0.5, "decided": "order_status"}  # of these the gate can judge
        said = Feedback(
            decision_id=identity, head="intent", label="recall", by="ann", at="2026-11-24T12:00:00Z", **drawn
        )
        self._send(FEEDBACK_TOPIC, said.encode(), said.key)

    def alerts(self) -> list[Alert]:
        """Each change once: an episode is told again, in new words, as more of it is seen."""
        values = [Alert.model_validate_json(record.value or b"") for record in self._read(ALERTS_TOPIC)]
        own = [alert for alert in values if alert.values.get("app") == self.app.name]
        return [next(told) for _, told in itertools.groupby(own, lambda alert: (alert.fingerprint, alert.state))]

    def requests(self) -> list[dict[str, Any]]:
        values = [orjson.loads(record.value or b"{}") for record in self._read("retrain.requests")]
        return [value for value in values if value.get("app") == self.app.name]

    def is_caught_up(self) -> bool:
        topic = self.app.signals_topic
        committed = self.admin.committed(group_name("monitor", self.app.name), topic)
        return committed.get(0) == self.admin.offsets(topic)[0][1]

    def kept_state(self) -> dict[str, Any]:
        values = [r.value for r in self._read(MONITOR_STATE_TOPIC) if r.key == self.app.name.encode()]
        state: dict[str, Any] = orjson.loads(values[-1] or b"")
        return of_signals({name: state[name] for name in state.keys() - {"format", "app", "epoch", "alerts"}})

    def state_of_one_that_never_stopped(self) -> dict[str, Any]:
        def make_drift(version: str) -> DriftMonitor:
            return DriftMonitor.from_reference(self.reference, false_alarm_every=self.app.false_alarm_every, seed=0)

        core = MonitorCore(self.app, RetrainPolicy(), make_drift)
        core.take_releases([self.release])
        for record in self._read(self.app.signals_topic):
            batch = read_signals(record.value)
            core.prepare([batch])
            core.observe((record.partition, record.offset), record.timestamp_ms, batch)
        state: dict[str, Any] = orjson.loads(orjson.dumps(state_of(core)))
        del state["alerts"]
        return of_signals(state)

    def start(self) -> Running:
        monitor = self.home.start("monitor", self.toml, "--from-beginning", name="monitor")
        monitor.wait_ready()
        return monitor

    def close(self) -> None:
        self.publisher.close()
        self.admin.close()

    def _send(self, topic: str, value: bytes, key: bytes | None) -> None:
        self.publisher.send(topic, value, key)
        self.publisher.flush()

    def _read(self, topic: str) -> list[Any]:
        reader = KafkaReader(self.address)
        try:
            return list(reader.read(topic))
        finally:
            reader.close()


def of_signals(state: dict[str, Any]) -> dict[str, Any]:
    """Without what labels moved: between two topics there is no order."""
    for release in state["releases"]:
        watched = release["signals"]["watched"]
        release["signals"]["watched"] = [one for one in watched if one["spec"]["signal"] not in OF_LABELS]
    return {name: value for name, value in state.items() if name != "label_values"}


def role_of(monitor: Running) -> str:
    """What it said of itself last."""
    text = monitor.text()
    said = {"active": text.rfind("the monitor is active"), "standby": text.rfind("stands by"), "unknown": 0}
    return max(said, key=lambda role: said[role])


@pytest.fixture
def scene(app: tuple[Headrace, str, str]) -> Iterator[Scene]:
    scene = Scene(*app)
    yield scene
    scene.close()


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_a_monitor_that_is_killed_is_replaced_by_the_one_that_stands_by_and_nothing_is_told_twice(
    scene: Scene,
) -> None:
    """S-A1: of two monitors one lost half of the labels. S-A5: a restart forgot everything."""
    first = scene.start()
    scene.signals(100)
    wait_for(scene.is_caught_up, 180, first.text)
    assert first.stop() == 0 and scene.kept_state()["offsets"] == {"0": 100}

    monitors = [scene.start()]
    wait_for(lambda: role_of(monitors[0]) == "active", 180, monitors[0].text)  # else it says so after it was relieved
    monitors.append(scene.start())
    wait_for(
        lambda: sorted(map(role_of, monitors)) == ["active", "standby"], 180, lambda: str(list(map(role_of, monitors)))
    )
    scene.signals(60, new=0.6)
    wait_for(lambda: [alert.state for alert in scene.alerts()] == ["firing"], 180, lambda: str(scene.alerts()))
    for number in range(90):
        scene.label(number)
    wait_for(lambda: [request["evidence"]["labels"] for request in scene.requests()] == [90], 120)
    active, standby = sorted(monitors, key=role_of)
    active.kill()
    scene.signals(60, new=0.3)
    wait_for(lambda: role_of(standby) == "active" and scene.is_caught_up(), 180, standby.text)
    assert standby.stop() == 0
    assert scene.kept_state() == scene.state_of_one_that_never_stopped()
    assert [(alert.rule, alert.state) for alert in scene.alerts()] == [("drift", "firing")]
    assert len(scene.requests()) == 1

    scene.announce("2", "1")
    last = scene.start()
    wait_for(lambda: scene.alerts()[-1].rule != "drift" or scene.alerts()[-1].state == "resolved", 180, last.text)
    assert [alert.state for alert in scene.alerts() if alert.rule == "drift"] == ["firing", "resolved"]
