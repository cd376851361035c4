"""The field run: a topic as people who do this job meet it, over restarts, and the account of every record at the end.

5,000 records of all hostile kinds, in five codecs, plain and in transactions (committed, aborted, one that stays open
for a while), with odd keys and times, deletes and tombstones; a worker that is killed, stopped and killed again; an
indexer into SQLite. Every record that decides is in the store, once; every other is a dead letter or passed over.
"""

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest
from kafka import KafkaProducer
from raw_header_name import raw_name
from real_services import services_cache
from small_release import small_release

from bench.faults.hostile.records import hostile_records
from bench.faults.hostile.sending import HostileSender, Sent
from bench.faults.hostile.shapes import DECIDED, PASSED_OVER, HostileRecord
from bench.faults.ledger import Source
from bench.faults.scene.processes import COMMAND, HeadraceProcess
from bench.faults.scene.releases import ReleaseShelf
from bench.faults.scene.traffic import source_of
from bench.faults.waiting import wait_until
from connectors.deadletters import Origin, read_origin
from connectors.kafka.client import KafkaAdmin, KafkaReader
from connectors.ports import TopicSpec
from streams.topics import DEAD_LETTERS_TOPIC

pytestmark = pytest.mark.kafka
RECORDS, PARTITIONS = 5_000, 3
LEGS = 5  # of the way: between two of them something ends the worker, or a transaction begins or ends
OPEN_RECORDS = 12
RAW_NAMED_RECORDS = 2 * PARTITIONS
STUCK_SECONDS = 20  # below the time for which the transaction stays open: waiting for it is no reason to leave
OPEN_AT_LEAST_SECONDS = 25.0
FOR_EVER = str(2**63 - 1)
ANY_TIME = {"message.timestamp.after.max.ms": FOR_EVER, "segment.ms": FOR_EVER, "retention.ms": "-1"}
OWN_KEYS = (b"\xff\x00", b"\0\0\0\0\0\0\0\xc8", b"\0\0\0\0\0\0\0\xc9", "kü".encode(), b"", None)
KEPT_KEYS = ("good", "binary key", "odd record time", "byte order mark")  # kinds that name no key in their body
APPLICATION = """
name = "{name}"
topic = "{name}.events"
partitions = 3
max_dead_letter_share = 1.0
[source]
text = "/text"
key = "/conversation_id"
at = "/at"
keep = "all"
[[heads]]
name = "intent"
column = "intent"
[[heads]]
name = "urgency"
column = "urgency"
"""


