"""A worker that ranks items serves the map that stands in `model.releases`: live, after a restart, never a bad one."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from safetensors.numpy import save
from topics_in_memory import MemoryTopics

from connectors.errors import RegistryUnavailable
from connectors.registry import FolderRegistry
from headrace.releases.item_maps import TELL_AGAIN_SECONDS, MapControl
from headrace.releases.release_log import ReleaseLog, next_release
from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.adapting.release import MapNotes, pack_map
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.engine.delivery import Delivery
from streams.metrics import Metrics
from streams.recommend.handler import RecommendHandler
from streams.topics import ALERTS_TOPIC
from streams.wire import release_follower
from streams.wire.records import Release

ENCODER = SimpleNamespace(sha256="e" * 64, dimensions=4)
# What the encoder says: a and b are alike, c and d are. What the map says: a and c, b and d.
ITEMS = {"a": (1.0, 0.0, 0.1, 0.0), "b": (1.0, 0.0, 0.0, 0.1), "c": (0.0, 1.0, 0.1, 0.0), "d": (0.0, 1.0, 0.0, 0.1)}
SWAPPED = np.diag(np.array([0.01, 0.01, 1, 1], np.float32))


class World:
    def __init__(self, folder: Path) -> None:
        self.topics, self.metrics = MemoryTopics(), Metrics()
        self.log = ReleaseLog(self.topics.reader, self.topics.publisher)
        self.folder, self.registry = folder, FolderRegistry(str(folder))
        self.controls: list[MapControl] = []

    def publish(self, matrix: np.ndarray, encoder: str = ENCODER.sha256) -> str:
        return self.registry.publish("shop", *pack_map("shop", ItemMap(matrix.astype(np.float32)), MapNotes(encoder)))

    def announce(self, version: str, by: str = "promote") -> None:
        def change(standing: Release | None) -> Release:
            return next_release(self.registry, "shop", version, standing, by=by)

        self.log.announce("shop", change)

    def control(self) -> MapControl:
        wiring = SimpleNamespace(
            reader=self.topics.reader, publisher=self.topics.publisher, release_log=lambda: self.log
        )
        control = MapControl(wiring, self.registry, "shop", ENCODER, self.metrics)  # type: ignore[arg-type]  # the parts of it that are needed
        control.start()
        self.controls.append(control)
        return control

    def served(self, control: MapControl) -> str:
        item_map = control.wanted()
        return "" if item_map is None else item_map.version


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(release_follower, "RECONNECT_SECONDS", 0.01)
    world = World(tmp_path)
    yield world
    for control in world.controls:
        control.close()
    for control in world.controls:
        control._follower._thread.join(60)  # what it logs belongs to its test


def until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def likest(handler: RecommendHandler, item: str) -> tuple[str, str]:
    """The other item that stands first after a click on this one, and what decided."""
    event = orjson.dumps({"user_id": f"u{time.monotonic_ns()}", "item_id": item, "action": "click"})
    (delivery,) = batch = [Delivery("user.events", 0, 0, None, event, 1_789_999_000_123)]
    for _, step in handler.steps:
        step(batch)
    decision = orjson.loads(delivery.result.records[0].value or b"")
    return next(one["item_id"] for one in decision["items"] if one["item_id"] != item), decision["version"]


def handler_of(control: MapControl) -> RecommendHandler:
    app = Application(name="shop", kind="recommend", topic="user.events", catalog="c.csv")  # type: ignore[arg-type]
    vectors = np.array(list(ITEMS.values()), np.float32)
    recommender = Recommender(list(ITEMS), vectors, RecommendPolicy(length=4))
    return RecommendHandler(app, recommender, "v", {"user.events": "e0"}, wanted_map=control.wanted)


def test_a_map_is_served_live_goes_with_a_rollback_and_a_restart_is_invisible(world: World) -> None:
    first, second = world.publish(np.eye(4)), world.publish(SWAPPED)
    control = world.control()
    handler = handler_of(control)
    assert likest(handler, "a") == ("b", "v")
    world.announce(first)
    world.announce(second)
    until(lambda: world.served(control) == second)
    assert likest(handler, "a") == ("c", f"v+{second}")
    restarted = handler_of(world.control())
    assert likest(restarted, "a") == ("c", f"v+{second}")
    world.announce(first, by="rollback")
    until(lambda: world.served(control) == first)
    assert likest(handler, "a") == ("b", f"v+{first}")


@pytest.mark.parametrize(
    ("what", "told"),
    [("dimensions", "another encoder"), ("encoder", "another encoder"), ("file", "altered"), ("numbers", "not finite")],
)
def test_a_map_that_cannot_serve_is_refused_and_the_one_before_goes_on(world: World, what: str, told: str) -> None:
    good = world.publish(SWAPPED)
    world.announce(good)
    control = world.control()
    bad = {
        "dimensions": lambda: world.publish(np.eye(3)),
        "encoder": lambda: world.publish(np.diag([1, 2, 1, 1]), "f" * 64),
        "file": lambda: world.publish(2 * np.eye(4)),
        "numbers": lambda: broken(world),
    }[what]()
    if what == "file":
        digest = json.loads(world.registry.manifest("shop", bad))["files"]["map"]["sha256"]
        (path,) = [one for one in world.folder.rglob(f"*{digest}*") if one.is_file()]
        path.chmod(0o600)
        path.write_bytes(b"x" * path.stat().st_size)
    world.announce(bad)
    until(lambda: control.gap is not None)
    until(lambda: bool(world.topics.records.get(ALERTS_TOPIC)))
    assert world.served(control) == good and told in str(control.gap)
    assert likest(handler_of(control), "a")[0] == "c"
    restarted = world.control()  # which the one before the bad one serves
    assert world.served(restarted) == good
    world.announce(world.publish(np.eye(4)))
    until(lambda: control.gap is None and world.served(control) == str(int(bad) + 1))


def test_a_map_that_changes_nothing_serves_after_a_change_of_the_encoder_too(world: World) -> None:
    """A rollback to it was refused by every worker, for good."""
    nothing = world.publish(np.eye(4), "f" * 64)
    world.announce(nothing)
    control = world.control()
    assert world.served(control) == nothing and control.gap is None


def broken(world: World) -> str:
    manifest, _ = pack_map("shop", ItemMap(np.eye(4, dtype=np.float32)), MapNotes(ENCODER.sha256))
    content = save({"matrix": np.full((4, 4), np.nan, np.float32)})
    digest = hashlib.sha256(content).hexdigest()
    manifest["files"]["map"] = {"sha256": digest, "bytes": len(content)}
    return world.registry.publish("shop", manifest, {digest: content})


def test_a_registry_that_does_not_answer_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version, control = world.publish(SWAPPED), world.control()
    real, asked = world.registry.manifest, []

    def manifest(model: str, wanted: str) -> bytes:
        asked.append(wanted)
        if 1 < len(asked) < 4:  # the first is the announcer's
            raise RegistryUnavailable("no answer")
        return real(model, wanted)

    monkeypatch.setattr(world.registry, "manifest", manifest)
    world.announce(version)
    until(lambda: world.served(control) == version)
    assert control.gap is None


def test_whoever_sees_a_map_serve_finds_no_gap_beside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are read from other threads: a gap that outlives what it was about is an alert about nothing."""
    version, control = world.publish(SWAPPED), world.control()
    real, asked, beside = world.registry.manifest, [], []

    def manifest(model: str, wanted: str) -> bytes:
        asked.append(wanted)
        if 1 < len(asked) < 4:
            raise RegistryUnavailable("no answer")
        return real(model, wanted)

    monkeypatch.setattr(world.registry, "manifest", manifest)
    monkeypatch.setattr(world.metrics, "swapped", lambda model: beside.append((world.served(control), control.gap)))
    world.announce(version)
    until(lambda: bool(beside))
    assert beside == [(version, None)]


