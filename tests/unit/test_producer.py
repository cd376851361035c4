"""The producer's errors one by one, and how one refused record is told from its neighbours, on a client of ours."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    NotEnoughReplicasError,
    TopicAuthorizationFailedError,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from connectors.errors import AccessDenied, BrokerUnavailable
from streams.engine.delivery import OutRecord, RecordsRefused
from streams.faust_runtime.producer import BATCH_BYTES, Producer

Answer = Callable[[str, Sequence[bytes]], Exception | None]


class RecordedBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka is untyped here
    """The client's own, which remembers what went into it."""

    def __init__(self) -> None:
        super().__init__(BATCH_BYTES, 0)
        self.values: list[bytes] = []

    def append(self, **record: Any) -> Any:
        taken = super().append(**record)
        if taken is not None:
            self.values.append(record["value"])
        return taken


class Client:
    """As much of aiokafka's producer as is used. answer: what the broker says to a batch for a topic, by its values."""

    def __init__(self, answer: Answer, partitions: set[int] | None, available: set[int] | None) -> None:
        self._answer, self._partitions, self.log = answer, partitions, list[bytes]()
        self._metadata = self
        self._available = available

    async def partitions_for(self, topic: str) -> set[int] | None:
        return self._partitions

    def available_partitions_for_topic(self, topic: str) -> set[int] | None:
        return self._available

    def _partitioner(self, key: bytes | None, partitions: Sequence[int], available: Sequence[int]) -> int:
        return sorted(available)[0] if key is None else partitions[hash(key) % len(partitions)]

    def create_batch(self) -> RecordedBatch:
        return RecordedBatch()

    async def send_batch(self, batch: RecordedBatch, topic: str, *, partition: int) -> "asyncio.Future[None]":
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        error = self._answer(topic, batch.values)
        if error is None:
            self.log += batch.values
            done.set_result(None)
        else:
            done.set_exception(error)
        return done


class App:
    def __init__(self, client: Client) -> None:
        self.producer = self
        self._client = client

    def _ensure_producer(self) -> Client:
        return self._client


def producer(
    answer: Answer = lambda topic, values: None,
    partitions: set[int] | None = frozenset({0}),  # type: ignore[assignment]
    available: set[int] | None = frozenset({0}),  # type: ignore[assignment]
) -> tuple[Producer, Client]:
    client = Client(answer, partitions, available)
    return Producer(App(client)), client  # type: ignore[arg-type]


def record(value: bytes, topic: str = "out", **more: Any) -> OutRecord:
    return OutRecord(topic, more.pop("key", b"k"), value, **more)


def refuses(bad: Callable[[bytes], bool], error: Callable[[], KafkaError]) -> Answer:
    return lambda topic, values: error() if any(map(bad, values)) else None


def test_one_record_that_the_topic_does_not_take_is_told_and_all_others_are_sent_in_order() -> None:
    """D-A1, S-A6: one too large record kept its whole batch back for 60 s and then ended the worker, for ever."""
    sent, client = producer(refuses(lambda value: len(value) > 9_000, MessageSizeTooLargeError))
    records = [record(b"x" * 10_000 if n in (3, 17, 40) else str(n).encode()) for n in range(41)]
    with pytest.raises(RecordsRefused) as refused:
        asyncio.run(sent.send_all(records))
    assert [refusal.record for refusal in refused.value.refusals] == [records[3], records[17], records[40]]
    assert {refusal.error.reason for refusal in refused.value.refusals} == {"too_large"}
    assert client.log == [str(n).encode() for n in range(41) if n not in (3, 17, 40)]


def test_small_records_pass_where_the_topic_takes_less_than_a_batch_of_ours() -> None:
    def answer(topic: str, values: Sequence[bytes]) -> Exception | None:
        return MessageSizeTooLargeError() if sum(map(len, values)) > 1_000 else None

    sent, client = producer(answer)
    values = [f"{n:4}".encode() * 50 for n in range(40)]
    asyncio.run(sent.send_all([record(value) for value in values]))
    assert client.log == values


def test_a_record_that_is_refused_for_its_content_is_told_as_refused() -> None:
    sent, _ = producer(refuses(lambda value: value == b"odd", InvalidTimestampError))
    with pytest.raises(RecordsRefused) as refused:
        asyncio.run(sent.send_all([record(b"even"), record(b"odd")]))
    assert [refusal.error.reason for refusal in refused.value.refusals] == ["refused"]


def test_missing_rights_are_told_at_once() -> None:
    """S-A6: missing rights were "the broker did not confirm", retried for 60 s."""
    sent, _ = producer(lambda topic, values: TopicAuthorizationFailedError(topic))
    with pytest.raises(AccessDenied, match="ACLs"):
        asyncio.run(sent.send_all([record(b"x")]))


def test_what_may_pass_is_retriable() -> None:
    sent, _ = producer(lambda topic, values: NotEnoughReplicasError())
    with pytest.raises(BrokerUnavailable):
        asyncio.run(sent.send_all([record(b"x")]))


@pytest.mark.parametrize("available", [None, set()])
def test_a_topic_without_a_leader_just_now_waits_in_the_client(available: set[int] | None) -> None:
    """S, private internals: `available_partitions_for_topic` gives None while the topic is unknown: a TypeError ended
    the role."""
    sent, client = producer(available=available)
    asyncio.run(sent.send_all([record(b"x", key=None)]))
    assert client.log == [b"x"]


def test_a_topic_whose_partitions_are_not_known_is_tried_again() -> None:
    sent, _ = producer(partitions=None)
    with pytest.raises(BrokerUnavailable, match="names no partition of out"):
        asyncio.run(sent.send_all([record(b"x")]))


@pytest.mark.parametrize(
    "odd",
    [
        OutRecord("out", b"k", "no bytes"),  # type: ignore[arg-type]
        OutRecord("out", b"k", b"x", [("lone \ud800", b"")]),
        OutRecord("out", b"k", b"x", [("name", "no bytes")]),  # type: ignore[list-item]
    ],
)
def test_a_record_that_cannot_be_encoded_is_refused_and_its_batch_is_whole(odd: OutRecord) -> None:
    sent, client = producer()
    with pytest.raises(RecordsRefused) as refused:
        asyncio.run(sent.send_all([record(b"before"), odd, record(b"after")]))
    assert [refusal.record for refusal in refused.value.refusals] == [odd]
    assert client.log == [b"before", b"after"]
