"""Conversations over kills of their workers, on a real Kafka, as `headrace worker` runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from harness import MakeHome, Running, wait_for

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka

FILE = """
name = "{name}"
topic = "{name}.chats"
partitions = 2
corpus = "{corpus}"
[source]
key = "/who"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
[conversations]
window_records = 400
[slots.order]
pattern = 'MB-\\d+'
[slots.mail]
kind = "email"
[[escalations]]
reason = "many messages"
turns = 15
queue = "duty"
[privacy]
mask = true
"""
WHO = [f"c{number}" for number in range(10)]


def decisions_of(address: str, topic: str) -> list[dict[str, Any]]:
    reader = KafkaReader(address)
    try:
        return [json.loads(record.value or b"") for record in reader.read(topic)]
    finally:
        reader.close()


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_conversations_go_on_where_they_were_whoever_is_killed(
    make_home: MakeHome, kafka_address: str, unique: str, small_corpus: Path
) -> None:
    """Every message counts once and in its order, and a value of the first one is known at the last: with kills between
    decision and commit, and a second worker that takes a partition over and gives it back."""
    home = make_home(f"kafka://{kafka_address}")
    toml = home.home / "desk.toml"
    toml.write_text(FILE.format(name=unique, corpus=small_corpus), encoding="utf-8")
    trained = home.run("train", str(toml), "--data", str(small_corpus), "--register")
    assert trained.returncode == 0, trained.stderr
    admin, publisher = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address)
    source, decided = f"{unique}.chats", f"decisions.{unique}"
    admin.ensure([TopicSpec(source, 2), TopicSpec(decided, 2)])
    sent = 0

    def say(texts: list[str]) -> None:
        nonlocal sent
        for text in texts:
            for who in WHO:
                publisher.send(source, json.dumps({"text": text, "who": who}).encode(), key=who.encode())
                sent += 1
        publisher.flush()

    def ids() -> set[str]:
        return {decision["id"] for decision in decisions_of(kafka_address, decided)}

    def decided_all(running: Running, count: int) -> None:
        wait_for(lambda: running.process.poll() is not None or len(ids()) >= count, 120, running.text)
        assert running.process.poll() is None, running.text()

    say(["my order MB-17 has not arrived, write to ada@example.org"])
    for number in range(3):
        worker = home.start("worker", str(toml), "--from-beginning", name=f"worker{number}")
        say([f"where is it {number} {turn}" for turn in range(4)])
        decided_all(worker, sent - 10)
        worker.kill()
    first, second = home.start("worker", str(toml), name="first"), home.start("worker", str(toml), name="second")
    first.wait_ready()
    second.wait_ready()
    say([f"still nothing {turn}" for turn in range(4)])
    decided_all(first, sent)
    second.kill()
    say(["are you there"])
    decided_all(first, sent)
    assert first.stop() == 0
    told: dict[str, dict[str, Any]] = {}
    for decision in decisions_of(kafka_address, decided):
        known = told.setdefault(decision["id"], decision)
        same = ("conversation", "action", "slots", "labels", "text")
        assert [known[name] for name in same] == [decision[name] for name in same]  # a repeat says the same
    for who in WHO:
        own = [decision for decision in told.values() if decision["key"] == who]
        own.sort(key=lambda decision: int(decision["id"].rpartition("-")[2]))
        talks = [decision["conversation"] for decision in own]
        assert [talk["version"] for talk in talks] == list(range(1, sent // len(WHO) + 1))
        values = {known["name"]: known["value"] for known in talks[-1]["slots"]}
        assert values == {"order": "MB-17", "mail": "[email]"}
        assert [decision["action"] == "queue:duty" for decision in own] == [talk["turn"] >= 15 for talk in talks]
    assert not any("ada@" in json.dumps(decision) for decision in told.values())
    publisher.close()
    admin.close()
