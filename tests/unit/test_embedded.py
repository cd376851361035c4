"""The embedded broker's file and its limits."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from connectors.errors import BrokerUnavailable
from connectors.kafka import embedded
from connectors.kafka.embedded import (
    EmbeddedBroker,
    EmbeddedPublisher,
    read_broker_file,
    remove_broker_file,
    write_broker_file,
)
from connectors.local_services.process import process_birth
from models.errors import ConnectorError


def broker_at(address: str) -> EmbeddedBroker:
    broker = EmbeddedBroker()
    broker.address = address
    return broker


def test_a_broker_is_found_by_its_file_until_it_is_removed(tmp_path: Path) -> None:
    broker = broker_at("127.0.0.1:4242")
    write_broker_file(tmp_path / "home", broker)
    running = read_broker_file(tmp_path / "home")
    assert (running.address, running.epoch, running.pid) == ("127.0.0.1:4242", broker.epoch, os.getpid())
    remove_broker_file(tmp_path / "home")
    with pytest.raises(BrokerUnavailable, match="start `headrace up APP` first"):
        read_broker_file(tmp_path / "home")


def test_each_start_has_its_own_epoch() -> None:
    epochs = {EmbeddedBroker().epoch for _ in range(50)}
    assert len(epochs) == 50
    assert all(len(epoch) == 8 and int(epoch, 16) >= 0 for epoch in epochs)


def test_the_file_of_a_dead_process_counts_as_none(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait(120)
    (tmp_path / "broker.json").write_text(
        json.dumps({"address": "127.0.0.1:1", "pid": child.pid, "epoch": "0" * 8, "birth": "1"})
    )
    with pytest.raises(BrokerUnavailable, match="is gone"):
        read_broker_file(tmp_path)
    write_broker_file(tmp_path, broker_at("127.0.0.1:2"))
    assert read_broker_file(tmp_path).address == "127.0.0.1:2"


def test_a_reused_process_id_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    (tmp_path / "broker.json").write_text(
        json.dumps({"address": "127.0.0.1:1", "pid": os.getpid(), "epoch": "0" * 8, "birth": "before"})
    )
    with pytest.raises(BrokerUnavailable, match="is gone"):
        read_broker_file(tmp_path)


def test_two_brokers_do_not_share_a_home(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3_600)"])
    try:
        content = {"address": "127.0.0.1:1", "pid": child.pid, "epoch": "0" * 8, "birth": process_birth(child.pid)}
        (tmp_path / "broker.json").write_text(json.dumps(content))
        with pytest.raises(BrokerUnavailable, match=f"process {child.pid} already runs"):
            write_broker_file(tmp_path, broker_at("127.0.0.1:2"))
        remove_broker_file(tmp_path)
        assert read_broker_file(tmp_path).pid == child.pid
    finally:
        child.kill()
        child.wait(120)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"address": 1}', '{"pid": 1, "other": 2}'])
def test_a_broken_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "broker.json").write_text(content)
    with pytest.raises(BrokerUnavailable):
        read_broker_file(tmp_path)


class MemoryPublisher:
    """Confirms everything, one partition per key's first byte."""

    def __init__(self) -> None:
        self.ends: dict[int, int] = {}
        self.pending: list[tuple[str, int]] = []

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        self.pending.append((topic, key[0] if key else 0))

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        confirmed = []
        for topic, partition in self.pending:
            confirmed.append((topic, partition, self.ends.get(partition, 0)))
            self.ends[partition] = self.ends.get(partition, 0) + 1
        self.pending = []
        return confirmed

    def close(self) -> None:
        pass


def fill(publisher: EmbeddedPublisher, count: int, key: bytes | None = None, value: bytes = bytes(100_000)) -> None:
    for _ in range(count):
        publisher.send("t", value, key)


def test_what_would_push_records_out_is_refused_with_the_way_out() -> None:
    publisher = EmbeddedPublisher(MemoryPublisher(), wait_seconds=0.0)
    with pytest.raises(
        ConnectorError, match=r"t has 4\.\d MB in 44 records .* start real Kafka with `headrace services start`"
    ):
        fill(publisher, 60)
    assert len(publisher.flush()) == 44


def test_the_limit_is_a_partitions_not_the_topics() -> None:
    publisher = EmbeddedPublisher(MemoryPublisher(), wait_seconds=0.0)
    for key in (b"\0", b"\1", b"\2", b"\3"):
        fill(publisher, 40, key)
    with pytest.raises(ConnectorError):
        fill(publisher, 10, b"\2")
    assert len(publisher.flush()) == 164


def test_the_number_of_records_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "PARTITION_RECORDS", 100)
    publisher = EmbeddedPublisher(MemoryPublisher(), wait_seconds=0.0)
    with pytest.raises(ConnectorError, match="100 records"):
        fill(publisher, 200, value=b"")


def test_what_a_reader_has_passed_makes_room() -> None:
    inner = MemoryPublisher()
    publisher = EmbeddedPublisher(inner, consumed=lambda topic: dict(inner.ends))
    fill(publisher, 500)
    assert len(publisher.flush()) == 500


def test_a_full_topic_waits_for_its_reader() -> None:
    consumed: dict[int, int] = {}
    publisher = EmbeddedPublisher(MemoryPublisher(), consumed=lambda topic: consumed, wait_seconds=120.0)
    reader = threading.Timer(0.5, lambda: consumed.update({0: 40}))
    reader.start()
    started = time.monotonic()
    fill(publisher, 60)
    assert 0.4 < time.monotonic() - started < 60
    reader.join()


def test_what_stood_before_counts() -> None:
    publisher = EmbeddedPublisher(MemoryPublisher(), standing=lambda topic: {0: (0, 4_000)}, wait_seconds=0.0)
    with pytest.raises(ConnectorError):
        fill(publisher, 10)
