"""Hand-over to people and back over kills of the dispatcher, on a real Kafka, as `headrace dispatcher` runs."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, wait_for

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import TopicSpec
from streams.clock import wall_clock_ms
from streams.wire.records import ConversationChange, format_time

pytestmark = pytest.mark.kafka

FILE = """
name = "{name}"
topic = "{name}.chats"
partitions = 2
[source]
key = "/who"
[[heads]]
name = "intent"
column = "intent"
[queues]
refund = "billing"
[conversations]
[hand_over]
says = "A colleague will answer you."
"""
BEGUN_MS = wall_clock_ms()  # what nobody speaks in for a month is no longer people's
WHO = [f"c{number}" for number in range(40)]


class Scene:
    """The topics of one application, and a dispatcher that is killed in the middle of each act."""

    def __init__(self, home: Headrace, address: str, name: str) -> None:
        self.home, self.address, self.name = home, address, name
        self.toml = home.home / "desk.toml"
        self.toml.write_text(FILE.format(name=name), encoding="utf-8")
        self.publisher = KafkaPublisher(address)
        self.versions: Counter[str] = Counter()
        self.decided = 0
        admin = KafkaAdmin(address)
        admin.ensure([TopicSpec(f"{name}.chats", 2)])
        admin.close()

    def read(self, topic: str) -> list[Any]:
        reader = KafkaReader(self.address)
        try:
            return list(reader.read(f"{topic}.{self.name}"))
        finally:
            reader.close()

    def answers(self) -> Counter[tuple[str, str]]:
        """How often each was sent: by id and kind."""
        records = [json.loads(record.value) for record in self.read("answers")]
        return Counter((answer["id"], answer["kind"]) for answer in records)

    def held(self) -> dict[str, dict[str, Any]]:
        return {record.key.decode(): json.loads(record.value) for record in self.read("conversations") if record.value}

    def count(self, **wanted: Any) -> int:
        """Conversations of which this holds."""
        return sum(wanted.items() <= one.items() for one in self.simple())

    def simple(self) -> list[dict[str, Any]]:
        return [{name: one[name] for name in ("version", "step", "owner")} for one in self.held().values()]

    def decide(self, who: str, action: str) -> str:
        """A worker's decision about the next message; its id."""
        self.versions[who] += 1
        self.decided += 1
        at, version = format_time(BEGUN_MS + self.decided), self.versions[who]
        decision: dict[str, Any] = {
            "id": f"chats@e0-0-{self.decided}",
            "app": self.name,
            "model": self.name,
            "version": "1",
            "path": "full",
            "at": at,
            "decided_at": at,
            "latency_ms": 1,
            "labels": {"intent": {"label": "refund", "probability": 0.9}},
            "action": action,
            "text": f"message {version}",
            "key": who,
            "extra": {},
            "conversation": {
                "id": who,
                "version": version,
                "contact": 1,
                "turn": version,
                "first_at": at,
                "last_at": at,
            },
        }
        if action == "ask":
            decision["ask"] = {"text": "Which order is it?", "slot": "order"}
        self.publisher.send(f"decisions.{self.name}", json.dumps(decision).encode(), who.encode())
        return str(decision["id"])

    def change(self, who: str, kind: str, revision: int, text: str | None = None) -> str:
        change = ConversationChange(
            id=f"{kind}-{who}",
            conversation=who,
            kind=kind,  # type: ignore[arg-type]  # pydantic looks at it
            by="ann",
            at=format_time(BEGUN_MS),
            version=self.versions[who],
            revision=revision,
            text=text,
        )
        self.publisher.send(f"changes.{self.name}", change.encode(), who.encode())
        return change.id

    def act(self, progress: Callable[[], int], goal: int) -> None:
        """What was published is dispatched: the dispatcher is killed as soon as something came of it, twice, and the
        next one goes on until all has."""
        self.publisher.flush()
        for is_last in (False, False, True):
            before = progress()
            wanted = goal if is_last else min(before + 1, goal)
            running = self.home.start("dispatcher", str(self.toml), "--from-beginning", name="desk")
            wait_for(lambda: running.process.poll() is not None or progress() >= wanted, 180, running.text)  # noqa: B023
            assert running.process.poll() is None, running.text()
            running.kill()


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_nothing_is_sent_twice_nor_while_a_person_has_it_whoever_is_killed(
    tmp_path: Path, kafka_address: str, unique: str
) -> None:
    """Answers, the hand-over, a person's answer and the way back, each with the dispatcher killed in the middle."""
    scene = Scene(Headrace(tmp_path, f"kafka://{kafka_address}", "", {}), kafka_address, unique)
    first = scene.home.start("dispatcher", str(scene.toml), "--from-beginning", name="first")
    first.wait_ready()  # it makes its topics
    first.kill()
    wanted: set[tuple[str, str]] = set()
    for _ in range(3):
        wanted |= {(scene.decide(who, "ask"), "question") for who in WHO}
    scene.act(lambda: len(scene.answers()), len(wanted))

    wanted |= {(scene.decide(who, "queue:billing"), "hand_over") for who in WHO}
    kept_back = {scene.decide(who, "ask") for who in WHO}
    scene.act(lambda: scene.count(version=5), len(WHO))

    for who in WHO:
        scene.change(who, "taken", 1)
        wanted.add((scene.change(who, "answered", 2, f"Hello {who}."), "person"))
        scene.change(who, "handed_back", 1)  # of somebody who saw neither
    scene.act(lambda: scene.count(step="answered"), len(WHO))
    kept_back |= {scene.decide(who, "ask") for who in WHO}
    scene.act(lambda: scene.count(version=6), len(WHO))

    for who in WHO:
        scene.change(who, "handed_back", 3)
    scene.act(lambda: scene.count(owner="headrace"), len(WHO))
    wanted |= {(scene.decide(who, "ask"), "question") for who in WHO}
    scene.act(lambda: len(scene.answers()), len(wanted))

    last = scene.home.start("dispatcher", str(scene.toml), name="last")  # what came again leads to nothing
    last.wait_ready()
    scene.decide(WHO[0], "none")
    scene.publisher.flush()
    wait_for(lambda: scene.count(owner="people") == 1, 180, last.text)
    assert last.stop() == 0
    sent = scene.answers()
    assert sent.keys() - wanted == {(f"chats@e0-0-{scene.decided}", "hand_over")} and wanted <= sent.keys()
    assert set(sent.values()) == {1}
    assert not kept_back & {identity for identity, _ in sent}


