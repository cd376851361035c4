"""What clients do and see: a paced producer, readers of decisions and alerts, looks at positions."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

from bench.faults.ledger import Decided, Ledger, Sent, Source
from bench.faults.waiting import wait_until

ASK_SECONDS = 10.0
PATIENCE_SECONDS = 90.0  # a question is asked again for so long: a broker may be down
CONFIRM_SECONDS = 300.0
READ_RECORDS = 500

Config = Mapping[str, Any]
T = TypeVar("T")


class Loader:
    """Sends texts with keys at a steady rate, from a thread of its own. Only what the broker confirms goes to the
    ledger."""

    def __init__(
        self,
        config: Config,
        topic: str,
        texts: Sequence[str],
        ledger: Ledger,
        *,
        keys: int,
        per_second: float,
        seed: int,
    ) -> None:
        # idempotent: a retry neither doubles nor reorders, so the log's order is the order of sending
        self._producer = Producer(
            {**config, "enable.idempotence": True, "linger.ms": 2, "message.timeout.ms": int(CONFIRM_SECONDS * 1000)}
        )
        self._topic, self._texts, self._ledger = topic, texts, ledger
        self._keys = [f"customer-{number}" for number in range(keys)]
        self._pause = 1.0 / per_second
        self._rng = random.Random(seed)
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self.refused: list[str] = []

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; returns when everything is confirmed or refused."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._producer.flush(CONFIRM_SECONDS)

    def send_to_each(self, partitions: int, events: int) -> None:
        """Now, and confirmed: `events` events into every partition, under keys of their own."""
        for partition in range(partitions):
            for _ in range(events):
                self._send(f"last-{partition}", partition)
        self._producer.flush(CONFIRM_SECONDS)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopping.is_set():
            self._send(self._rng.choice(self._keys))
            due = max(
                due + self._pause, time.monotonic() - 1.0
            )  # what a slow second lost is caught up, a slow minute is not
            while (left := due - time.monotonic()) > 0 and not self._stopping.is_set():
                self._producer.poll(left)
            self._producer.poll(0)

    def _send(self, key: str, partition: int | None = None) -> None:
        number = next(self._numbers)
        value = orjson.dumps({"text": f"{self._texts[number % len(self._texts)]} {number}", "number": number})

        def delivered(error: Any, message: Message) -> None:
            if error is not None:
                self.refused.append(str(error))
            else:
                self._ledger.append(Sent(_place(message), key, time.monotonic()))

        place = -1 if partition is None else partition  # -1: by the key
        while True:
            try:
                return self._producer.produce(self._topic, value, key.encode(), place, on_delivery=delivered)
            except BufferError:
                self._producer.poll(0.5)


class TopicFollower:
    """Reads a topic from its beginning, in a thread of its own, outside any group."""

    def __init__(self, config: Config, topic: str, partitions: int, hear: Callable[[Message], None]) -> None:
        self._consumer = _reader(config)
        self._topic, self._partitions, self._hear = topic, range(partitions), hear
        self._read: dict[int, int] = {}
        self._stopping = threading.Event()
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"follow-{topic}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._consumer.assign([TopicPartition(self._topic, p, OFFSET_BEGINNING) for p in self._partitions])
        self._thread.start()

    def has_read(self, ends: Mapping[int, int]) -> bool:
        """Whether everything below these offsets was heard. Raises what ended the reading."""
        if self.failure is not None:
            raise self.failure
        return all(self._read.get(p, 0) >= end for p, end in ends.items())

    def close(self) -> None:
        """Read no more."""
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                for message in self._consumer.consume(READ_RECORDS, 0.05):
                    if message.error() is None:  # errors are of the moment: the client goes on by itself
                        partition, offset = _place(message)
                        self._hear(message)
                        self._read[partition] = offset + 1
        except Exception as error:  # raised where somebody waits for it: a reader that died must not look like silence
            self.failure = error


def decision_listener(ledger: Ledger, epoch: str) -> Callable[[Message], None]:
    """Puts each decision into the ledger; epoch: of the source topic, as it stands in the ids."""

    def hear(message: Message) -> None:
        decision = orjson.loads(message.value() or b"")
        source = source_of(decision["id"], epoch)
        ledger.append(Decided(source, str(decision["key"]), str(decision["version"]), time.monotonic()))

    return hear


def source_of(identity: str, epoch: str) -> Source:
    """Partition and offset in a decision's id, `topic@epoch-partition-offset`; an id of another epoch gives (-1,
    -1)."""
    place, partition, offset = identity.rsplit("-", 2)
    return (int(partition), int(offset)) if place.endswith(f"@{epoch}") else (-1, -1)


class Positions:
    """Looks at logs and groups with a client of its own. Waits while a broker changes over."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def ends(self, topic: str, partitions: int) -> dict[int, int]:
        """Partition to the offset after its last record."""

        def ask() -> dict[int, int]:
            consumer = _reader(self._config)
            try:
                places = [TopicPartition(topic, p) for p in range(partitions)]
                return {tp.partition: consumer.get_watermark_offsets(tp, ASK_SECONDS, cached=False)[1] for tp in places}
            finally:
                consumer.close()

        return _patiently(ask, f"the ends of {topic}")

    def committed(self, group: str, topic: str, partitions: int) -> dict[int, int]:
        """Partition to the next offset that the group will read; without those that it never committed."""

        def ask() -> dict[int, int]:
            consumer = _reader(self._config, group)
            try:
                places = consumer.committed([TopicPartition(topic, p) for p in range(partitions)], ASK_SECONDS)
                return {tp.partition: tp.offset for tp in places if tp.offset >= 0}
            finally:
                consumer.close()

        return _patiently(ask, f"the positions of {group}")

    def brokers(self) -> int:
        """How many brokers the cluster counts now."""

        def ask() -> int:
            consumer = _reader(self._config)
            try:
                return len(consumer.list_topics(timeout=ASK_SECONDS).brokers)
            finally:
                consumer.close()

        return _patiently(ask, "the brokers")


def _reader(config: Config, group: str = "headrace-faults-look") -> Consumer:
    return Consumer(
        {
            **config,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 50,
        }
    )


def _patiently(ask: Callable[[], T], what: str) -> T:
    last: list[str] = []

    def answer() -> list[T] | None:
        try:
            return [ask()]
        except KafkaException as error:
            last[:] = [str(error)]
            return None

    return wait_until(answer, PATIENCE_SECONDS, lambda: f"nobody tells {what}: {last}", poll_seconds=0.5)[0]


def _place(message: Message) -> Source:
    partition, offset = message.partition(), message.offset()
    assert partition is not None and offset is not None
    return partition, offset
