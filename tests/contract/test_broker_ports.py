"""One suite for Publisher, TopicReader and TopicAdmin: the embedded broker and real Kafka."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from real_services import wait_until

from connectors.errors import AccessDenied, BrokerUnavailable, TopicMismatch
from connectors.kafka import client as kafka_adapter
from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from connectors.ports import GroupPosition, Record, TopicSpec
from connectors.security import Security
from models.errors import MessageError


@dataclass
class Broker:
    """Clients of one broker; `topic` exists and is this test's own."""

    address: str
    epoch: str | None
    admin: KafkaAdmin
    publisher: KafkaPublisher
    reader: KafkaReader
    topic: str

    @property
    def is_embedded(self) -> bool:
        return self.epoch is not None


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest, unique: str) -> Iterator[Broker]:
    if request.param == "embedded":
        embedded = request.getfixturevalue("embedded_broker")
        address, epoch = embedded.address, embedded.epoch
    else:
        address, epoch = request.getfixturevalue("kafka_address"), None
    clients = KafkaAdmin(address, None, epoch), KafkaPublisher(address, None, epoch), KafkaReader(address, None, epoch)
    assert clients[0].ensure([TopicSpec(unique, 4)]) == [unique]
    yield Broker(address, epoch, *clients, unique)
    clients[1].close()
    clients[2].close()
    clients[0].close()


@pytest.fixture
def kafka(request: pytest.FixtureRequest, kafka_address: str, unique: str) -> Iterator[Broker]:
    """Real Kafka, for what the embedded broker cannot do."""
    clients = KafkaAdmin(kafka_address), KafkaPublisher(kafka_address), KafkaReader(kafka_address)
    clients[0].ensure([TopicSpec(unique, 2)])
    yield Broker(kafka_address, None, *clients, unique)
    clients[1].close()
    clients[2].close()
    clients[0].close()


def test_records_come_back_as_they_were_sent(broker: Broker) -> None:
    headers = (("reason", b"none"), ("bytes", bytes(range(256))))
    broker.publisher.send(broker.topic, b'{"text": "caf\xc3\xa9"}', b"key", headers, timestamp_ms=1_700_000_000_123)
    broker.publisher.send(broker.topic, None, b"key")
    confirmed = broker.publisher.flush()
    (partition,) = {partition for _, partition, _ in confirmed}
    assert [(topic, offset) for topic, _, offset in confirmed] == [(broker.topic, 0), (broker.topic, 1)]
    first, second = broker.reader.read(broker.topic)
    assert first == Record(broker.topic, partition, 0, b"key", b'{"text": "caf\xc3\xa9"}', 1_700_000_000_123, headers)
    assert (second.key, second.value, second.headers) == (b"key", None, ())


def test_flush_tells_positions_in_send_order_and_once(broker: Broker) -> None:
    values = [f"value {number}".encode() for number in range(2_000)]
    for number, value in enumerate(values):
        broker.publisher.send(broker.topic, value, f"key {number % 17}".encode())
    confirmed = broker.publisher.flush()
    by_position = {(record.partition, record.offset): record.value for record in broker.reader.read(broker.topic)}
    assert [by_position[partition, offset] for _, partition, offset in confirmed] == values
    assert broker.publisher.flush() == []


def test_a_read_keeps_order_within_partitions_and_to_its_bounds(broker: Broker) -> None:
    for number in range(400):
        broker.publisher.send(broker.topic, str(number).encode(), str(number % 9).encode())
    broker.publisher.flush()
    offsets: dict[int, list[int]] = {}
    for record in broker.reader.read(broker.topic):
        offsets.setdefault(record.partition, []).append(record.offset)
    assert all(of_partition == list(range(len(of_partition))) for of_partition in offsets.values())
    assert sum(map(len, offsets.values())) == 400
    partition = max(offsets, key=lambda number: len(offsets[number]))
    start = {number: (10 if number == partition else 0) for number in offsets}
    end = {number: (15 if number == partition else 0) for number in offsets}
    assert [record.offset for record in broker.reader.read(broker.topic, start, end)] == list(range(10, 15))
    only = broker.reader.read(broker.topic, {partition: 7}, {partition: 9}, partitions=[partition, 77])
    assert [(record.partition, record.offset) for record in only] == [(partition, 7), (partition, 8)]
    assert list(broker.reader.read(broker.topic, partitions=[])) == []


