"""Kafka through kafka-python: publisher, reader and admin, on real Kafka and on the embedded broker.

The embedded broker answers the version negotiation with an error, creates topics on first use and knows no topic ids:
`embedded_epoch` (its random value of this start) switches to what it can do.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from connectors.errors import AccessDenied, BrokerUnavailable, TopicMismatch
from connectors.kafka.admin import DEFAULT_MAX_RECORD_BYTES, KafkaAdmin
from connectors.kafka.connection import CONNECT_SECONDS, Connection
from connectors.kafka.errors import translate, translated
from connectors.ports import Record
from connectors.security import Security
from models.errors import MessageError

__all__ = ["KafkaAdmin", "KafkaPublisher", "KafkaReader"]

log = logging.getLogger(__name__)

# Between records of one read, or until a follower has caught up: a broker that says nothing for so long is gone.
SILENCE_SECONDS = 30.0
# How often a follower that has nothing to do looks for new partitions, and for a topic that was made again.
REFRESH_SECONDS = 10.0
POLL_RECORDS = 2_000
FIRST_POLL_SECONDS = 0.02  # the client fetches when it is polled again after it has heard who leads the partitions
# The broker's and the topic's limits decide; the client's own must not be in the way of a dead letter.
MAX_REQUEST_BYTES = 16 * 1024 * 1024
# Up to here no topic's limit is asked for; kafka-python does not survive a record that the broker refuses.
SMALL_RECORD_BYTES = 64 * 1024
RECORD_FRAME_BYTES = 128


class KafkaPublisher:
    """The Publisher port. Idempotent producer, acks from all in-sync replicas; safe to use from several threads."""

    def __init__(
        self,
        address: str,
        security: Security | None = None,
        embedded_epoch: str | None = None,
        *,
        linger_ms: int = 5,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._connection = Connection(address, security, embedded_epoch, connect_seconds)
        self._address = self._connection.address
        self._linger_ms = linger_ms
        self._lock = threading.Lock()
        self._pending: list[Any] = []
        self._limits: dict[str, int] = {}
        self._producer: Any = self._make_producer()

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue one record; see the port. Raises MessageError for one that the topic's limit would refuse."""
        headers = list(headers)
        size = len(value or b"") + len(key or b"") + sum(len(name) + len(content) for name, content in headers)
        if size > SMALL_RECORD_BYTES:
            self._refuse_above_limit(topic, size + RECORD_FRAME_BYTES + 10 * len(headers))
        with translated(self._address):
            future = self._producer.send(topic, value, key=key, headers=headers, timestamp_ms=timestamp_ms)
        with self._lock:
            self._pending.append(future)

    def flush(self, timeout_seconds: float = SILENCE_SECONDS) -> list[tuple[str, int, int]]:
        """See the port. Where a record was refused: its error, after all others were confirmed or refused."""
        with self._lock:
            pending, self._pending = self._pending, []
        try:
            self._producer.flush(timeout_seconds)
        except KafkaTimeoutError as error:
            confirmed = sum(1 for future in pending if future.succeeded())
            raise BrokerUnavailable(
                f"Kafka at {self._address} confirmed {confirmed} of {len(pending)} records within "
                f"{timeout_seconds:.0f} s"
            ) from error
        failures = [future.exception for future in pending if future.failed()]
        if failures:
            self._renew()
            refusal = translate(failures[0], self._address)
            text = f"{len(pending) - len(failures)} of {len(pending)} records confirmed; {refusal}"
            raise MessageError(refusal.reason, text) if isinstance(refusal, MessageError) else type(refusal)(text)
        metadata = [future.value for future in pending]
        return [(record.topic, record.partition, record.offset) for record in metadata]

    def close(self) -> None:
        """Flush for a few seconds and release connections."""
        _close_producer(self._producer, 5.0)

    def _make_producer(self) -> Any:
        return self._connection.make(
            KafkaProducer,
            acks="all",
            linger_ms=self._linger_ms,
            batch_size=64 * 1024,
            max_request_size=MAX_REQUEST_BYTES,
            max_block_ms=int(CONNECT_SECONDS * 1_000),
            delivery_timeout_ms=int(SILENCE_SECONDS * 1_000),
        )

    def _renew(self) -> None:
        """After a refusal kafka-python's idempotent producer fails every record to come: a new one takes its place."""
        broken = self._producer
        self._producer = self._make_producer()
        _close_producer(broken, 0.0)

    def _refuse_above_limit(self, topic: str, size: int) -> None:
        if topic not in self._limits:
            self._limits[topic] = self._topic_limit(topic)
        if size > self._limits[topic]:
            raise MessageError(
                "too_large",
                f"record of {size} bytes exceeds {topic}'s max.message.bytes={self._limits[topic]}; raise it or "
                f"cut the text",
            )

    def _topic_limit(self, topic: str) -> int:
        if self._connection.embedded_epoch is not None:
            return MAX_REQUEST_BYTES
        admin = KafkaAdmin(self._address, self._connection.security)
        try:
            return admin.max_record_bytes(topic)
        except AccessDenied:  # a publisher need not have the right to see settings
            return DEFAULT_MAX_RECORD_BYTES
        finally:
            admin.close()