def test_an_alert_that_is_told_again_never_outlasts_what_it_is_about(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told again in a thread of its own. Where a better map came meanwhile, its word was the last: an alert that
    fired for ever."""
    control = world.control()
    world.announce(world.publish(np.eye(3)))
    until(lambda: control._tell_at is not None)
    told: list[bool] = []
    telling, go_on = threading.Event(), threading.Event()

    def tell(model: str, refused: dict[str, str]) -> None:
        if not telling.is_set():
            telling.set()
            assert go_on.wait(120)
        told.append(bool(refused))

    monkeypatch.setattr(control._alerts, "tell", tell)
    monkeypatch.setattr(control, "_clock", lambda: time.monotonic() + 2 * TELL_AGAIN_SECONDS)
    again = threading.Thread(target=control.tell_again)
    again.start()
    assert telling.wait(120)
    better = world.publish(SWAPPED)
    world.announce(better)
    until(lambda: world.served(control) == better)
    time.sleep(0.2)  # its word would be told now
    go_on.set()
    again.join(120)
    until(lambda: len(told) == 2)
    assert told == [True, False]


def test_without_anything_announced_the_registrys_note_is_or_the_encoder_goes_on(world: World) -> None:
    assert world.served(world.control()) == ""
    version = world.publish(SWAPPED)
    world.registry.promote("shop", version)
    control = world.control()
    until(lambda: world.served(control) == version)
    standing = world.log.standing("shop")
    assert standing is not None and standing.release.champion == version and standing.release.by == "start"
