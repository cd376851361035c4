"""The whole way on real Kafka: load, decide, index, search; killed and restarted; bad input; a broker that dies."""

import csv
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, MakeHome, documents, texts_file, wait_for
from real_services import start_or_skip

from connectors.deadletters import read_origin
from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.local_services import services

pytestmark = pytest.mark.kafka


def labels_only(answers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Each text's label by head, without probabilities."""
    return {text: {head: answer["label"] for head, answer in heads.items()} for text, heads in answers.items()}


def test_every_loaded_text_is_decided_once_as_classify_decides_it_and_is_found(
    app: tuple[Headrace, str, str], small_corpus: Path
) -> None:
    home, toml, name = app
    up = home.start("up", toml)
    up.wait_ready()
    file = texts_file(home, small_corpus, 1)
    sent = home.json("load", str(file), "--topic", f"{name}.chats")
    assert sent["rejected"] == 0
    wait_for(lambda: len(documents(home)) >= sent["sent"], 180, up.text)
    assert up.stop() == 0
    stored = documents(home)
    assert len(stored) == sent["sent"]
    with file.open(encoding="utf-8", newline="") as rows:
        expected = [row["text"] for row in csv.DictReader(rows)]
    assert sorted(str(decision["text"]) for decision in stored.values()) == sorted(expected)
    lines = home.run("classify", toml, stdin="\n".join(expected)).stdout.splitlines()
    decided = {decision["text"]: decision["labels"] for decision in map(json.loads, lines)}
    labels = {str(decision["text"]): decision["labels"] for decision in stored.values()}
    assert labels_only(labels) == labels_only(decided)
    searched = home.run("search", expected[0].split()[0], "--app", name, "--json")
    assert searched.returncode == 0 and searched.stdout.strip()


def test_kill_9_in_the_middle_loses_nothing_doubles_nothing_and_goes_on(
    app: tuple[Headrace, str, str], small_corpus: Path
) -> None:
    home, toml, name = app
    up = home.start("up", toml)
    up.wait_ready()
    file = texts_file(home, small_corpus, 5)
    sent: dict[str, int] = {}
    loader = threading.Thread(
        target=lambda: sent.update(home.json("load", str(file), "--topic", f"{name}.chats", "--rate", "120"))
    )
    loader.start()
    wait_for(lambda: len(documents(home)) > 150, 180, up.text)
    up.kill()
    before = set(documents(home))
    again = home.start("up", toml)
    again.wait_ready()
    ready = time.monotonic()
    wait_for(lambda: len(set(documents(home)) - before) > 0, 120, again.text)
    seconds = time.monotonic() - ready
    loader.join(120)
    wait_for(lambda: len(documents(home)) >= sent["sent"], 180, again.text)
    assert again.stop() == 0
    numbers = [document["extra"]["number"] for document in documents(home).values()]  # type: ignore[index]
    assert sorted(map(int, numbers)) == list(range(sent["sent"]))
    print(f"first new decision {seconds:.1f} s after the restart was ready")


HOSTILE: dict[str, bytes] = {
    "not json": b"{broken",
    "no text": b'{"other": 1}',
    "empty text": b'{"text": "  "}',
    "a number": b"17",
    "invalid utf-8": b'{"text": "\xff\xfe"}',
    "nul bytes": b'{"text": "where is \\u0000 my order"}',
    "lone surrogate": b'{"text": "where is \\ud83d my order"}',
    "unknown fields": b'{"text": "where is my order", "plan": {"deep": [1, null, {"x": "y"}]}}',
    "one megabyte of text": json.dumps({"text": "where is my order " * 57_000}).encode(),
    "dead letter that would not fit": b"x" * 1_048_000,
    "nested deeply": b'{"text": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "every plane": json.dumps({"text": "order \U0001f600 \U00020000 \U000e0001 \u202e refund"}).encode(),
}


def test_every_hostile_record_is_decided_or_a_dead_letter_and_the_process_lives(
    app: tuple[Headrace, str, str], kafka_address: str
) -> None:
    home, toml, name = app
    up = home.start("up", toml)
    up.wait_ready()
    publisher = KafkaPublisher(kafka_address)
    for value in HOSTILE.values():
        publisher.send(f"{name}.chats", value)
    places = {(partition, offset) for _, partition, offset in publisher.flush()}
    publisher.send(f"{name}.chats", None, key=b"somebody")
    tombstones = {(partition, offset) for _, partition, offset in publisher.flush()}
    publisher.send(f"{name}.chats", b'{"text": "and a last good one"}')
    publisher.flush()
    wait_for(
        lambda: any(document["text"] == "and a last good one" for document in documents(home).values()), 180, up.text
    )
    reader = KafkaReader(kafka_address)

    def rejected() -> dict[tuple[int, int], str]:
        letters = [read_origin(record.headers) for record in reader.read("deadletters")]
        return {(one.partition, one.offset): one.reason for one in letters if one.topic == f"{name}.chats"}

    def decided() -> set[tuple[int, ...]]:
        return {tuple(map(int, identity.split("-")[-2:])) for identity in documents(home)}

    wait_for(lambda: places <= decided() | set(rejected()), 180, up.text)  # the last one's partition may be ahead
    mine = rejected()
    reader.close()
    publisher.close()
    assert set(mine.values()) >= {"not_json", "no_text", "empty_text", "not_utf8"}
    assert not tombstones & (decided() | set(mine))
    assert up.process.poll() is None
    assert up.stop() == 0


@pytest.mark.slow  # the run of every change keeps to twenty minutes
def test_sigterm_with_a_dead_broker_ends_within_the_stop_limit(
    services_folder: Callable[[str], Path], make_home: MakeHome
) -> None:
    folder = services_folder("mortal-kafka")
    started = start_or_skip(folder, kafka=True, elasticsearch=False)
    home = make_home(f"kafka://{started.kafka}", HEADRACE_STOP_SECONDS="8")
    up = home.start("up", "support")
    up.wait_ready()
    services.stop(folder)
    time.sleep(2)
    begun = time.monotonic()
    up.stop()
    assert time.monotonic() - begun < 8 + 30  # a busy machine takes a while to end a process; one that hangs takes 180


def test_sigterm_during_a_rebalance_ends_within_the_stop_limit(
    app: tuple[Headrace, str, str], kafka_address: str
) -> None:
    home, toml, _name = app
    home.extra["HEADRACE_STOP_SECONDS"] = "8"
    first = home.start("worker", toml, name="first")
    first.wait_ready()
    second = home.start("worker", toml, name="second")
    wait_for(lambda: "serves" in second.text(), 180, second.text)
    time.sleep(0.5)
    begun = time.monotonic()
    second.stop()
    first.stop()
    assert time.monotonic() - begun < 2 * (8 + 30)


def test_a_second_worker_shares_the_partitions_and_repeats_are_indexed_once(
    app: tuple[Headrace, str, str], small_corpus: Path, kafka_address: str
) -> None:
    home, toml, name = app
    up = home.start("up", toml)
    up.wait_ready()
    file = texts_file(home, small_corpus, 3)
    sent: dict[str, int] = {}
    loader = threading.Thread(
        target=lambda: sent.update(home.json("load", str(file), "--topic", f"{name}.chats", "--rate", "80"))
    )
    loader.start()
    second = home.start("worker", toml, name="second")
    second.wait_ready()
    loader.join(120)
    wait_for(lambda: len(documents(home)) >= sent["sent"], 180, lambda: up.text() + second.text())
    admin = KafkaAdmin(kafka_address)
    ends = {partition: end for partition, (_, end) in admin.offsets(f"{name}.chats").items()}
    wait_for(lambda: admin.committed(f"headrace-worker-{name}", f"{name}.chats") == ends, 120)
    repeats = sum(end for _, end in admin.offsets(f"decisions.{name}").values()) - sent["sent"]
    admin.close()
    assert second.stop() == 0
    assert up.stop() == 0
    assert len(documents(home)) == sent["sent"]
    assert repeats == 0, "a clean scale-out repeats nothing: the drain commits before the partitions go"