class KafkaReader:
    """The TopicReader port: a consumer without a group for each call, so that calls may run in several threads."""

    def __init__(
        self,
        address: str,
        security: Security | None = None,
        embedded_epoch: str | None = None,
        *,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._connection = Connection(address, security, embedded_epoch, connect_seconds)
        self._address = self._connection.address
        self._admin = KafkaAdmin(address, security, embedded_epoch, connect_seconds=connect_seconds)
        self._closed = threading.Event()

    def read(
        self,
        topic: str,
        start: Mapping[int, int] | None = None,
        end: Mapping[int, int] | None = None,
        partitions: Collection[int] | None = None,
    ) -> Iterator[Record]:
        """See the port. A start below the oldest record begins at the oldest. Raises BrokerUnavailable after 30 s of
        silence before the end, TopicMismatch where the topic is not there."""
        standing = self._admin.readable_offsets(topic)
        bounds = {p: offsets for p, offsets in standing.items() if partitions is None or p in partitions}
        ends = {p: min((end or {}).get(p, last), last) for p, (_, last) in bounds.items()}
        starts = {p: max((start or {}).get(p, first), first) for p, (first, _) in bounds.items()}
        left = {TopicPartition(topic, p): ends[p] for p in bounds if starts[p] < ends[p]}
        if not left:
            return
        with self._consumer(starts, list(left)) as consumer:
            silent_since, before = time.monotonic(), dict(starts)
            while left and not self._closed.is_set():
                for record in self._poll(consumer, 0.5):
                    if record.offset < ends[record.partition]:
                        yield record
                positions = self._positions(consumer, list(left))
                if positions != before:  # at times without a record: compaction and transactions leave gaps
                    silent_since, before = time.monotonic(), positions
                elif time.monotonic() - silent_since > SILENCE_SECONDS:
                    raise BrokerUnavailable(
                        f"Kafka at {self._address} sent nothing of {topic} for {SILENCE_SECONDS:.0f} s before its end"
                    )
                for tp in [tp for tp, last in left.items() if positions[tp.partition] >= last]:
                    del left[tp]
                    consumer.pause(tp)

    def follow(self, topic: str, poll_seconds: float = 0.2) -> Iterator[Record | None]:
        """See the port. None comes once all that stood at the call has been given, and after every empty poll from
        then on. A broker that goes away later is waited for; before that moment it raises BrokerUnavailable. A topic
        that was made again is read from its beginning."""
        while not self._closed.is_set():
            try:
                yield from self._follow(topic, poll_seconds)
            except Exception:
                if not self._closed.is_set():  # else it was asked through a connection that is released: the end
                    raise

    def _follow(self, topic: str, poll_seconds: float) -> Iterator[Record | None]:
        """Follow until closed or until the topic is another one under the same name."""
        epoch, bounds = self._stand(topic)
        partitions = [TopicPartition(topic, p) for p in bounds]
        first_poll_seconds = min(poll_seconds, FIRST_POLL_SECONDS)
        with self._consumer({p: first for p, (first, _) in bounds.items()}, partitions) as consumer:
            caught_up, silent_since, looked = False, time.monotonic(), time.monotonic()
            while not self._closed.is_set():
                if not caught_up:  # looked at before each poll: who waits for this must not wait for an empty one too
                    positions = self._positions(consumer, partitions)
                    caught_up = all(positions[p] >= last for p, (_, last) in bounds.items())
                    if caught_up:
                        yield None
                    elif time.monotonic() - silent_since > SILENCE_SECONDS:
                        raise BrokerUnavailable(f"Kafka at {self._address} sent nothing of {topic} before its end")
                empty = True
                for record in self._poll(consumer, poll_seconds if caught_up else first_poll_seconds):
                    empty, silent_since = False, time.monotonic()
                    yield record
                if not empty:
                    continue
                if caught_up:
                    yield None
                if time.monotonic() - looked > REFRESH_SECONDS:
                    looked = time.monotonic()
                    if not self._is_same(consumer, topic, epoch):
                        return

    def close(self) -> None:
        """See the port."""
        self._closed.set()
        self._admin.close()

    @contextlib.contextmanager
    def _consumer(self, starts: Mapping[int, int], partitions: Sequence[TopicPartition]) -> Iterator[Any]:
        consumer: Any = self._connection.make(
            KafkaConsumer,
            group_id=None,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",  # of a topic that was made again; `read` keeps to what stood at the call
            max_poll_records=POLL_RECORDS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        try:
            consumer.assign(list(partitions))
            for tp in partitions:
                consumer.seek(tp, starts[tp.partition])
            yield consumer
        finally:
            with contextlib.suppress(
                Exception
            ):  # the work is done; a broker that is gone must not turn it into an error
                consumer.close(autocommit=False, timeout_ms=2_000)

    def _poll(self, consumer: Any, seconds: float) -> Iterator[Record]:
        with translated(self._address):
            batches = consumer.poll(timeout_ms=int(seconds * 1_000))
        for records in batches.values():
            for r in records:
                yield Record(r.topic, r.partition, r.offset, r.key, r.value, r.timestamp, tuple(r.headers))

    def _positions(self, consumer: Any, partitions: Sequence[TopicPartition]) -> dict[int, int]:
        with translated(self._address):
            return {tp.partition: consumer.position(tp, timeout_ms=1_000) or 0 for tp in partitions}

    def _stand(self, topic: str) -> tuple[str, dict[int, tuple[int, int]]]:
        """The topic's epoch and its partitions' bounds."""
        bounds = self._admin.readable_offsets(topic)
        return self._admin.describe([topic])[topic].epoch, bounds

    def _is_same(self, consumer: Any, topic: str, epoch: str) -> bool:
        """Whether the topic is still the one that is followed; takes partitions in that were added to it."""
        try:
            now, bounds = self._stand(topic)
        except (BrokerUnavailable, TopicMismatch, KeyError) as error:
            log.warning("following %s: %s; waiting for it", topic, error)
            return True
        if now != epoch:
            log.warning(
                "topic %s was made again (epoch %s, before %s): following it from its beginning", topic, now, epoch
            )
            return False
        known = consumer.assignment()
        new = [tp for p in bounds if (tp := TopicPartition(topic, p)) not in known]
        if new:
            places = {tp: position for tp in known if (position := consumer.position(tp, timeout_ms=1_000)) is not None}
            consumer.assign([*known, *new])
            for tp in [*known, *new]:
                consumer.seek(tp, places.get(tp, bounds[tp.partition][0]))
        return True


def _close_producer(producer: Any, seconds: float) -> None:
    try:
        producer.close(timeout=seconds)
    except KafkaTimeoutError:
        if seconds:
            log.warning("records were not confirmed before the producer was closed")
        producer._sender.force_close()  # what close(timeout) does where its own flush did not run out
