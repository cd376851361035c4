"""The producer against a real broker: what it refuses is told record by record, and nothing else is kept back."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors.kafka.client import KafkaAdmin, KafkaReader
from connectors.ports import TopicSpec
from streams.engine.delivery import OutRecord, RecordsRefused, Refusal
from streams.faust_runtime.app import make_app
from streams.faust_runtime.producer import Producer

pytestmark = pytest.mark.kafka


def send(kafka_address: str, folder: Path, records: Sequence[OutRecord]) -> Sequence[Refusal]:
    """Send through a Faust app's producer; returns what was refused."""

    async def scenario() -> Sequence[Refusal]:
        app = make_app("test-producer", f"kafka://{kafka_address}", folder=folder)
        await app.producer.start()
        try:
            await Producer(app).send_all(records)
        except RecordsRefused as error:
            return error.refusals
        finally:
            await app.producer.stop()
        return ()

    return asyncio.run(scenario())


def make_topic(kafka_address: str, name: str, **config: str) -> None:
    admin = KafkaAdmin(kafka_address)
    cleanup = config.pop("cleanup", "delete")
    admin.ensure(
        [TopicSpec(name, 1, cleanup=cleanup, config={key.replace("_", "."): value for key, value in config.items()})]
    )
    admin.close()


def values_in(kafka_address: str, topic: str) -> list[bytes | None]:
    reader = KafkaReader(kafka_address)
    try:
        return [record.value for record in reader.read(topic)]
    finally:
        reader.close()


def test_records_above_the_topics_limit_are_told_and_the_others_are_in_it_in_order(
    kafka_address: str, unique: str, tmp_path: Path
) -> None:
    """D-A1: "the broker did not confirm 2 records: MessageSizeTooLargeError(); trying again", then the worker ended."""
    make_topic(kafka_address, unique, max_message_bytes="20000")
    records = [OutRecord(unique, b"k", b"x" * 30_000 if n in (2, 7) else f"{n}".encode() * 1_000) for n in range(40)]
    refusals = send(kafka_address, tmp_path, records)
    assert [refusal.record for refusal in refusals] == [records[2], records[7]]
    assert {refusal.error.reason for refusal in refusals} == {"too_large"}
    assert values_in(kafka_address, unique) == [record.value for n, record in enumerate(records) if n not in (2, 7)]


def test_a_record_without_a_key_is_refused_by_a_compacted_topic_and_its_neighbours_are_not(
    kafka_address: str, unique: str, tmp_path: Path
) -> None:
    """The broker says "invalid record" (87), which this client knows as an unknown error only."""
    make_topic(kafka_address, unique, cleanup="compact")
    records = [OutRecord(unique, key, b"v") for key in (b"a", None, b"b")]
    (refusal,) = send(kafka_address, tmp_path, records)
    assert refusal.record is records[1] and refusal.error.reason == "refused"
    assert len(values_in(kafka_address, unique)) == 2


def test_a_record_of_megabytes_passes_where_the_topic_takes_it(kafka_address: str, unique: str, tmp_path: Path) -> None:
    make_topic(kafka_address, unique, max_message_bytes="3000000")
    assert (
        send(kafka_address, tmp_path, [OutRecord(unique, b"k", b"x" * 2_500_000), OutRecord(unique, b"k", b"y")]) == ()
    )
    assert len(values_in(kafka_address, unique)) == 2
