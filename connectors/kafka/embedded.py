"""The embedded broker: librdkafka's mock cluster, inside the confluent-kafka wheel. In memory, gone at exit.

It speaks Kafka's protocol over TCP to any process of the machine. A partition keeps about 5 MB or 100,000 records and
drops the oldest without a word, so whoever loads it goes through `EmbeddedPublisher`, which refuses what would pass
that. `HEADRACE_HOME/broker.json` tells other commands where it is.
"""

import contextlib
import json
import os
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from connectors.errors import BrokerUnavailable
from connectors.local_services.process import is_running, process_birth
from connectors.ports import Publisher
from connectors.private_folders import make_private
from models.errors import ConnectorError

# librdkafka: rdkafka_mock.c, `max_size` 5 MiB and `max_cnt` 100,000 of a partition. We stay below: a batch's own frame
# counts as well, and a record that another process writes at this moment is not seen yet.
PARTITION_BYTES = 4_500_000
PARTITION_RECORDS = 90_000
RECORD_FRAME_BYTES = 100  # more than a record's frame and its share of the batch's; small records measure so
READER_WAIT_SECONDS = 20.0
POLL_SECONDS = 0.1
START_SECONDS = 10.0


class EmbeddedBroker:
    """One broker on 127.0.0.1, from `start` to `close`. epoch: 8 random hex digits for the ids of this run's
    records."""

    def __init__(self) -> None:
        self.address = ""
        self.epoch = secrets.token_hex(4)
        self._cluster: Any = None

    def start(self) -> str:
        """Start it and return "127.0.0.1:port". Raises BrokerUnavailable when it does not come up."""
        import confluent_kafka  # its C library starts threads; only who needs the embedded broker pays for it

        settings = {"bootstrap.servers": "ignored", "test.mock.num.brokers": 1, "log_level": 3}
        self._cluster = confluent_kafka.Producer(settings)
        try:
            brokers = list(self._cluster.list_topics(timeout=START_SECONDS).brokers.values())
        except confluent_kafka.KafkaException as error:
            raise BrokerUnavailable(f"the embedded broker did not start: {error}") from error
        self.address = f"{brokers[0].host}:{brokers[0].port}"
        return self.address

    def close(self) -> None:
        """Stop it; everything in it is gone."""
        self._cluster = None  # the mock cluster lives and dies with the producer object

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- where it is, for other processes


@dataclass(frozen=True, slots=True)
class BrokerFile:
    """Content of broker.json. birth tells a process from a later one with the same id."""

    address: str
    pid: int
    epoch: str
    birth: str


def write_broker_file(home: Path, broker: EmbeddedBroker) -> None:
    """Tell other processes. Raises BrokerUnavailable where another live process has one running for this home."""
    standing = _load_broker_file(home)
    if standing is not None and standing.pid != os.getpid() and is_running(standing.pid, standing.birth):
        raise BrokerUnavailable(
            f"process {standing.pid} already runs an embedded broker for {home} (at {standing.address}); stop it, "
            "or set HEADRACE_HOME to another folder"
        )
    make_private(home)
    content = BrokerFile(broker.address, os.getpid(), broker.epoch, process_birth(os.getpid()))
    with tempfile.NamedTemporaryFile("w", dir=home, prefix="broker.", suffix=".new", delete=False) as written:
        json.dump(asdict(content), written)
    Path(written.name).replace(home / "broker.json")


def read_broker_file(home: Path) -> BrokerFile:
    """Where the embedded broker runs. Raises BrokerUnavailable where none does (a file left by a dead one counts as
    none)."""
    standing = _load_broker_file(home)
    if standing is None:
        raise BrokerUnavailable(
            f"no embedded broker runs for {home}; start `headrace up APP` first, or set HEADRACE_BROKER to a Kafka"
        )
    if not is_running(standing.pid, standing.birth):
        raise BrokerUnavailable(
            f"the embedded broker of {home} is gone (process {standing.pid} ended, and its records with it); "
            "start `headrace up APP` again"
        )
    return standing


def remove_broker_file(home: Path) -> None:
    """Take the file away where this process wrote it."""
    standing = _load_broker_file(home)
    if standing is not None and standing.pid == os.getpid():
        (home / "broker.json").unlink(missing_ok=True)


def _load_broker_file(home: Path) -> BrokerFile | None:
    with contextlib.suppress(OSError, ValueError, TypeError):
        return BrokerFile(**json.loads((home / "broker.json").read_text()))
    return None


# --- its limits


