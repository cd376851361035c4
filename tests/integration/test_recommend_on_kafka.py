"""A shop's lists over kills of their worker, on a real Kafka, as `headrace worker` runs."""

import json
import random
from typing import Any

import pytest
from harness import MakeHome, Running, wait_for

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka

FILE = """
name = "{name}"
kind = "recommend"
topic = "{topic}"
catalog = "items.csv"
[source]
key = "/user_id"
user = "/user_id"
item = "/item_id"
action = "/action"
[recommend]
catalog_topic = "{catalog}"
exploration = 1
"""
KINDS = ("garden", "kitchen", "office")
ITEMS = [(f"{kind[0]}{number}", f"{kind} thing number {number}") for kind in KINDS for number in range(10)]


def lists_of(address: str, app: str) -> list[dict[str, Any]]:
    reader = KafkaReader(address)
    try:
        return [json.loads(record.value or b"") for record in reader.read(f"decisions.{app}")]
    finally:
        reader.close()


def test_a_shops_lists_are_those_of_a_worker_that_was_never_killed(
    make_home: MakeHome, kafka_address: str, unique: str
) -> None:
    """State is rebuilt from the topic: the same lists, bought items in none of them, before and after each kill. Then
    an item appears and one is withdrawn, and both workers say so."""
    home = make_home(f"kafka://{kafka_address}")
    topic, catalog, killed, steady = f"{unique}.events", f"{unique}.items", f"{unique}k", f"{unique}s"
    (home.home / "items.csv").write_text(
        "\n".join(["item_id,title", *(f"{item},{title}" for item, title in ITEMS)]), encoding="utf-8"
    )
    for name in (killed, steady):
        text = FILE.format(name=name, topic=topic, catalog=catalog)
        (home.home / f"{name}.toml").write_text(text, encoding="utf-8")
    admin, publisher, draw = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address), random.Random(7)
    admin.ensure([TopicSpec(topic, 1), TopicSpec(catalog, 1, cleanup="compact")])
    admin.ensure([TopicSpec(f"decisions.{name}", 1) for name in (killed, steady)])
    sent: list[dict[str, str]] = []

    def shop(count: int) -> None:
        for _ in range(count):
            action = draw.choices(["view", "click", "purchase"], [5, 3, 1])[0]
            event = {"user_id": f"u{draw.randrange(12)}", "item_id": draw.choice(ITEMS)[0], "action": action}
            publisher.send(topic, json.dumps(event).encode(), key=event["user_id"].encode())
            sent.append(event)
        publisher.flush()

    def decided_all(app: str, running: Running, count: int) -> None:
        def done() -> bool:
            return running.process.poll() is not None or len({d["id"] for d in lists_of(kafka_address, app)}) >= count

        wait_for(done, 120, running.text)
        assert running.process.poll() is None, running.text()

    undisturbed = home.start("worker", str(home.home / f"{steady}.toml"), "--from-beginning", name="steady")
    undisturbed.wait_ready()
    for number in range(2):
        shop(60)
        worker = home.start("worker", str(home.home / f"{killed}.toml"), "--from-beginning", name=f"worker{number}")
        decided_all(killed, worker, len(sent) - 20)
        worker.kill()
    last = home.start("worker", str(home.home / f"{killed}.toml"), name="last")
    last.wait_ready()
    shop(40)
    before = len(sent)
    decided_all(killed, last, before)
    decided_all(steady, undisturbed, before)
    fresh = {"item_id": "new", "title": "garden thing number 99"}
    publisher.send(catalog, json.dumps(fresh).encode(), key=b"new")
    publisher.send(catalog, None, key=b"k3")
    publisher.flush()

    def heard() -> bool:
        shop(1)  # the catalogue is looked at with each event
        return all("items of the catalogue" in running.text() for running in (last, undisturbed))

    wait_for(heard, 180, last.text)
    changed = len(sent)
    sent_after = [{"user_id": f"u{number}", "item_id": "g1", "action": "click"} for number in range(12)]
    for event in sent_after:
        publisher.send(topic, json.dumps(event).encode(), key=event["user_id"].encode())
    publisher.flush()
    sent += sent_after
    decided_all(killed, last, len(sent))
    decided_all(steady, undisturbed, len(sent))
    assert (last.stop(), undisturbed.stop()) == (0, 0)
    told: dict[str, dict[int, list[dict[str, Any]]]] = {killed: {}, steady: {}}
    for app, lists in told.items():
        for decision in lists_of(kafka_address, app):
            offset = int(decision["id"].rpartition("-")[2])
            assert lists.setdefault(offset, decision["items"]) == decision["items"]  # a repeat says the same
        assert sorted(lists) == list(range(len(sent)))
    for offset in range(before):
        assert told[killed][offset] == told[steady][offset]
    bought: dict[str, set[str]] = {}
    for offset, event in enumerate(sent):
        if event["action"] == "purchase":
            bought.setdefault(event["user_id"], set()).add(event["item_id"])
        listed = {item["item_id"] for item in told[killed][offset]}
        assert not listed & bought.get(event["user_id"], set())
    shown = [{item["item_id"] for item in told[app][offset]} for app in told for offset in range(changed, len(sent))]
    assert not any("k3" in listed for listed in shown)
    assert any("new" in listed for listed in shown)
    report = home.json("recommend", "--logged", "--app", str(home.home / f"{steady}.toml"))
    assert report["draws"] > 150 and 10 < report["effective"] <= report["draws"]
    assert report["logged"]["low"] <= report["logged"]["value"] <= report["logged"]["high"]
    publisher.close()
    admin.close()