def test_the_round_trip_by_the_command_line(tmp_path: Path, kafka_address: str, unique: str) -> None:
    scene = Scene(Headrace(tmp_path, f"kafka://{kafka_address}", "", {}), kafka_address, unique)
    toml = str(scene.toml)
    running = scene.home.start("dispatcher", toml, "--from-beginning", name="only")
    running.wait_ready()
    scene.decide("c1", "ask")
    scene.decide("c1", "queue:billing")
    scene.publisher.flush()
    wait_for(lambda: "c1" in scene.held(), 180, running.text)
    listed = scene.home.json("conversations", "list", toml)
    assert (listed["id"], listed["queue"], listed["reason"]) == ("c1", "billing", "goes to billing")
    assert scene.home.json("conversations", "take", toml, "c1", "--by", "ann")["assignee"] == "ann"
    other = scene.home.run("conversations", "answer", toml, "c1", "Hello.", "--by", "bob")
    assert other.returncode == 1 and "ann has it" in other.stderr and len(other.stderr.strip().splitlines()) == 1
    scene.home.json("conversations", "answer", toml, "c1", "Hello.", "--by", "ann")
    shown = scene.home.run("conversations", "show", toml, "c1").stdout
    assert "ann" in shown and "Which order is it?" in shown and "Hello." in shown and "message 2" in shown
    scene.decide("c1", "ask")  # the customer writes: who has not seen it hands nothing back
    scene.publisher.flush()
    wait_for(lambda: scene.held()["c1"]["version"] == 3, 180, running.text)
    early = scene.home.run("conversations", "return", toml, "c1", "--by", "ann", "--seen", "2")
    assert early.returncode == 1 and "has written meanwhile" in early.stderr
    assert scene.home.run("conversations", "return", toml, "c1", "--by", "ann").returncode == 0
    scene.decide("c1", "ask")
    scene.publisher.flush()
    wait_for(lambda: len(scene.answers()) == 4, 180, running.text)
    assert [kind for _, kind in scene.answers()] == ["question", "hand_over", "person", "question"]
    assert running.stop() == 0


def test_an_application_that_begins_to_hand_over_on_topics_of_before(
    tmp_path: Path, kafka_address: str, unique: str
) -> None:
    """Its decisions have more partitions than its file says, and stand there from a time without conversations."""
    scene = Scene(Headrace(tmp_path, f"kafka://{kafka_address}", "", {}), kafka_address, unique)
    admin = KafkaAdmin(kafka_address)
    admin.ensure([TopicSpec(f"decisions.{unique}", 5)])
    scene.decide("before", "none")
    scene.publisher.flush()
    running = scene.home.start("dispatcher", str(scene.toml), name="only")
    running.wait_ready()
    names = [f"{topic}.{unique}" for topic in ("decisions", "answers", "conversations", "changes")]
    assert {state.partitions for state in admin.describe(names).values()} == {5}
    admin.close()
    for who in WHO[:10]:
        scene.decide(who, "queue:billing")
    scene.publisher.flush()
    wait_for(lambda: len(scene.held()) == 10, 180, running.text)
    assert set(scene.held()) == set(WHO[:10]) and running.stop() == 0
