"""The first release of a model: trained once, however many processes start on an empty registry."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from topics_in_memory import MemoryTopics

from connectors.registry import FolderRegistry
from headrace.releases.release_log import ReleaseLog, next_release
from headrace.training import first_release
from headrace.training.first_release import settle_first_release
from models.errors import ConfigError
from streams.application import Application, HeadSpec
from streams.wire.records import Release

APP = Application(name="support", topic="support.chats", heads=(HeadSpec(name="intent", column="intent"),))


class Start:
    """What a worker's start does on a registry and a topic that others use as well."""

    def __init__(self, folder: Path, topics: MemoryTopics) -> None:
        self.registry = FolderRegistry(str(folder))
        self.log = ReleaseLog(topics.reader, topics.publisher)
        self.trained = 0
        self.before_settling: Callable[[], None] = lambda: None

    def train(self) -> str:
        self.trained += 1
        return self.registry.publish("support", {"format": 1, "files": {}, "note": str(id(self))}, {})

    def settle(self, version: str) -> None:
        self.before_settling()

        def change(standing: Release | None) -> Release:
            return next_release(self.registry, "support", version, standing, by="start")

        self.log.announce_if("support", None, change)
        self.registry.promote("support", version)

    def run(self) -> str:
        settle_first_release(
            self.registry,
            APP,
            train=self.train,
            is_settled=lambda: self.log.standing("support") is not None,
            settle=self.settle,
            sleep=lambda _: time.sleep(0.01),
        )
        standing = self.log.standing("support")
        assert standing is not None
        return standing.release.champion


def test_three_workers_started_on_an_empty_registry_serve_the_same_release(tmp_path: Path) -> None:
    """D-B2: both of two workers trained and announced, and served different releases for ever."""
    topics = MemoryTopics()
    starts = [Start(tmp_path, topics) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        champions = list(pool.map(Start.run, starts))
    assert champions == ["1", "1", "1"]
    assert sum(start.trained for start in starts) == 1
    assert len(topics.records["model.releases"]) == 1


def test_what_a_dead_process_had_published_is_announced_and_not_trained_again(tmp_path: Path) -> None:
    topics = MemoryTopics()
    dying, next_one = Start(tmp_path, topics), Start(tmp_path, topics)

    def die() -> None:
        raise KeyboardInterrupt

    dying.before_settling = die
    with pytest.raises(KeyboardInterrupt):
        dying.run()
    assert (next_one.run(), next_one.trained) == ("1", 0)


def test_a_start_waits_for_another_one_only_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = FolderRegistry(str(tmp_path)).lease("support", "first-release")
    assert holder.take()
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += 60.0

    with pytest.raises(ConfigError, match="another process has been training"):
        settle_first_release(
            FolderRegistry(str(tmp_path)),
            APP,
            train=lambda: "1",
            is_settled=lambda: False,
            settle=lambda _: None,
            sleep=sleep,
            clock=lambda: now[0],
        )
    assert now[0] <= first_release.WAIT_SECONDS + 60
    holder.give_back()
