"""How records get into a topic: in any codec, plain or in a transaction that is committed, aborted, or left open."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice, product
from typing import Any, Final

from confluent_kafka import Producer

from bench.faults.hostile.shapes import PASSED_OVER, HostileRecord
from bench.faults.ledger import Source

CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
PLAIN, COMMITTED, ABORTED = "plain", "committed", "aborted"
WAYS: Final = (PLAIN, PLAIN, COMMITTED, ABORTED)
CHUNK_RECORDS: Final = 25  # sent in one way and codec, a transaction for each where it is one
UNCOMPRESSED_MAX_BYTES: Final = 900_000  # a larger one only passes a topic's limit in a codec
OPEN_SECONDS: Final = 600.0  # the broker gives up a transaction after so long
CONFIRM_SECONDS: Final = 120.0

Sent = dict[Source, HostileRecord]


class HostileSender:
    """Sends to one topic, its partitions in turn, and knows where each record stands. name: of the transactions."""

    def __init__(self, config: Mapping[str, Any], topic: str, partitions: int, name: str) -> None:
        self._config, self._topic, self._name = dict(config), topic, name
        self._partitions = cycle(range(partitions))
        self._methods = cycle(product(WAYS, CODECS))
        self._producers: dict[tuple[str, bool], Producer] = {}

    def send(self, records: Iterable[HostileRecord]) -> Sent:
        """Every record, confirmed. What an aborted transaction held must be passed over, whatever it says."""
        sent: Sent = {}
        left = iter(records)
        while chunk := list(islice(left, CHUNK_RECORDS)):
            way, codec = next(self._methods)
            if any(len(record.value or b"") > UNCOMPRESSED_MAX_BYTES for record in chunk):
                codec = "gzip"
            if way == PLAIN:
                sent |= self._produce(self._producer(codec, in_transactions=False), chunk)
                continue
            producer = self._producer(codec, in_transactions=True)
            producer.begin_transaction()
            chunk_sent = self._produce(producer, chunk)
            if way == COMMITTED:
                producer.commit_transaction(CONFIRM_SECONDS)
                sent |= chunk_sent
            else:
                producer.abort_transaction(CONFIRM_SECONDS)
                sent |= {
                    place: replace(record, verdict=PASSED_OVER, kind=f"{record.kind}, aborted")
                    for place, record in chunk_sent.items()
                }
        return sent

    @contextmanager
    def open_transaction(self, records: Sequence[HostileRecord]) -> Iterator[Sent]:
        """These stand in a transaction that stays open within the `with` block, and is committed at its end."""
        producer = self._make("zstd", f"{self._name}-open")
        producer.begin_transaction()
        yield self._produce(producer, records)
        producer.commit_transaction(CONFIRM_SECONDS)

    def _produce(self, producer: Producer, records: Iterable[HostileRecord]) -> Sent:
        sent: Sent = {}
        refused: list[str] = []

        def on_delivery(record: HostileRecord) -> Callable[[Any, Any], None]:
            def delivered(error: Any, message: Any) -> None:
                if error is not None:
                    refused.append(f"{record.kind}: {error}")
                else:
                    sent[message.partition(), message.offset()] = record

            return delivered

        for record in records:
            producer.produce(
                self._topic,
                record.value,
                key=record.key,
                on_delivery=on_delivery(record),
                partition=next(self._partitions),
                timestamp=record.timestamp_ms or 0,
                headers=list(record.headers),
            )
            producer.poll(0)
        if producer.flush(CONFIRM_SECONDS) or refused:
            raise RuntimeError(f"the broker did not take all hostile records: {refused[:3]}")
        return sent

    def _producer(self, codec: str, *, in_transactions: bool) -> Producer:
        if (codec, in_transactions) not in self._producers:
            name = f"{self._name}-{codec}" if in_transactions else None
            self._producers[codec, in_transactions] = self._make(codec, name)
        return self._producers[codec, in_transactions]

    def _make(self, codec: str, transactional_id: str | None) -> Producer:
        config = {**self._config, "compression.type": codec, "message.max.bytes": 4_000_000, "linger.ms": 5}
        if transactional_id is None:
            return Producer(config)
        config |= {"transactional.id": transactional_id, "transaction.timeout.ms": int(OPEN_SECONDS * 1_000)}
        producer = Producer(config)
        producer.init_transactions(CONFIRM_SECONDS)
        return producer