class Field:
    """An application of its own with a worker and an indexer, its topic, and what became of each record."""

    def __init__(self, folder: Path, kafka_address: str, name: str) -> None:
        self.address, self.name, self.folder = kafka_address, name, folder
        self.topic, self.sent = f"{name}.events", dict[Source, HostileRecord]()
        release = small_release()
        ReleaseShelf(folder / "registry", name, release.manifest, release.blobs)
        self.toml = folder / "field.toml"
        self.toml.write_text(APPLICATION.format(name=name))
        admin = KafkaAdmin(kafka_address)
        admin.ensure([TopicSpec(self.topic, PARTITIONS, config=ANY_TIME)])
        self.epoch = admin.describe([self.topic])[self.topic].epoch
        admin.close()
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HEADRACE_BROKER": f"kafka://{kafka_address}",
            "HEADRACE_HOME": str(folder),
            "HEADRACE_CACHE": str(services_cache() / "encoders"),
            "HEADRACE_STUCK_SECONDS": str(STUCK_SECONDS),
        }
        self.worker, self.indexer = self._process("worker", "--from-beginning"), self._process("indexer")
        self.sender = HostileSender({"bootstrap.servers": kafka_address}, self.topic, PARTITIONS, name)

    def _process(self, role: str, *flags: str) -> HeadraceProcess:
        return HeadraceProcess(role, [role, str(self.toml), *flags], self.environment, self.folder)

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*COMMAND, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120
        )

    def has_decided(self, sent: Sent) -> bool:
        """Whether the worker, which must be alive, has passed all of these that a reader of committed records gets."""
        assert self.worker.is_alive, f"it left with code {self.worker.code}: {self.worker.tail()}"
        committed = {name: place["committed"] or 0 for name, place in self.partitions(self.worker).items()}
        return all(
            committed.get(f"{self.topic}[{partition}]", 0) > offset
            for (partition, offset), record in sent.items()
            if not record.kind.endswith("aborted")
        )

    def partitions(self, process: HeadraceProcess) -> dict[str, dict[str, Any]]:
        """What its health says of each partition of its only role."""
        roles = process.health().get("roles", {})
        return {name: place for role in roles.values() for name, place in role["partitions"].items()}

    def documents(self) -> list[dict[str, Any]]:
        """Everything in the store."""
        connection = sqlite3.connect(self.folder / "decisions.db")
        try:
            return [orjson.loads(text) for (text,) in connection.execute("SELECT document FROM decisions")]
        finally:
            connection.close()

    def letters(self, topic: str) -> dict[Source, str]:
        """Where the dead letters of a topic come from, and why they are."""
        return {(origin.partition, origin.offset): origin.reason for origin, _ in self._dead_letters(topic)}

    def unindexed(self) -> dict[Source, str]:
        """Where the decisions come from that the store refused, and why it did."""
        refused = self._dead_letters(f"decisions.{self.name}")
        return {source_of(orjson.loads(value)["id"], self.epoch): origin.reason for origin, value in refused}

    def _dead_letters(self, topic: str) -> list[tuple[Origin, bytes]]:
        letters = [(record.headers, record.value or b"") for record in self.read(DEAD_LETTERS_TOPIC)]
        of_topic = ("headrace-topic", topic.encode())
        return [(read_origin(headers), value) for headers, value in letters if of_topic in headers]

    def read(self, topic: str) -> list[Any]:
        """Everything in a topic."""
        reader = KafkaReader(self.address)
        try:
            return list(reader.read(topic))
        finally:
            reader.close()


@pytest.fixture
def field(tmp_path: Path, kafka_address: str, unique: str) -> Iterator[Field]:
    made = Field(tmp_path, kafka_address, unique)
    made.worker.start()
    made.indexer.start()
    try:
        made.worker.wait_ready()
        made.indexer.wait_ready()
        yield made
    finally:
        for process in (made.worker, made.indexer):
            if process.is_alive:
                process.kill()


def records(seed: int) -> Iterator[HostileRecord]:
    """Hostile records; those to which any key will do have an odd one."""
    for number, record in enumerate(hostile_records(RECORDS - OPEN_RECORDS - RAW_NAMED_RECORDS, seed)):
        yield replace(record, key=OWN_KEYS[number % len(OWN_KEYS)]) if record.key is None else record


def restart(field: Field, *, by_kill: bool) -> None:
    """End the worker in the middle of its work, and start it again; what is sent next waits for it."""
    field.worker.wait_ready()
    if by_kill:
        field.worker.kill()
    else:
        assert field.worker.stop() == 0, field.worker.tail()
    field.worker.start()


def send_with_raw_header_names(field: Field) -> None:
    """Records whose header names are no UTF-8: one that decides and one that does not, in each partition."""
    producer = KafkaProducer(bootstrap_servers=field.address, compression_type="gzip")
    records = (
        HostileRecord(b'{"text": "where is my parcel"}', DECIDED, kind="header name"),
        HostileRecord(b"{}", "no_text", kind="header name of nothing"),
    )
    for record in records:
        for partition in range(PARTITIONS):
            place = producer.send(
                field.topic, record.value, partition=partition, headers=[(raw_name(b"gr\xf6\xdfe"), b"XL")]
            ).get(30)
            field.sent[partition, place.offset] = record
    producer.close()


