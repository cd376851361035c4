"""A worker's start serves what stands in `model.releases`, and follows what is announced while it loads."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_release import small_release
from topics_in_memory import MemoryTopics

from connectors.errors import RegistryUnavailable
from connectors.registry import FolderRegistry
from headrace.process import release_control
from headrace.process.release_control import ReleaseControl
from headrace.releases.release_log import ReleaseLog, next_release
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ModelError, ReleaseCorrupt
from streams.application import Application, HeadSpec
from streams.metrics import Metrics
from streams.topics import RELEASES_TOPIC
from streams.wire import release_follower
from streams.wire.records import Release

HEADS = tuple(HeadSpec(name=name, column=name) for name in ("intent", "urgency"))
APP = Application(name="support", topic="support.chats", heads=HEADS)


class Control(ReleaseControl):
    """Loads without files. failures: version to what loading it raises, once each. before_load: called with a
    version."""

    failures: dict[str, list[Exception]]
    before_load: Callable[[str], None] = staticmethod(lambda version: None)

    def _load(self, model: str, version: str, manifest_sha256: str, encoder: Encoder | None) -> Classifier:
        self.before_load(version)
        if failures := self.failures.get(version):
            raise failures.pop(0)
        classifier = small_release().classifier
        return Classifier(model, version, classifier.encoder, classifier.vocabulary, list(classifier.heads.values()))


class World:
    def __init__(self, folder: Path) -> None:
        self.folder, self.topics, self.metrics = folder, MemoryTopics(), Metrics()
        self.log = ReleaseLog(self.topics.reader, self.topics.publisher)
        self.registry = FolderRegistry(str(folder))
        self.swaps: list[str] = []
        self.controls: list[Control] = []

    def publish(self) -> str:
        return self.registry.publish("support", {"format": 1, "files": {}}, {})

    def announce(self, version: str) -> None:
        def change(standing: Release | None) -> Release:
            return next_release(self.registry, "support", version, standing, by="promote")

        self.log.announce("support", change)

    def control(self, **failures: list[Exception]) -> Control:
        wiring = SimpleNamespace(
            reader=self.topics.reader, publisher=self.topics.publisher, release_log=lambda: self.log
        )
        swaps = self.swaps
        control = Control(wiring, self.registry, self.metrics, lambda release, _: swaps.append(release.champion))  # type: ignore[arg-type]  # the parts of it that are needed
        control.failures = {version.removeprefix("v"): errors for version, errors in failures.items()}
        self.controls.append(control)
        control.start()
        return control

    def champions(self) -> list[str]:
        records = self.topics.records.get(RELEASES_TOPIC, [])
        return [Release.model_validate_json(record.value or b"").champion for record in records]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(release_follower, "RECONNECT_SECONDS", 0.01)
    monkeypatch.setattr(release_control, "RETRY_SECONDS", 0.01)
    world = World(tmp_path)
    yield world
    for control in world.controls:
        control.close()
        for thread in (control._follower._thread, control._reconciler._thread):
            thread.join(60)  # what it logs belongs to its test


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_a_start_announces_only_where_the_topic_has_nothing_of_the_model(world: World) -> None:
    """S-A16: at each start of a worker the registry's file won and was announced to the whole fleet."""
    one, two = world.publish(), world.publish()
    world.registry.promote("support", two)
    first = world.control()
    assert first.serve(APP, lambda *_: None).current.version == two
    world.registry.promote("support", one)  # a cache that says something else
    second = world.control()
    assert second.serve(APP, lambda *_: None).current.version == two
    assert world.champions() == [two]


def test_a_release_announced_while_a_start_loads_is_served(world: World) -> None:
    """S-A2: what was announced between reading the champion and having it loaded was lost on this worker."""
    one, two = world.publish(), world.publish()
    world.announce(one)
    control = world.control()

    def announce_another(version: str) -> None:
        if version == one:
            world.announce(two)
            until(lambda: control._follower.known["support"].champion == two)

    control.before_load = announce_another
    serving = control.serve(APP, lambda *_: None)
    until(lambda: serving.current.version == two)
    until(lambda: world.swaps == [two])


