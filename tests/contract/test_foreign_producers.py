"""What other people's producers leave in a topic: compressed batches, transactions and their marks, on real Kafka."""

import time
from collections.abc import Iterator
from itertools import islice

import pytest
from confluent_kafka import Producer
from kafka import KafkaProducer
from raw_header_name import raw_name

from connectors.kafka.client import KafkaAdmin, KafkaReader
from connectors.ports import TopicSpec

pytestmark = pytest.mark.kafka
CODECS = ("gzip", "snappy", "lz4", "zstd")


@pytest.fixture
def topic(kafka_address: str, unique: str) -> str:
    """One partition, so that what is written stands in one order."""
    admin = KafkaAdmin(kafka_address)
    admin.ensure([TopicSpec(unique, 1)])
    admin.close()
    return unique


@pytest.fixture
def reader(kafka_address: str) -> Iterator[KafkaReader]:
    made = KafkaReader(kafka_address)
    yield made
    made.close()


@pytest.fixture
def admin(kafka_address: str) -> Iterator[KafkaAdmin]:
    made = KafkaAdmin(kafka_address)
    yield made
    made.close()


def send(producer: Producer, topic: str, *values: str) -> None:
    for value in values:
        producer.produce(topic, value.encode())
    assert producer.flush(30) == 0


def transactional(kafka_address: str, name: str) -> Producer:
    producer = Producer({"bootstrap.servers": kafka_address, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    return producer


@pytest.mark.parametrize("codec", CODECS)
def test_a_topic_compressed_by_its_producer_is_read(
    kafka_address: str, topic: str, reader: KafkaReader, codec: str
) -> None:
    """F-1 to F-3, F-5, F-6: a replay of a snappy, lz4 or zstd topic ended in "Kafka refused a request:
    UnsupportedCodecError"; gzip was read."""
    sent = [f"the parcel {number} has not arrived" * 20 for number in range(60)]
    producer = Producer({"bootstrap.servers": kafka_address, "compression.type": codec, "linger.ms": 50})
    send(producer, topic, *sent)
    assert [record.value for record in reader.read(topic)] == [value.encode() for value in sent]


def test_a_topic_that_the_broker_compresses_is_read(kafka_address: str, reader: KafkaReader, unique: str) -> None:
    """F-4: `compression.type=zstd` of the topic compresses what came plain."""
    admin = KafkaAdmin(kafka_address)
    admin.ensure([TopicSpec(unique, 1, config={"compression.type": "zstd"})])
    admin.close()
    send(Producer({"bootstrap.servers": kafka_address}), unique, *["where is my parcel" * 20] * 60)
    assert len(list(reader.read(unique))) == 60


def test_only_what_a_transaction_committed_is_read(
    kafka_address: str, topic: str, reader: KafkaReader, admin: KafkaAdmin
) -> None:
    """F-8, F-9: aborted records and those of an open transaction were replayed as if they had been said; a topic that
    ends in a control record ends all the same."""
    committed = transactional(kafka_address, f"{topic}-a")
    send(committed, topic, "committed")
    committed.commit_transaction(30)
    aborted = transactional(kafka_address, f"{topic}-b")
    send(aborted, topic, "aborted")
    aborted.abort_transaction(30)
    started = time.monotonic()
    assert [record.value for record in reader.read(topic)] == [b"committed"]
    assert time.monotonic() - started < 60
    assert admin.readable_offsets(topic) == admin.offsets(topic) == {0: (0, 4)}  # two records, two control records


def test_a_read_ends_before_an_open_transaction_and_goes_on_when_it_is_committed(
    kafka_address: str, topic: str, reader: KafkaReader, admin: KafkaAdmin
) -> None:
    """F-8: what stands after the first record of an open transaction is not stable yet, even where it belongs to
    nobody's transaction."""
    send(Producer({"bootstrap.servers": kafka_address}), topic, "before")
    hanging = transactional(kafka_address, f"{topic}-c")
    send(hanging, topic, "open")
    send(Producer({"bootstrap.servers": kafka_address}), topic, "after")
    assert admin.readable_offsets(topic) == {0: (0, 1)}
    assert admin.offsets(topic) == {0: (0, 3)}
    assert [record.value for record in reader.read(topic)] == [b"before"]
    following = reader.follow(topic)
    assert [record.value if record else None for record in islice(following, 2)] == [b"before", None]
    hanging.commit_transaction(30)
    heard = (record.value for record in following if record is not None)
    assert list(islice(heard, 2)) == [b"open", b"after"]
    assert [record.value for record in reader.read(topic)] == [b"before", b"open", b"after"]


def test_a_record_whose_header_name_is_no_utf_8_is_read(kafka_address: str, topic: str, reader: KafkaReader) -> None:
    """No broker looks at a header's name. kafka-python ended in CorruptRecordError for such a record: a replay, a
    monitor, a list of dead letters."""
    producer = KafkaProducer(bootstrap_servers=kafka_address, compression_type="gzip", linger_ms=50)
    for number, name in enumerate((b"plain", b"\xff\xfe", b"last")):
        producer.send(topic, b"%d" % number, headers=[(raw_name(name), b"content")])
    producer.close()
    assert [(record.value, record.headers) for record in reader.read(topic)] == [
        (b"0", (("plain", b"content"),)),
        (b"1", (("\\xff\\xfe", b"content"),)),
        (b"2", (("last", b"content"),)),
    ]
