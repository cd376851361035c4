"""Replay on real Kafka: it decides as the live worker does and leaves no trace; cut, gappy, timed and empty
stretches."""

import csv
import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import Headrace, wait_for
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import TopicSpec
from streams.topics import FEEDBACK_TOPIC
from streams.wire.records import Feedback, format_time

pytestmark = pytest.mark.kafka


@pytest.fixture
def admin(kafka_address: str) -> Iterator[KafkaAdmin]:
    client = KafkaAdmin(kafka_address)
    yield client
    client.close()


@pytest.fixture
def publisher(kafka_address: str) -> Iterator[KafkaPublisher]:
    client = KafkaPublisher(kafka_address)
    yield client
    client.close()


def corpus_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def labels_by_id(lines: list[bytes]) -> dict[str, dict[str, str]]:
    """Labels by head of each decision, by its id."""
    decisions = map(orjson.loads, lines)
    return {
        decision["id"]: {head: value["label"] for head, value in decision["labels"].items()} for decision in decisions
    }


def live_labels(address: str, topic: str) -> dict[str, dict[str, str]]:
    reader = KafkaReader(address)
    try:
        return labels_by_id([record.value or b"" for record in reader.read(topic)])
    finally:
        reader.close()


def groups(address: str) -> set[str]:
    client = KafkaAdminClient(bootstrap_servers=address)
    try:
        return {str(group["group_id"]) for group in client.list_groups()}
    finally:
        client.close()


def topics(address: str) -> set[str]:
    client = KafkaAdminClient(bootstrap_servers=address)
    try:
        return set(client.list_topics())
    finally:
        client.close()