def test_a_start_whose_release_is_corrupt_serves_the_one_before_it_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_control, "UNREADY_SECONDS", 3_600.0)
    one, two = world.publish(), world.publish()
    world.announce(one)
    world.announce(two)
    control = world.control(v2=[ReleaseCorrupt("a hash differs"), ReleaseCorrupt("a hash differs")])
    assert control.serve(APP, lambda *_: None).current.version == one
    until(lambda: bool(world.topics.records.get("alerts")))
    until(lambda: control.gap_seconds()["support"] > 0)
    assert control.not_ready() == [], "not before its time"


def test_a_start_without_any_release_that_loads_says_why(world: World) -> None:
    world.announce(world.publish())
    control = world.control(v1=[ReleaseCorrupt("a hash differs")])
    with pytest.raises(ReleaseCorrupt, match="a hash differs"):
        control.serve(APP, lambda *_: None)


def test_a_start_waits_for_a_registry_that_does_not_answer(world: World) -> None:
    world.announce(world.publish())
    control = world.control(v1=[RegistryUnavailable("503"), RegistryUnavailable("503")])
    assert control.serve(APP, lambda *_: None).current.version == "1"


def test_a_difference_that_lasts_makes_the_process_unready_and_shows_in_a_metric(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-A2: a worker that served another release than the announced one said so nowhere but in a metric's label."""
    monkeypatch.setattr(release_control, "UNREADY_SECONDS", 0.2)
    one, two = world.publish(), world.publish()
    world.announce(one)
    control = world.control(v2=[ReleaseCorrupt("a hash differs")])
    serving = control.serve(APP, lambda *_: None)
    until(lambda: world.metrics.registry.get_sample_value("headrace_release_gap_seconds", {"app": "support"}) == 0.0)
    world.announce(two)
    until(lambda: bool(control.not_ready()))
    assert "support: 2 (a hash differs) is wanted, 1 serves" in control.not_ready()[0]
    assert (world.metrics.registry.get_sample_value("headrace_release_gap_seconds", {"app": "support"}) or 0) > 0.2
    world.announce(one)
    until(lambda: control.not_ready() == [])
    assert serving.current.version == one


def test_a_release_with_heads_that_the_application_does_not_name_is_refused(world: World) -> None:
    control = world.control()
    with pytest.raises(ModelError, match="has heads"):
        control._check_heads(APP.model_copy(update={"heads": HEADS[:1]}), small_release().classifier)


def test_the_hash_out_of_the_topic_is_compared_at_a_start(world: World) -> None:
    """D-A3: at a start the manifest's hash was not compared, so an altered one was served after a restart."""
    version = world.publish()
    world.announce(version)
    manifest = world.folder / "models" / "support" / version / "manifest.json"
    announced = hashlib.sha256(manifest.read_bytes()).hexdigest()
    hashes: list[str] = []

    class Comparing(Control):
        def _load(self, model: str, version: str, manifest_sha256: str, encoder: Encoder | None) -> Classifier:
            hashes.append(manifest_sha256)
            return ReleaseControl._load(self, model, version, manifest_sha256, encoder)

    wiring = SimpleNamespace(
        reader=world.topics.reader,
        publisher=world.topics.publisher,
        release_log=lambda: world.log,
        settings=SimpleNamespace(threads=1, device="cpu"),
    )
    control = Comparing(wiring, world.registry, world.metrics, lambda *_: None)  # type: ignore[arg-type]  # see above
    world.controls.append(control)
    control.start()
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(ReleaseCorrupt, match="the registry was altered"):
        control.serve(APP, lambda *_: None)
    assert hashes == [announced]
