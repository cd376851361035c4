"""Records that nobody should send, through a real worker on real Kafka: it lives, and none is missing."""

import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from real_services import services_cache

from bench.faults.ground import Ground
from bench.faults.hostile.records import KINDS, hostile_records
from bench.faults.hostile.sending import HostileSender
from bench.faults.hostile.shapes import DECIDED, PASSED_OVER, SHAPES, HostileRecord
from bench.faults.ledger import Source
from bench.faults.scene.processes import HeadraceProcess
from bench.faults.scene.releases import ReleaseShelf
from bench.faults.scene.traffic import Positions, TopicFollower, source_of
from bench.faults.waiting import wait_until
from connectors.deadletters import read_origin
from connectors.kafka.client import KafkaAdmin
from connectors.ports import TopicSpec
from headrace.wiring import group_name
from streams.application import Application
from streams.topics import DEAD_LETTERS_TOPIC

PARTITIONS = 4
DECIDED_SECONDS_EACH = 0.02  # a fiftieth of a second for each record, on a machine that is busy; and a minute
SLACK_SECONDS = 60.0
OWN_KEY = b"\xff\x00"
FOR_EVER = str(2**63 - 1)
ANY_TIME = {  # Kafka 4 refuses what is more than an hour ahead; odd times would roll segments, and then delete them
    "message.timestamp.after.max.ms": FOR_EVER,
    "segment.ms": FOR_EVER,
    "retention.ms": "-1",
}
KEYED_BY_RECORD = ("good", "binary key", "odd record time", "byte order mark")


class HostileRun:
    """A worker of an application of its own, hostile records in its topic, and what became of each."""

    def __init__(self, ground: Ground, kafka_address: str) -> None:
        self.config = {"bootstrap.servers": kafka_address}
        self.name = f"h{uuid.uuid4().hex[:8]}"
        self.topic = f"{self.name}.events"
        self.decided: Counter[Source] = Counter()
        self.letters: dict[Source, str] = {}
        self.keys: dict[Source, bytes | None] = {}
        self.marks: dict[Source, frozenset[str]] = {}
        ground.folder.mkdir(parents=True)
        ReleaseShelf(ground.folder / "registry", self.name, ground.manifest, ground.blobs)
        admin = KafkaAdmin(kafka_address)
        admin.ensure([TopicSpec(self.topic, PARTITIONS, config=ANY_TIME)])
        self.epoch = admin.describe([self.topic])[self.topic].epoch
        admin.close()
        environment = {
            "PATH": "/usr/bin:/bin",
            "HEADRACE_BROKER": f"kafka://{kafka_address}",
            "HEADRACE_HOME": str(ground.folder),
            "HEADRACE_CACHE": str(services_cache() / "encoders"),
        }
        arguments = ["worker", str(self.write_application(ground)), "--from-beginning"]
        self.worker = HeadraceProcess("worker", arguments, environment, ground.folder)

    def write_application(self, ground: Ground) -> Path:
        """Hostile records are most of what comes, so the limit on dead letters is off where there is one."""
        lines = [f'name = "{self.name}"', f'topic = "{self.topic}"', f"partitions = {PARTITIONS}"]
        if "max_dead_letter_share" in Application.model_fields:
            lines.append("max_dead_letter_share = 1.0")
        lines += ["[source]", 'text = "/text"', 'key = "/conversation_id"', 'keep = "all"']
        for head in ground.heads:
            lines += ["[[heads]]", f'name = "{head.name}"', f'column = "{head.column}"']
        path = ground.folder / "hostile.toml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def send(self, count: int, seed: int) -> dict[Source, HostileRecord]:
        """Every record, confirmed: where it stands, and what it is."""
        records = (
            replace(record, key=OWN_KEY) if record.key is None and number % 7 else record
            for number, record in enumerate(hostile_records(count, seed))
        )
        places = HostileSender(self.config, self.topic, PARTITIONS, self.name).send(records)
        assert len(places) == count
        return places

    def hear_decision(self, message: Any) -> None:
        """Called for each record of the decisions topic."""
        decision = orjson.loads(message.value())
        message.value().decode("utf-8")
        place = source_of(decision["id"], self.epoch)
        self.decided[place] += 1
        self.keys[place] = message.key()
        self.marks[place] = frozenset(decision["extra"])

    def hear_letter(self, message: Any) -> None:
        """Called for each dead letter, also those of others."""
        origin = read_origin(message.headers() or [])
        if origin.topic == self.topic:
            self.letters[origin.partition, origin.offset] = origin.reason

    def outcome(self, place: Source) -> str:
        """What became of a record: DECIDED, PASSED_OVER, or the reason of its dead letter."""
        return DECIDED if place in self.decided else self.letters.get(place, PASSED_OVER)


