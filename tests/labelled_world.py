"""A store, topics and a registry with decisions of one release: what commands about labels stand on."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from small_release import small_release
from topics_in_memory import MemoryTopics

from connectors.registry import FolderRegistry
from connectors.sqlite_store import SQLiteStore
from headrace.releases.release_log import ReleaseLog, next_release
from streams.application import Application, HeadSpec
from streams.topics import FEEDBACK_TOPIC
from streams.wire.records import Feedback, Release, decode

APP = Application(
    name="support",
    topic="support.chats",
    heads=(HeadSpec(name="intent", column="topic"), HeadSpec(name="urgency", column="urgency")),
)


def decision(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"support.chats@0a1b2c3d-0-{number}",
        "app": "support",
        "model": "support",
        "version": "1",
        "path": "full",
        "at": "2026-11-01T10:00:00.000Z",
        "decided_at": f"2026-11-01T10:00:{number:02d}.020Z",
        "latency_ms": 20,
        "labels": {
            "intent": {"label": "fee", "probability": 0.71},
            "urgency": {"label": "low", "probability": 0.9},
        },
        "action": "none",
        "text": f"text {number}",
        "key": "c1",
        "extra": {},
    } | fields


class World:
    """A store and a topic with the same ten decisions of support@1, which serves."""

    def __init__(self, folder: Path) -> None:
        self.topics, self._folder = MemoryTopics(), folder
        release = small_release()
        registry = self.registry()
        registry.publish("support", release.manifest, release.blobs)
        registry.promote("support", "1")
        self.topics.append(FEEDBACK_TOPIC, None, b"made|by|up")
        self._store = SQLiteStore(folder / "decisions.db")
        self._store.prepare({"support": ["intent", "urgency"]})
        for number in range(10):
            self.decide(decision(number))

        def first(standing: Release | None) -> Release:
            return next_release(registry, "support", "1", standing, by="start")

        self.release_log().announce("support", first)

    def decide(self, document: Mapping[str, Any]) -> None:
        self._store.index([document])
        self.topics.append("decisions.support", orjson.dumps(document), b"c1")

    def registry(self) -> FolderRegistry:
        return FolderRegistry(str(self._folder / "registry"))

    def release_log(self) -> ReleaseLog:
        return ReleaseLog(self.topics.reader, self.topics.publisher)

    def said(self) -> list[Feedback]:
        records = self.topics.records[FEEDBACK_TOPIC]
        return [decode(Feedback, record.value) for record in records if record.value is not None]

    @property
    def wiring(self) -> Any:
        return SimpleNamespace(
            store=lambda: SQLiteStore(self._folder / "decisions.db"),
            registry=self.registry,
            reader=self.topics.reader,
            publisher=self.topics.publisher,
            admin=self.topics.admin,
            release_log=self.release_log,
        )
