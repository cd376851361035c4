"""Records that nobody should send, through a real worker on real Kafka: it lives, and none is missing."""

import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer
from real_services import services_cache

from bench.faults.hostile import KINDS, hostile_records
from bench.faults.ledger import Source
from bench.faults.processes import HeadraceProcess
from bench.faults.releases import ReleaseShelf
from bench.faults.scene import Ground
from bench.faults.traffic import Positions, TopicFollower, source_of
from bench.faults.waiting import wait_until
from connectors.deadletters import read_origin
from connectors.kafka.client import KafkaAdmin
from connectors.ports import TopicSpec
from headrace.wiring import group_name
from streams.application import Application
from streams.topics import DEAD_LETTERS_TOPIC

PARTITIONS = 4
WAITING_BYTES = 64 * 1024 * 1024  # of the producer
DECIDED_SECONDS_EACH = 0.02  # a fiftieth of a second for each record, on a machine that is busy; and a minute
SLACK_SECONDS = 60.0


class HostileRun:
    """A worker of an application of its own, hostile records in its topic, and what became of each."""

    def __init__(self, ground: Ground, kafka_address: str) -> None:
        self.config = {"bootstrap.servers": kafka_address}
        self.name = f"h{uuid.uuid4().hex[:8]}"
        self.topic = f"{self.name}.events"
        self.decided: Counter[Source] = Counter()
        self.letters: dict[Source, str] = {}
        self.bad: list[bytes] = []
        ground.folder.mkdir(parents=True)
        ReleaseShelf(ground.folder / "registry", self.name, ground.manifest, ground.blobs)
        admin = KafkaAdmin(kafka_address)
        admin.ensure([TopicSpec(self.topic, PARTITIONS)])
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

    def send(self, count: int, seed: int) -> dict[Source, str]:
        """Every record, confirmed: where it stands, and of which kind it is."""
        places: dict[Source, str] = {}
        refused: list[str] = []
        producer = Producer(
            {
                **self.config,
                "message.max.bytes": 2_000_000,
                "queue.buffering.max.kbytes": WAITING_BYTES // 1024,
                "linger.ms": 20,
            }
        )
        for kind, value in hostile_records(count, seed):

            def delivered(error: Any, message: Any, kind: str = kind) -> None:
                if error is not None:
                    refused.append(f"{kind}: {error}")
                else:
                    places[message.partition(), message.offset()] = kind

            while True:
                try:
                    producer.produce(
                        self.topic,
                        value,
                        key=b"\xff\x00" if len(places) % 7 else None,
                        on_delivery=delivered,
                        partition=len(places) % PARTITIONS,
                    )
                    break
                except BufferError:
                    producer.poll(0.5)
            producer.poll(0)
        producer.flush(120.0)
        assert not refused, refused[:3]
        assert len(places) == count
        return places

    def hear_decision(self, message: Any) -> None:
        """Called for each record of the decisions topic."""
        decision = orjson.loads(message.value())
        message.value().decode("utf-8")
        self.decided[source_of(decision["id"], self.epoch)] += 1

    def hear_letter(self, message: Any) -> None:
        """Called for each dead letter, also those of others."""
        origin = read_origin(message.headers() or [])
        if origin.topic == self.topic:
            self.letters[origin.partition, origin.offset] = origin.reason


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
        ends = positions.ends(run.topic, PARTITIONS)

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
    missing = places.keys() - run.decided.keys() - run.letters.keys()
    assert not missing, Counter(places[each] for each in missing)
    assert not run.decided.keys() & run.letters.keys()
    assert set(run.decided.values()) == {1}
    assert {places[each] for each in run.decided} >= {"good", "every plane", "lone surrogate", "markup", "many fields"}
    assert all(run.letters.get(place) is None for place, kind in places.items() if kind == "good")
    reasons = Counter(run.letters.values())
    assert set(reasons) >= {"not_json", "not_utf8", "no_text", "empty_text", "tombstone"}, reasons
    assert "model_error" not in reasons
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


def test_the_generator_makes_every_kind_and_the_same_for_the_same_seed() -> None:
    made = list(hostile_records(2 * len(KINDS), 3))
    assert [kind for kind, _ in made] == [*KINDS, *KINDS]
    assert made == list(hostile_records(2 * len(KINDS), 3)) != list(hostile_records(2 * len(KINDS), 4))