@dataclass(slots=True)
class _Kept:
    """What a partition holds and no reader has passed: (offset, bytes) of each record, and their sum."""

    records: deque[tuple[int, int]] = field(default_factory=deque)
    size_bytes: int = 0

    def add(self, offset: int, size_bytes: int) -> None:
        self.records.append((offset, size_bytes))
        self.size_bytes += size_bytes

    def forget_before(self, offset: int) -> None:
        while self.records and self.records[0][0] < offset:
            self.size_bytes -= self.records.popleft()[1]


class EmbeddedPublisher:
    """A Publisher for the embedded broker that refuses what would push unread records out of a partition.

    consumed: for a topic, partition to the offset that its slowest reader has passed (a group's committed offsets); {}
    where nobody reads on, as with topics that are read from the beginning: then all that was sent counts. A record that
    does not fit waits for the readers up to `wait_seconds`, then raises ConnectorError, which points to real Kafka.
    Only what goes through this object is counted, besides what stood in the topic before.
    """

    def __init__(
        self,
        inner: Publisher,
        *,
        consumed: Callable[[str], Mapping[int, int]] = lambda topic: {},
        standing: Callable[[str], Mapping[int, tuple[int, int]]] = lambda topic: {},
        wait_seconds: float = READER_WAIT_SECONDS,
    ) -> None:
        """standing: for a topic, partition to (oldest, next offset), asked once; `KafkaAdmin.offsets` gives it."""
        self._inner = inner
        self._consumed = consumed
        self._standing = standing
        self._wait_seconds = wait_seconds
        self._kept: dict[str, dict[int, _Kept]] = {}
        self._pending: list[tuple[str, int]] = []
        self._pending_sums: dict[str, tuple[int, int]] = {}  # per topic: records, bytes
        self._confirmed: list[tuple[str, int, int]] = []
        self._lock = threading.RLock()

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        """See the port; and the class for what happens when the topic is full."""
        headers = list(headers)
        size = len(value or b"") + len(key or b"") + sum(len(k) + len(v) for k, v in headers) + RECORD_FRAME_BYTES
        with self._lock:
            self._make_room(topic, size)
            self._inner.send(topic, value, key, headers, timestamp_ms)
            self._pending.append((topic, size))
            records, total = self._pending_sums.get(topic, (0, 0))
            self._pending_sums[topic] = (records + 1, total + size)

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        """See the port."""
        with self._lock:
            self._settle(timeout_seconds)
            confirmed, self._confirmed = self._confirmed, []
            return confirmed

    def close(self) -> None:
        """See the port."""
        self._inner.close()

    def _make_room(self, topic: str, size: int) -> None:
        """Return when the record fits, whichever partition it goes to."""
        if topic not in self._kept:
            self._kept[topic] = {p: _stood_before(*bounds) for p, bounds in self._standing(topic).items()}
        if self._fits(topic, size):
            return
        self._settle(30.0)  # now each pending record is known by its partition
        deadline = time.monotonic() + self._wait_seconds
        while True:
            for partition, offset in self._consumed(topic).items():
                if partition in self._kept[topic]:
                    self._kept[topic][partition].forget_before(offset)
            if self._fits(topic, size):
                return
            if time.monotonic() > deadline:
                raise ConnectorError(self._refusal(topic))
            time.sleep(POLL_SECONDS)

    def _fits(self, topic: str, size: int) -> bool:
        pending_records, pending_bytes = self._pending_sums.get(topic, (0, 0))
        kept = self._kept[topic].values()
        most_bytes = max((partition.size_bytes for partition in kept), default=0)
        most_records = max((len(partition.records) for partition in kept), default=0)
        return (
            most_bytes + pending_bytes + size <= PARTITION_BYTES and most_records + pending_records < PARTITION_RECORDS
        )

    def _settle(self, timeout_seconds: float) -> None:
        pending, self._pending, self._pending_sums = self._pending, [], {}
        confirmed = self._inner.flush(timeout_seconds)
        for (topic, size), (_, partition, offset) in zip(pending, confirmed, strict=True):
            self._kept[topic].setdefault(partition, _Kept()).add(offset, size)
        self._confirmed += confirmed

    def _refusal(self, topic: str) -> str:
        most = max(self._kept[topic].values(), key=lambda partition: partition.size_bytes)
        return (
            f"the embedded broker keeps about 5 MB or 100,000 records of a partition, and {topic} has "
            f"{most.size_bytes / 1e6:.1f} MB in {len(most.records)} records that nobody has read yet; start real Kafka "
            "with `headrace services start` and set HEADRACE_BROKER, or send less"
        )


def _stood_before(first: int, last: int) -> _Kept:
    """Records that others wrote, their sizes unknown: taken as 1 kB each, more than a support message."""
    kept = _Kept()
    for offset in range(first, last):
        kept.add(offset, 1_000)
    return kept