def last_read(places: Mapping[Source, HostileRecord]) -> dict[int, int]:
    """Partition to the offset after its last record that a reader of committed records gets."""
    ends: dict[int, int] = {}
    for (partition, offset), record in places.items():
        if not record.kind.endswith("aborted"):
            ends[partition] = max(ends.get(partition, 0), offset + 1)
    return ends


@pytest.fixture
def hostile_run(ground: Ground, kafka_address: str) -> Iterator[HostileRun]:
    run = HostileRun(ground, kafka_address)
    run.worker.start()
    try:
        run.worker.wait_ready()
        yield run
    finally:
        if run.worker.is_alive:
            run.worker.kill()


def check(run: HostileRun, count: int, seed: int) -> None:
    followers = [
        TopicFollower(run.config, f"decisions.{run.name}", PARTITIONS, run.hear_decision),
        TopicFollower(run.config, DEAD_LETTERS_TOPIC, PARTITIONS, run.hear_letter),
    ]
    for follower in followers:
        follower.start()
    try:
        places = run.send(count, seed)
        positions = Positions(run.config)
        ends = last_read(places)

        def done() -> bool:
            assert run.worker.is_alive, f"it left with code {run.worker.code}: {run.worker.tail()}"
            committed = positions.committed(group_name("worker", run.name), run.topic, PARTITIONS)
            return all(committed.get(p, 0) >= end for p, end in ends.items())

        wait_until(
            done,
            SLACK_SECONDS + count * DECIDED_SECONDS_EACH,
            lambda: f"{len(run.decided)} decided, {len(run.letters)} dead; {run.worker.tail()}",
            poll_seconds=0.5,
        )
        for follower, topic in zip(followers, (f"decisions.{run.name}", DEAD_LETTERS_TOPIC), strict=True):
            out = positions.ends(topic, PARTITIONS)
            wait_until(
                lambda follower=follower, out=out: follower.has_read(out),
                SLACK_SECONDS,
                lambda: "what came out was not read",
            )  # type: ignore[misc]
    finally:
        for follower in followers:
            follower.close()
    wrong = Counter(
        f"{record.kind}: {run.outcome(place)}, not {record.verdict or 'decided or a dead letter'}"
        for place, record in places.items()
        if run.outcome(place) != record.verdict and (record.verdict or run.outcome(place) == PASSED_OVER)
    )
    assert not wrong, wrong
    assert not run.decided.keys() & run.letters.keys()
    assert set(run.decided.values()) == {1}
    decided = {place: record for place, record in places.items() if place in run.decided}
    kinds = {record.kind for record in decided.values()}
    assert kinds >= {"good", "every plane", "lone surrogate", "markup", "many fields"}
    assert all(run.keys[place] == record.key for place, record in decided.items() if record.kind in KEYED_BY_RECORD)
    unmarked = Counter(record.kind for place, record in decided.items() if not run.marks[place] >= set(record.marks))
    assert not unmarked, unmarked
    reasons = Counter(run.letters.values())
    assert set(reasons) >= {"not_json", "not_utf8", "no_text", "empty_text"}, reasons
    assert not reasons.keys() & {"model_error", "internal_error"}, reasons
    assert run.worker.stop() == 0, run.worker.tail()
    print(f"{count} records: {len(run.decided)} decided, dead letters {dict(reasons)}", file=sys.stderr)


@pytest.mark.kafka
def test_three_thousand_hostile_records_are_decided_or_dead_letters_and_the_worker_lives(
    hostile_run: HostileRun,
) -> None:
    check(hostile_run, 3_000, seed=6)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_a_hundred_thousand_hostile_records_are_decided_or_dead_letters_and_the_worker_lives(
    hostile_run: HostileRun,
) -> None:
    check(hostile_run, 100_000, seed=7)


def test_the_generator_makes_every_kind_and_the_same_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_789_999_000.0)
    kinds = [*KINDS, *SHAPES]
    made = list(hostile_records(2 * len(kinds), 3))
    assert [record.kind for record in made] == [*kinds, *kinds]
    assert made == list(hostile_records(2 * len(kinds), 3)) != list(hostile_records(2 * len(kinds), 4))
