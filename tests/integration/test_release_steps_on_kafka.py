"""Steps of a release on real Kafka: shadow, canary, champion, and back, though monitors and the worker are killed."""

import csv
import json
import random
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import Headrace, Running, wait_for

from connectors.kafka.client import KafkaPublisher, KafkaReader
from connectors.registry import FolderRegistry
from headrace.applications import load_application
from headrace.releases.candidates import proposed
from headrace.releases.release_log import ReleaseLog
from streams.wire.records import Release, ReleaseStep

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(4_000)]

RELEASE = """
[release]
steps = ["shadow", "canary", "champion"]
share = 0.5
least_texts = 200
least_minutes = 0.1
margin = 0.1
"""
TEXTS_AT_ONCE, PAUSE_SECONDS = 4, 0.25
STEP_SECONDS = 1_200.0  # that a version is not slow is shown by some 25 blocks of ten seconds, in a step
IS_ACTIVE = "the monitor is active"


class Traffic:
    """Texts of the corpus, sixteen a second, until it is stopped."""

    def __init__(self, address: str, topic: str, corpus: Path) -> None:
        with corpus.open(encoding="utf-8", newline="") as source:
            self._texts = [row["text"] for row in csv.DictReader(source)]
        self._publisher, self._topic, self.sent = KafkaPublisher(address), topic, 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)
        self._publisher.close()

    def _send(self) -> None:
        chosen = random.Random(0)
        while not self._stopping.wait(PAUSE_SECONDS):
            for _ in range(TEXTS_AT_ONCE):
                self.sent += 1
                text = {"text": f"{chosen.choice(self._texts)} ({self.sent})", "conversation_id": f"c{self.sent}"}
                self._publisher.send(self._topic, json.dumps(text).encode(), f"c{self.sent}".encode())
            self._publisher.flush()


@dataclass
class Scene:
    """A worker, monitors, texts, and a registry with three versions: 1 serves, 2 is as good, 3 rejects too much."""

    home: Headrace
    toml: str
    name: str
    address: str
    traffic: Traffic
    worker: Running
    monitors: list[Running] = field(default_factory=list)

    @property
    def registry(self) -> FolderRegistry:
        return FolderRegistry(str(self.home.home / "registry"))

    @property
    def log(self) -> ReleaseLog:
        return ReleaseLog(lambda: KafkaReader(self.address), lambda: KafkaPublisher(self.address))

    def start_monitor(self) -> None:
        self.monitors.append(self.home.start("monitor", self.toml, name=f"monitor{len(self.monitors)}"))

    def kill_active_monitor(self) -> bool:
        """Whether there was one; another one is started in its place."""
        for monitor in self.monitors:
            words = monitor.text()
            owns = words.rfind(f"reads signals.{self.name}[0]") > words.rfind("this one stands by")
            if monitor.process.poll() is None and owns and IS_ACTIVE in words:
                monitor.kill()
                self.start_monitor()
                return True
        return False

    def restart_worker(self) -> None:
        """As a deploy does, or a node that dies: the next one serves the champion before it has the canary."""
        self.worker.kill()
        self.worker = self.home.start("worker", self.toml, name="worker")
        self.worker.wait_ready()

    def steps(self) -> list[ReleaseStep]:
        return self.log.history.steps(self.name)

    def until(self, kind: str, version: str) -> None:
        """The active monitor is killed meanwhile."""
        deadline, is_killed = time.monotonic() + STEP_SECONDS, False
        while (last := self.steps()[-1]).kind != kind or last.version != version:
            words = [(step.kind, step.version, step.reason) for step in self.steps()]
            assert time.monotonic() < deadline, (kind, words, self.monitors[-1].text()[-2000:])
            time.sleep(random.uniform(2.0, 20.0))
            is_killed = is_killed or self.kill_active_monitor()

    def decided(self) -> list[str]:
        reader = KafkaReader(self.address)
        try:
            return [json.loads(record.value or b"{}")["id"] for record in reader.read(f"decisions.{self.name}")]
        finally:
            reader.close()


@pytest.fixture
def scene(app: tuple[Headrace, str, str], kafka_address: str, small_corpus: Path) -> Iterator[Scene]:
    home, toml, name = app
    home.extra["HEADRACE_STUCK_SECONDS"] = "600"  # on a busy machine a monitor is that long at its thresholds
    Path(toml).write_text(Path(toml).read_text() + RELEASE)
    versions = home.home / "registry" / "models" / name
    for version in ("2", "3"):
        shutil.copytree(versions / "1", versions / version)
    manifest = json.loads((versions / "3" / "manifest.json").read_text())
    manifest["heads"][0]["out_of_scope"]["threshold"] = 0.0  # it rejects about half of what it knows
    (versions / "3" / "manifest.json").write_text(json.dumps(manifest))
    FolderRegistry(str(home.home / "registry")).promote(name, "1")
    worker = home.start("worker", toml, name="worker")
    worker.wait_ready()
    traffic = Traffic(kafka_address, f"{name}.chats", small_corpus)
    scene = Scene(home, toml, name, kafka_address, traffic, worker)
    for _ in range(2):
        scene.start_monitor()
    for monitor in scene.monitors:
        monitor.wait_ready()
    yield scene
    traffic.stop()


def test_a_release_takes_each_step_once_though_monitors_and_the_worker_are_killed(scene: Scene) -> None:
    def propose(now: Release | None) -> Release:
        assert now is not None
        settings = load_application(scene.toml).release
        return proposed(scene.registry, "2", now, settings, reason="better", request="r-2")

    assert scene.log.announce(scene.name, propose).release.shadow == "2"
    scene.until("canary", "2")
    scene.restart_worker()
    scene.until("champion", "2")
    steps = scene.steps()
    taken = [("champion", "1"), ("shadow", "2"), ("canary", "2"), ("champion", "2")]
    assert [(step.kind, step.version) for step in steps] == taken
    for step in steps[2:]:
        assert step.figures["texts"] >= 200 and "did no worse than 1" in step.reason, "each on texts of its own"
    scene.traffic.stop()

    def missing() -> int:
        return scene.traffic.sent - len(set(scene.decided()))

    wait_for(lambda: missing() == 0, 600.0, lambda: f"{missing()} of {scene.traffic.sent} are not decided")


def test_a_champion_that_does_worse_goes_back_though_the_monitor_is_killed(scene: Scene) -> None:
    wait_for(lambda: len(scene.decided()) > 600, 300.0)  # so that what it does is known
    assert scene.home.json("models", "promote", f"{scene.name}@3", "--by", "ann")["announced"] is True
    scene.until("rolled_back", "1")
    steps = scene.steps()
    assert [(step.kind, step.version) for step in steps] == [("champion", "1"), ("champion", "3"), ("rolled_back", "1")]
    assert "texts rejected" in steps[-1].reason