@pytest.mark.slow  # minutes: SIGKILLs again and again
def test_what_was_bought_before_all_that_is_read_again_is_in_no_list_after_a_kill(
    make_home: MakeHome, kafka_address: str, unique: str
) -> None:
    """25,000 events of a partition are read again where there is no snapshot: what came before them is known by it."""
    home = make_home(f"kafka://{kafka_address}")
    topic, catalog, name = f"{unique}.events", f"{unique}.items", f"{unique}b"
    (home.home / "items.csv").write_text(
        "\n".join(["item_id,title", *(f"{item},{title}" for item, title in ITEMS)]), encoding="utf-8"
    )
    (home.home / f"{name}.toml").write_text(FILE.format(name=name, topic=topic, catalog=catalog), encoding="utf-8")
    admin, publisher, draw = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address), random.Random(8)
    admin.ensure([TopicSpec(topic, 1), TopicSpec(catalog, 1, cleanup="compact"), TopicSpec(f"decisions.{name}", 1)])

    def publish(user: str, item: str, action: str) -> None:
        event = {"user_id": user, "item_id": item, "action": action}
        publisher.send(topic, json.dumps(event).encode(), key=user.encode())

    def decided(running: Running, count: int) -> None:
        def done() -> bool:
            is_there = count <= admin.offsets(f"decisions.{name}")[0][1]
            return running.process.poll() is not None or is_there

        wait_for(done, 240, running.text)
        assert running.process.poll() is None, running.text()

    bought = [item for item, _ in ITEMS if item[0] != "g"] + ["g0", "g1", "g2", "g3"]
    for item in bought:
        publish("early", item, "purchase")
    for number in range(26_000):
        publish(f"u{number % 300}", draw.choice(ITEMS)[0], "click")
    publisher.flush()
    worker = home.start("worker", str(home.home / f"{name}.toml"), "--from-beginning", name="first")
    decided(worker, 26_000 + len(bought))
    worker.kill()
    last = home.start("worker", str(home.home / f"{name}.toml"), name="last")
    last.wait_ready()
    before = admin.offsets(f"decisions.{name}")[0][1]
    publish("early", "g9", "view")
    publisher.flush()
    decided(last, before + 1)
    assert last.stop() == 0
    assert "users taken up as they were kept" in last.text() and "301 users" in last.text()
    decision = next(d for d in reversed(lists_of(kafka_address, name)) if d["key"] == "early")
    listed = {item["item_id"] for item in decision["items"]}
    assert listed == {f"g{number}" for number in range(4, 10)}
    publisher.close()
    admin.close()
