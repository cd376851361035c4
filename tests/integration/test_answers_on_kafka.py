"""Answers from the bank over kills of the worker while the bank changes, on a real Kafka, as `headrace worker` runs."""

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
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
[queues]
[answer_bank]
confidence = 0.5
"""
SUBJECTS = ("trams", "parking", "dogs", "gift wrapping", "cooking classes", "spare parts", "opening hours", "jobs")


def bank_file(path: Path, state: int) -> Path:
    """Every answer says which state of the bank it belongs to."""
    rows = [f"s{number},What about {subject}?,{subject} as of {state}" for number, subject in enumerate(SUBJECTS)]
    path.write_text("id,question,answer\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def decisions_of(address: str, topic: str) -> list[dict[str, Any]]:
    reader = KafkaReader(address)
    try:
        return [json.loads(record.value or b"") for record in reader.read(topic)]
    finally:
        reader.close()


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_each_answer_belongs_to_a_bank_that_stood_and_none_is_lost_whoever_is_killed(
    make_home: MakeHome, kafka_address: str, unique: str, small_corpus: Path
) -> None:
    home = make_home(f"kafka://{kafka_address}")
    toml = home.home / "desk.toml"
    toml.write_text(FILE.format(name=unique, corpus=small_corpus), encoding="utf-8")
    trained = home.run("train", str(toml), "--data", str(small_corpus), "--register")
    assert trained.returncode == 0, trained.stderr
    admin, publisher = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address)
    source, decided = f"{unique}.chats", f"decisions.{unique}"
    admin.ensure([TopicSpec(source, 2), TopicSpec(decided, 2)])
    sent = 0

    def change(state: int) -> None:
        added = home.run("answers", "add", str(bank_file(home.home / "faq.csv", state)), "--app", str(toml))
        assert added.returncode == 0, added.stderr

    def ask() -> None:
        nonlocal sent
        for subject in SUBJECTS:
            publisher.send(source, json.dumps({"text": f"what about {subject}"}).encode(), key=subject.encode())
            sent += 1
        publisher.flush()

    def decided_at_least(running: Running, count: int) -> None:
        def is_there() -> bool:
            return len({one["id"] for one in decisions_of(kafka_address, decided)}) >= count

        wait_for(lambda: running.process.poll() is not None or is_there(), 120, running.text)
        assert running.process.poll() is None, running.text()

    change(0)
    for state in (1, 2):
        worker = home.start("worker", str(toml), "--from-beginning", name=f"worker{state}")
        ask()
        decided_at_least(worker, sent - 4)
        change(state)
        ask()
        worker.kill()
    last = home.start("worker", str(toml), name="last")
    ask()
    decided_at_least(last, sent)
    assert last.stop() == 0
    told: dict[str, dict[str, Any]] = {}
    for decision in decisions_of(kafka_address, decided):
        told.setdefault(decision["id"], decision)  # the store keeps the first one
    assert len(told) == sent
    of_last = 0
    for decision in told.values():
        assert decision["action"] == "answer", decision
        subject, _, state = decision["answer"]["text"].partition(" as of ")
        assert decision["text"] == f"what about {subject}" and state in ("0", "1", "2")
        of_last += state == "2"
    assert of_last >= len(SUBJECTS)  # who asked once it stood
    publisher.close()
    admin.close()