def test_a_read_ends_where_the_topic_ended_at_the_call(broker: Broker) -> None:
    broker.publisher.send(broker.topic, b"before", b"k")
    broker.publisher.flush()
    reading = broker.reader.read(broker.topic)
    assert next(reading).value == b"before"
    broker.publisher.send(broker.topic, b"after", b"k")
    broker.publisher.flush()
    assert list(reading) == []


def test_an_empty_topic_reads_as_nothing(broker: Broker) -> None:
    assert list(broker.reader.read(broker.topic)) == []


def test_following_gives_all_then_none_then_what_arrives(broker: Broker) -> None:
    for number in range(50):
        broker.publisher.send(broker.topic, str(number).encode(), str(number).encode())
    broker.publisher.flush()
    following = broker.reader.follow(broker.topic, 0.05)
    seen = []
    for record in following:
        if record is None:
            break
        seen.append(record.value)
    assert len(seen) == 50
    broker.publisher.send(broker.topic, b"new", b"k")
    broker.publisher.flush()
    deadline = time.monotonic() + 120
    arrived = None
    while arrived is None and time.monotonic() < deadline:
        arrived = next(following)
    assert arrived is not None
    assert arrived.value == b"new"


def test_closing_a_reader_ends_a_follower_in_another_thread(broker: Broker) -> None:
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: sum(1 for record in broker.reader.follow(broker.topic, 0.05) if record))
        time.sleep(0.3)
        broker.reader.close()
        assert following.result(timeout=120) == 0


def test_offsets_and_committed_positions(broker: Broker, unique: str) -> None:
    group = f"group-{unique}"
    assert broker.admin.offsets(broker.topic) == {partition: (0, 0) for partition in range(4)}
    assert broker.admin.committed(group, broker.topic) == {}
    for number in range(40):
        broker.publisher.send(broker.topic, b"v", str(number).encode())
    broker.publisher.flush()
    bounds = broker.admin.offsets(broker.topic)
    assert sum(last - first for first, last in bounds.values()) == 40
    broker.admin.commit(group, broker.topic, {0: 1, 2: 0})
    assert broker.admin.committed(group, broker.topic) == {0: 1, 2: 0}


def test_committed_positions_of_a_real_member_are_seen(broker: Broker, unique: str) -> None:
    for _ in range(10):
        broker.publisher.send(broker.topic, b"v", b"one key")
    ((_, partition, _), *_rest) = broker.publisher.flush()
    arguments: dict[str, Any] = {"api_version": (2, 0)} if broker.is_embedded else {}
    member = KafkaConsumer(
        bootstrap_servers=broker.address,
        group_id=unique,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        **arguments,
    )
    try:
        member.assign([TopicPartition(broker.topic, partition)])
        wait_until(
            lambda: member.poll(timeout_ms=200) or member.position(TopicPartition(broker.topic, partition)) == 10
        )
        member.commit()
    finally:
        member.close()
    assert broker.admin.committed(unique, broker.topic) == {partition: 10}


def test_ensure_makes_what_is_missing_once(broker: Broker, unique: str) -> None:
    specs = [TopicSpec(broker.topic, 4), TopicSpec(f"{unique}-more", 4)]
    assert broker.admin.ensure(specs) == [f"{unique}-more"]
    assert broker.admin.ensure(specs) == []
    states = broker.admin.describe([spec.name for spec in specs] + [f"{unique}-none"])
    assert sorted(states) == sorted(spec.name for spec in specs)
    assert all((state.partitions, state.replication, state.cleanup) == (4, 1, "delete") for state in states.values())
    assert all(len(state.epoch) == 8 and int(state.epoch, 16) >= 0 for state in states.values())
    if broker.is_embedded:
        assert {state.epoch for state in states.values()} == {broker.epoch}


def test_a_position_is_committed_with_its_topics_epoch(broker: Broker, unique: str) -> None:
    assert broker.admin.commit(unique, broker.topic, {1: 7}, epoch="0a1b2c3d") == {1: 7}
    assert broker.admin.positions(unique, broker.topic) == {1: GroupPosition(7, "0a1b2c3d")}
    assert broker.admin.committed(unique, broker.topic) == {1: 7}
    assert broker.admin.members(unique) == []