def stored(home: Headrace) -> int:
    connection = sqlite3.connect(home.home / "decisions.db")
    try:
        return int(connection.execute("SELECT count(*) FROM decisions").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


def test_a_replay_beside_a_live_worker_gives_its_labels_twice_and_leaves_no_trace(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, publisher: KafkaPublisher, kafka_address: str
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    texts = [row["text"] for row in corpus_rows(home.home / "small.csv")]
    up = home.start("up", toml)
    up.wait_ready()
    for number, text in enumerate(texts[:200]):
        publisher.send(
            topic, orjson.dumps({"text": f"{text} ({number})", "conversation_id": str(number)}), str(number).encode()
        )
    publisher.send(topic, b"{broken", b"7")
    publisher.send(topic, None, b"7")
    publisher.flush()
    wait_for(lambda: stored(home) >= 200, 180, up.text)
    names, members, letters = topics(kafka_address), groups(kafka_address), admin.offsets("deadletters")
    settled = {partition: end for partition, (_, end) in admin.offsets(topic).items()}

    sent = 200
    replaying = home.start("replay", topic, "--app", toml, "--decisions", "first.jsonl", "--json", name="replay")
    while replaying.process.poll() is None:  # the topic is written, and decided live, while it runs
        publisher.send(topic, orjson.dumps({"text": f"{texts[sent % len(texts)]} ({sent})"}), str(sent).encode())
        publisher.flush()
        sent += 1
        time.sleep(0.05)
    assert replaying.process.returncode == 0, replaying.text()
    report: dict[str, Any] = json.loads(replaying.text().splitlines()[-1])
    wait_for(lambda: stored(home) >= sent, 180, up.text)

    assert all(report["stretch"][str(p)][1] >= end for p, end in settled.items())
    assert report["events"] == sum(end - start for start, end in report["stretch"].values()) < sent + 2
    assert report["metrics"]["dead_letters"] == {"not_json": 1}
    assert report["metrics"]["passed_over"] == {"tombstone": 1}
    live = live_labels(kafka_address, f"decisions.{name}")
    replayed = labels_by_id((home.home / "first.jsonl").read_bytes().splitlines())
    assert len(replayed) == report["metrics"]["decided"] == report["events"] - 2
    assert replayed == {identity: live[identity] for identity in replayed}

    assert stored(home) == sent
    assert sum(end for _, end in admin.offsets(f"decisions.{name}").values()) == sent
    assert admin.offsets("deadletters") == letters
    assert topics(kafka_address) == names
    assert groups(kafka_address) <= members  # empty ones of other tests leave by themselves
    ends = {partition: end for partition, (_, end) in admin.offsets(topic).items()}
    group = f"headrace-worker-{name}"
    wait_for(lambda: admin.committed(group, topic) == ends, 120)
    assert up.stop() == 0

    before = admin.committed(group, topic)
    again = [
        home.json("replay", topic, "--app", toml, "--to", str(min(settled.values())), "--decisions", f"{n}.jsonl")
        for n in (1, 2)
    ]
    assert again[0]["metrics"]["labels_sha256"] == again[1]["metrics"]["labels_sha256"]
    one, two = (labels_by_id((home.home / f"{n}.jsonl").read_bytes().splitlines()) for n in (1, 2))
    assert one == two == {identity: live[identity] for identity in one}
    assert admin.committed(group, topic) == before
    assert stored(home) == sent


def test_two_releases_are_compared_event_by_event_with_labels_from_a_file_and_from_feedback(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, publisher: KafkaPublisher
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    rows = corpus_rows(home.home / "small.csv")
    kept = sorted({row["intent"] for row in rows})[1:]
    with (home.home / "fewer.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["intent"] in kept)
    assert home.json("train", toml, "--data", "fewer.csv", "--register")["version"] == "2"
    admin.ensure([TopicSpec(topic, 4), TopicSpec(FEEDBACK_TOPIC, 4, cleanup="compact")])
    for row in rows:
        publisher.send(topic, orjson.dumps({"text": row["text"]}), row["text"].encode())
    publisher.send(topic, orjson.dumps({"text": "<script>alert(1)</script> refund my order"}), b"x")
    publisher.flush()
    releases = ("--model", f"{name}@1", "--against", f"{name}@2")
    report = home.json(
        "replay",
        topic,
        "--app",
        toml,
        *releases,
        "--labels",
        "small.csv",
        "--report",
        "out.html",
        "--decisions",
        "out.jsonl",
    )
    unknown = sum(row["intent"] not in kept for row in rows)
    assert report["events"] == len(rows) + 1
    assert report["labels"]["matched_by"] == "text" and report["labels"]["events"] == len(rows)
    compared = report["against"]
    assert (compared["from"], compared["to"]) == (f"{name}@2", f"{name}@1")
    assert unknown <= report["changed"] + (1 - report["metrics"]["accuracy"]) * len(rows)
    assert compared["test"]["better"] - compared["test"]["worse"] == round(
        (compared["test"]["accuracy_to"] - compared["test"]["accuracy_from"]) * len(rows)
    )
    assert compared["test"]["p_value"] < 0.01 and compared["gate"]["passed"]
    assert sum(change["events"] for change in compared["heads"]["intent"]["confusion"]) == report["changed"]
    assert len(report["examples"]["better"]) == 10
    page = (home.home / "out.html").read_text(encoding="utf-8")
    assert "<script" not in page and f"{name}@2" in page

    ids = list(labels_by_id((home.home / "out.jsonl").read_bytes().splitlines()))
    for number, identity in enumerate(ids[:30]):
        said = Feedback(
            decision_id=identity,
            head="intent",
            label="refund" if number % 2 else "other",
            by="ann",
            at="2026-11-24T10:00:00Z",
        )
        publisher.send(FEEDBACK_TOPIC, said.encode(), said.key)
        if number < 10:
            publisher.send(FEEDBACK_TOPIC, None, said.key)
    publisher.flush()
    by_id = home.json("replay", topic, "--app", toml, *releases, "--labels", FEEDBACK_TOPIC)
    assert by_id["labels"]["matched_by"] == "id" and by_id["labels"]["events"] == by_id["metrics"]["labelled"] == 20
    assert by_id["metrics"]["labels_sha256"] == report["metrics"]["labels_sha256"]


def test_a_stretch_that_retention_has_cut_is_replayed_as_far_as_it_is_left_and_it_says_so(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, publisher: KafkaPublisher, kafka_address: str
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    admin.ensure([TopicSpec(topic, 1)])
    for number in range(60):
        publisher.send(topic, orjson.dumps({"text": f"where is my parcel {number}"}))
    publisher.flush()
    client = KafkaAdminClient(bootstrap_servers=kafka_address)
    client.delete_records({TopicPartition(topic, 0): 25})
    client.close()
    done = home.run("replay", topic, "--app", toml, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["events"], report["gone"]) == (35, [{"partition": 0, "first_offset": 25}])
    assert "oldest messages" in done.stderr and "25" in done.stderr
    within = home.json("replay", topic, "--app", toml, "--from", "30", "--to", "50")
    assert (within["events"], within["gone"]) == (20, [])


HOUR = 3_600_000


def test_times_choose_records_and_empty_partitions_are_no_obstacle(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, publisher: KafkaPublisher
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    admin.ensure([TopicSpec(topic, 4)])
    begun = int(time.time() * 1000) - 6 * HOUR
    for number in range(30):  # one key: three of the four partitions stay empty
        publisher.send(
            topic,
            orjson.dumps({"text": f"where is my parcel {number}"}),
            b"one",
            timestamp_ms=begun + number // 10 * HOUR,
        )
    publisher.flush()
    middle = home.json(
        "replay", topic, "--app", toml, "--from", format_time(begun + HOUR), "--to", format_time(begun + 2 * HOUR)
    )
    assert (middle["events"], middle["gone"]) == (10, [])
    assert sorted(map(tuple, middle["stretch"].values())) == [(0, 0), (0, 0), (0, 0), (10, 20)]
    none = home.json("replay", topic, "--app", toml, "--from", format_time(begun + 8 * HOUR))
    assert (none["events"], none["metrics"]["accuracy"]) == (0, None)


def test_offsets_without_a_record_in_the_middle_and_at_the_very_end_are_no_obstacle(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, kafka_address: str
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    admin.ensure([TopicSpec(topic, 1)])
    producer = KafkaProducer(bootstrap_servers=kafka_address, transactional_id=name)
    producer.init_transactions()
    for number in range(5):  # each commit leaves a marker: an offset without a record, the last one at the very end
        producer.begin_transaction()
        producer.send(topic, orjson.dumps({"text": f"i want my money back {number}"}), b"one")
        producer.commit_transaction()
    producer.close()
    report = home.json("replay", topic, "--app", toml)
    assert (report["events"], report["offsets_without_event"], report["gone"]) == (5, 5, [])


@pytest.mark.slow
def test_a_compacted_topic_is_replayed_with_its_last_values(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, publisher: KafkaPublisher
) -> None:
    home, toml, name = app
    topic = f"{name}.chats"
    admin.ensure(
        [
            TopicSpec(
                topic,
                1,
                cleanup="compact",
                config={"segment.ms": "100", "min.cleanable.dirty.ratio": "0.001", "max.compaction.lag.ms": "100"},
            )
        ]
    )
    reader = KafkaReader(admin._address)

    def write_and_count() -> int:
        for number in range(40):
            publisher.send(topic, orjson.dumps({"text": f"where is my parcel {number}"}), str(number % 5).encode())
        publisher.flush()
        time.sleep(2)
        return sum(1 for _ in reader.read(topic)) - admin.offsets(topic)[0][1]

    wait_for(lambda: write_and_count() < 0, 120)
    reader.close()
    report = home.json("replay", topic, "--app", toml)
    assert report["events"] + report["offsets_without_event"] == admin.offsets(topic)[0][1]
    assert report["offsets_without_event"] > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--model", "{name}@99"), 1, "has no version 99"),
        (("--against", "nobody@1"), 1, "there is no model 'nobody'"),
        (("--against", "{name}@1"), 1, "give two releases"),
        (("--labels", "none.csv"), 1, "there is no file none.csv"),
        (("--labels", "no.such.topic"), 1, "no.such.topic does not exist"),
    ],
    ids=["version", "model", "same release", "file", "topic of labels"],
)
def test_what_is_not_there_is_one_line_and_exit_code_1(
    app: tuple[Headrace, str, str], admin: KafkaAdmin, arguments: tuple[str, str], code: int, words: str
) -> None:
    home, toml, name = app
    admin.ensure([TopicSpec(f"{name}.chats", 1)])
    done = home.run("replay", f"{name}.chats", "--app", toml, *(argument.format(name=name) for argument in arguments))
    assert done.returncode == code
    last = [line for line in done.stderr.splitlines() if not line[:4].isdigit()]
    assert len(last) == 1 and words in last[0], done.stderr


def test_a_topic_that_is_not_there_is_one_line_and_is_not_created(
    app: tuple[Headrace, str, str], admin: KafkaAdmin
) -> None:
    home, toml, name = app
    done = home.run("replay", f"{name}.typo", "--app", toml)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and f"{name}.typo" in done.stderr
    assert admin.describe([f"{name}.typo"]) == {}