def send_over_restarts(field: Field, seed: int) -> None:
    """All records, with three restarts, and with a transaction that is open from the second leg to the fourth."""
    left = records(seed)
    legs = [list(islice(left, RECORDS // LEGS)) for _ in range(LEGS)]
    field.sent |= field.sender.send(legs[0])
    restart(field, by_kill=True)
    kept_back = [replace(record, kind="held back") for record in islice(_good(seed), OPEN_RECORDS)]
    with field.sender.open_transaction(kept_back) as open_sent:
        opened = time.monotonic()
        field.sent |= open_sent | field.sender.send(legs[1])
        restart(field, by_kill=False)
        field.sent |= field.sender.send(legs[2])
        send_with_raw_header_names(field)
        wait_until(
            lambda: _reads_up_to_the_transaction(field), 60.0, lambda: f"nobody tells of it: {field.worker.tail()}"
        )
        wait_until(lambda: time.monotonic() - opened > OPEN_AT_LEAST_SECONDS, 60.0, lambda: "time stands still")
        assert not open_sent.keys() & {_place(document, field) for document in field.documents()}
        assert field.worker.is_alive and field.indexer.is_alive
    field.sent |= field.sender.send(legs[3])
    restart(field, by_kill=True)
    field.sent |= field.sender.send(legs[4])
    wait_until(lambda: field.has_decided(field.sent), 180.0, lambda: f"not all was decided: {field.worker.tail()}")


def _good(seed: int) -> Iterator[HostileRecord]:
    return (record for record in hostile_records(10_000, seed + 1) if record.kind == "good")


def _place(document: dict[str, Any], field: Field) -> Source:
    return source_of(document["id"], field.epoch)


def _reads_up_to_the_transaction(field: Field) -> bool:
    """Whether the worker says of each partition that it is up to date, and how much a transaction keeps back."""
    places = field.partitions(field.worker).values()
    return len(places) == PARTITIONS and all(
        place["lag"] == 0 and place["behind_open_transaction"] > 0 for place in places
    )


def test_every_record_of_the_field_is_decided_once_or_accounted_for(field: Field) -> None:
    """F-1 to F-10, F-13, F-14, S-A6: each of these kinds ended every worker, was decided though it was taken back, or
    became a dead letter that it is not."""
    started = time.monotonic()
    send_over_restarts(field, seed=12)
    decisions = {_place(orjson.loads(record.value), field): record for record in field.read(f"decisions.{field.name}")}
    wait_until(
        lambda: len(field.documents()) + len(field.unindexed()) >= len(decisions),
        180.0,
        lambda: f"not all was indexed: {field.indexer.tail()}",
        poll_seconds=1.0,
    )
    stored, unindexed = Counter(_place(document, field) for document in field.documents()), field.unindexed()
    letters = field.letters(field.topic) | unindexed

    def outcome(place: Source) -> str:
        return DECIDED if place in stored else letters.get(place, PASSED_OVER)

    assert len(field.sent) == RECORDS
    assert stored.keys() | unindexed.keys() == decisions.keys() and set(stored.values()) == {1}
    assert not stored.keys() & letters.keys()
    assert stored.keys() | letters.keys() <= field.sent.keys()
    wrong = Counter(
        f"{record.kind}: {outcome(place)}, not {record.verdict or 'decided or a dead letter'}"
        for place, record in field.sent.items()
        if outcome(place) != record.verdict and (record.verdict or outcome(place) == PASSED_OVER)
    )
    assert not wrong, wrong
    assert {field.sent[place].kind for place in unindexed} <= {"deeply nested"}  # deeper than the store keeps
    assert not Counter(letters.values()).keys() & {"internal_error", "model_error"}
    assert {record.kind for place, record in field.sent.items() if place in stored} >= {
        "good",
        "held back",
        "every plane",
    }
    other_keys = Counter(
        field.sent[place].kind
        for place, decision in decisions.items()
        if field.sent[place].kind in KEPT_KEYS and decision.key != field.sent[place].key
    )
    assert not other_keys, other_keys
    doctor = field.command("doctor", str(field.toml))
    assert doctor.returncode == 0, doctor.stdout
    replayed = field.command("replay", field.topic, "--app", str(field.toml), "--json", "--report", "replay.html")
    assert replayed.returncode == 0, replayed.stderr
    figures = orjson.loads(replayed.stdout)
    assert figures["metrics"]["decided"] == len(decisions)
    assert field.worker.stop() == 0, field.worker.tail()
    assert field.indexer.stop() == 0, field.indexer.tail()
    seconds = time.monotonic() - started
    print(f"{len(stored)} decided, {Counter(letters.values())}, {seconds:.0f} s", file=sys.stderr)