@pytest.mark.kafka
def test_a_commit_says_that_it_did_nothing_where_members_run(kafka: Broker, unique: str) -> None:
    """S-A17a: it was an INFO line, and who had asked for it went on as if the position stood."""
    member = KafkaConsumer(kafka.topic, group_id=unique, bootstrap_servers=kafka.address, enable_auto_commit=False)
    try:
        # short polls may never end in a place: kafka-python 3.0.12 begins to join anew at each of them
        wait_until(lambda: member.poll(5_000) is not None and member.assignment(), what="a place in the group")
        assert kafka.admin.members(unique) == ["127.0.0.1"]
        assert kafka.admin.commit(unique, kafka.topic, {0: 3}) == {}
        assert kafka.admin.committed(unique, kafka.topic) == {}
    finally:
        member.close()


@pytest.mark.kafka
def test_settings_of_topics_are_those_in_force_and_of_topics_that_stand(kafka: Broker, unique: str) -> None:
    configs = kafka.admin.configs([kafka.topic, f"{unique}-none"])
    assert list(configs) == [kafka.topic]
    assert (configs[kafka.topic]["cleanup.policy"], configs[kafka.topic]["max.message.bytes"]) == ("delete", "1048588")
    assert kafka.topic in kafka.admin.names()


@pytest.mark.kafka
def test_a_name_that_kafka_does_not_take_is_one_short_line(kafka: Broker) -> None:
    """F-21: the whole CreateTopicsRequest stood in the message."""
    with pytest.raises(TopicMismatch, match=r"no topic named '\.'") as refused:
        kafka.admin.ensure([TopicSpec(".", 1)])
    assert len(str(refused.value)) < 150


def test_threads_may_share_a_publisher(broker: Broker) -> None:
    def send(thread: int) -> None:
        for number in range(200):
            broker.publisher.send(broker.topic, f"{thread}-{number}".encode(), b"k")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(4)))
    assert len(broker.publisher.flush()) == 800
    assert len({record.value for record in broker.reader.read(broker.topic)}) == 800


def test_a_record_above_the_clients_limit_is_that_records_error(broker: Broker) -> None:
    with pytest.raises(MessageError) as refused:
        broker.publisher.send(broker.topic, bytes(17 * 1024 * 1024))
    assert refused.value.reason == "too_large"
    broker.publisher.send(broker.topic, b"fine")
    assert len(broker.publisher.flush()) == 1


