"""A worker that takes over reads what conversations were from the decisions, as far back as its window needs."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from small_release import small_release

from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.conversations_before import MOST_WINDOWS, conversations_before, decisions_before
from headrace.slot_finders import slot_finder
from streams.application import parse_application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.conversations.memory import Past
from streams.engine.delivery import Delivery

NOW_MS = 1_796_040_000_000
FILE = """
name = "desk"
topic = "chats"
[source]
key = "/who"
[[heads]]
name = "intent"
column = "intent"
[queues]
refund = "billing"
[conversations]
[slots.order]
pattern = 'MB-\\d+'
asked_by = {intent = ["refund"]}
ask = "Which order is it?"
"""
APP = parse_application(FILE, Path(), "desk.toml")


def handler(past: Past | None = None) -> ClassifyHandler:
    serving = Serving(small_release().classifier)
    return ClassifyHandler(
        APP, serving, {"chats": "e0"}, now_ms=lambda: NOW_MS, slot_finder=slot_finder(APP), past=past
    )


def decided(own: ClassifyHandler, texts: list[str], first: int = 0) -> list[dict[str, Any]]:
    batch = [
        Delivery("chats", 0, first + number, b"c1", orjson.dumps({"text": text, "who": "c1"}), NOW_MS)
        for number, text in enumerate(texts)
    ]
    for _, step in own.steps:
        step(batch)
    return [orjson.loads(delivery.result.records[0].value) for delivery in batch]


TEXTS = ["i want a refund for the order", "MB-17", "where is my parcel"]


def test_the_worker_that_takes_over_decides_as_the_one_before_would_have() -> None:
    whole = decided(handler(), TEXTS)
    assert [one["action"] for one in whole] == ["ask", "queue:billing", "queue:people"]
    assert [one["conversation"]["version"] for one in whole] == [1, 2, 3]
    asked: list[Any] = []

    def past(partitions: Any) -> list[dict[str, Any]]:
        asked.append(partitions)
        return whole[:1]

    after = handler(past)
    asyncio.run(after.assigned([("chats", 0)]))
    assert decided(after, TEXTS[1:2], 1) + decided(after, TEXTS[2:], 2) == whole[1:]
    assert asked == [(("chats", 0),)]  # once, and for what was assigned


def test_a_batch_that_is_decided_again_counts_its_messages_once() -> None:
    own = handler()
    assert decided(own, TEXTS) == decided(own, TEXTS)


def decision(offset: int, partition: int = 0) -> bytes:
    at = "2026-11-30T12:00:00.000Z"
    texts = {"id": f"chats@e0-{partition}-{offset}", "text": "x", "model": "m", "version": "1"}
    return orjson.dumps(texts | {"at": at, "decided_at": at, "labels": {}})


def wiring(committed: dict[int, int], values: list[bytes], reads: list[Any]) -> Any:
    def read(topic: str, start: dict[int, int]) -> list[Record]:
        reads.append(start[0])
        return [Record(topic, 0, number, None, value, 0) for number, value in enumerate(values) if number >= start[0]]

    admin = SimpleNamespace(
        committed=lambda group, topic: committed,
        readable_offsets=lambda topic: {0: (0, len(values))},
        close=lambda: None,
    )
    return SimpleNamespace(admin=lambda: admin, reader=lambda: SimpleNamespace(read=read, close=lambda: None))


def test_the_window_below_the_position_is_read_and_no_more_than_is_needed() -> None:
    reads: list[Any] = []
    values = [decision(offset) for offset in range(1_000)]
    past = decisions_before(wiring({0: 990}, values, reads), "decisions.desk", "g", [("chats", 0)], 100)
    assert [one["id"] for one in past] == [f"chats@e0-0-{offset}" for offset in range(890, 990)]
    assert reads == [900, 800]  # in the first 100 the one before the window was not among them


def test_a_partition_that_is_behind_the_others_is_looked_for_further_back() -> None:
    reads: list[Any] = []
    values = [decision(offset, 1) for offset in range(200)] + [decision(offset) for offset in range(3_000)]
    committed = {0: 3_000, 1: 200}
    past = decisions_before(wiring(committed, values, reads), "d", "g", [("chats", 0), ("chats", 1)], 500)
    assert sum(one["id"].startswith("chats@e0-1-") for one in past) == 200 and reads[-1] == 0
    reads.clear()
    values = [decision(offset, 1) for offset in range(200)] + [decision(offset) for offset in range(9_000)]
    past = decisions_before(wiring({0: 9_000, 1: 200}, values, reads), "d", "g", [("chats", 0), ("chats", 1)], 100)
    assert len(past) == 100 and len(reads) == 4 and reads[-1] == len(values) - MOST_WINDOWS * 100


def test_where_nothing_was_decided_yet_nothing_is_read() -> None:
    reads: list[Any] = []
    assert decisions_before(wiring({}, [], reads), "d", "g", [("chats", 0)], 100) == [] and reads == []
    nowhere = wiring({0: 5}, [], reads)

    def gone(topic: str) -> None:
        raise TopicMismatch("it is not there")

    nowhere.admin().readable_offsets = gone
    assert decisions_before(nowhere, "d", "g", [("chats", 0)], 100) == []
    plain = parse_application(FILE.replace("[conversations]\n", ""), Path(), "desk.toml")
    assert conversations_before(nowhere, plain, "g") is None