@pytest.mark.kafka
def test_other_security_than_the_brokers_is_said(kafka_address: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p")
    sasl = Security(sasl_mechanism="PLAIN", sasl_user="u", sasl_password_file=tmp_path / "password")
    with pytest.raises(AccessDenied, match="refused the credentials"):
        KafkaAdmin(kafka_address, sasl, connect_seconds=2.0)
    with pytest.raises((AccessDenied, BrokerUnavailable), match="TLS"):
        KafkaAdmin(kafka_address, Security(tls=True), connect_seconds=2.0)


@pytest.mark.parametrize("make", [KafkaAdmin, KafkaPublisher, KafkaReader])
def test_no_broker_is_one_clear_line_within_seconds(make: Callable[[str], object]) -> None:
    started = time.monotonic()
    with pytest.raises(BrokerUnavailable) as failure:
        make("127.0.0.1:9")
    assert time.monotonic() - started < 60
    assert str(failure.value) == (
        "no Kafka broker answers at 127.0.0.1:9; start one with `headrace services start` or set HEADRACE_BROKER"
    )


def test_a_port_that_says_nothing_is_given_up(unique: str) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(BrokerUnavailable, match=r"something answers at .* but not as Kafka"):
            KafkaAdmin(f"127.0.0.1:{silent.getsockname()[1]}", connect_seconds=2.0)
        assert time.monotonic() - started < 60


@pytest.mark.kafka
def test_a_topic_made_again_has_another_epoch(kafka: Broker) -> None:
    before = kafka.admin.describe([kafka.topic])[kafka.topic].epoch
    kafka.admin.delete([kafka.topic])
    wait_until(lambda: kafka.topic not in kafka.admin.describe([kafka.topic]), what="the topic's end")
    kafka.admin.ensure([TopicSpec(kafka.topic, 2)])
    after = kafka.admin.describe([kafka.topic])[kafka.topic].epoch
    assert before != after
    assert "00000000" not in (before, after)


@pytest.mark.kafka
def test_another_cleanup_policy_is_a_mismatch_that_says_what_to_do(kafka: Broker, unique: str) -> None:
    kafka.admin.ensure([TopicSpec(f"{unique}-c", 1, cleanup="compact", config={"max.message.bytes": "2000000"})])
    state = kafka.admin.describe([f"{unique}-c"])[f"{unique}-c"]
    assert (state.partitions, state.cleanup) == (1, "compact")
    with pytest.raises(TopicMismatch, match=r"cleanup\.policy=compact and needs delete; change it"):
        kafka.admin.ensure([TopicSpec(f"{unique}-c", 1)])


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_named(kafka: Broker, unique: str) -> None:
    with pytest.raises(TopicMismatch, match=f"topic {unique}-none does not exist"):
        kafka.admin.offsets(f"{unique}-none")
    with pytest.raises(TopicMismatch):
        next(kafka.reader.read(f"{unique}-none"))


@pytest.mark.kafka
def test_a_record_above_the_topics_limit_is_that_records_error(kafka: Broker, unique: str) -> None:
    kafka.publisher.send(kafka.topic, b"small", b"k")
    with pytest.raises(MessageError, match=r"exceeds .* max\.message\.bytes=1048588") as refused:
        kafka.publisher.send(kafka.topic, bytes(1_048_588), b"k")
    assert refused.value.reason == "too_large"
    kafka.publisher.send(kafka.topic, bytes(1_048_000), b"k")
    assert len(kafka.publisher.flush()) == 2
    kafka.admin.ensure([TopicSpec(f"{unique}-large", 1, config={"max.message.bytes": "2097152"})])
    kafka.publisher.send(f"{unique}-large", bytes(2_000_000))
    assert len(kafka.publisher.flush()) == 1
    assert [len(record.value or b"") for record in kafka.reader.read(f"{unique}-large")] == [2_000_000]


@pytest.mark.kafka
def test_a_publisher_goes_on_after_the_broker_refused_a_record(kafka: Broker, unique: str) -> None:
    kafka.admin.ensure([TopicSpec(f"{unique}-tiny", 1, config={"max.message.bytes": "1000"})])
    kafka.publisher.send(f"{unique}-tiny", bytes(2_000))
    with pytest.raises(MessageError, match="0 of 1 records confirmed"):
        kafka.publisher.flush()
    kafka.publisher.send(f"{unique}-tiny", b"fine")
    assert len(kafka.publisher.flush()) == 1


@pytest.mark.kafka
def test_gaps_of_transactions_at_the_end_do_not_keep_a_read_waiting(kafka: Broker, unique: str) -> None:
    producer = KafkaProducer(bootstrap_servers=kafka.address, transactional_id=unique)
    try:
        producer.init_transactions()
        for _ in range(3):
            producer.begin_transaction()
            producer.send(kafka.topic, b"in a transaction", partition=0)
            producer.commit_transaction()
    finally:
        producer.close(timeout=5)
    started = time.monotonic()
    assert [record.offset for record in kafka.reader.read(kafka.topic)] == [0, 2, 4]
    assert kafka.admin.offsets(kafka.topic)[0] == (0, 6)
    for record in kafka.reader.follow(kafka.topic, 0.05):
        if record is None:
            break
    assert time.monotonic() - started < kafka_adapter.SILENCE_SECONDS


@pytest.mark.kafka
def test_a_follower_outlives_a_topic_made_again(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_adapter, "REFRESH_SECONDS", 1.0)
    for _ in range(3):
        kafka.publisher.send(kafka.topic, b"old", b"k")
    kafka.publisher.flush()
    following = kafka.reader.follow(kafka.topic, 0.05)
    assert next(record for record in following if record).value == b"old"
    kafka.admin.delete([kafka.topic])
    wait_until(lambda: kafka.topic not in kafka.admin.describe([kafka.topic]), what="the topic's end")
    kafka.admin.ensure([TopicSpec(kafka.topic, 2)])
    publisher = KafkaPublisher(kafka.address)
    publisher.send(kafka.topic, b"new", b"k")
    publisher.flush()
    publisher.close()
    deadline = time.monotonic() + 120
    values: list[bytes | None] = []
    while b"new" not in values and time.monotonic() < deadline:
        if (record := next(following)) is not None:
            values.append(record.value)
    assert b"new" in values
