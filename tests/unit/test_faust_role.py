"""The seams between a role and Faust, without a broker: handing on what was fetched, committing, ending threads."""

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from models.errors import MessageError
from streams.engine.delivery import Delivery
from streams.engine.pipeline import BatchPipeline, Stage, in_thread
from streams.faust_runtime import role as role_module
from streams.faust_runtime.backpressure import CHUNK_RECORDS, GatedConsumer
from streams.faust_runtime.role import Role, _delivery
from streams.wire.outcomes import dead_letter

T0 = TP("texts", 0)


@dataclass
class Fetched:
    offset: int
    timestamp: int = 0


class Consumer(GatedConsumer):
    """A gated consumer that was never started, with what `_hand_on` uses."""

    def __init__(self) -> None:
        self.flow_active = True
        self.app = SimpleNamespace(consumer_generation_id=1)  # type: ignore[assignment]
        self._read_offset = defaultdict(lambda: None)
        self.handed: list[int] = []
        self.during_callback = lambda: None
        self.seek_error: Exception | None = None

    async def callback(self, chunk: Any) -> None:  # type: ignore[override]
        self.handed += [record.offset for record in chunk.records]
        self.during_callback()

    async def perform_seek(self) -> None:
        if self.seek_error is not None:
            raise self.seek_error


def hand_on(consumer: Consumer, offsets: Sequence[int]) -> None:
    asyncio.run(consumer._hand_on({T0: [Fetched(offset) for offset in offsets]}))


def test_what_was_fetched_is_handed_on_and_the_last_offset_read_moves() -> None:
    consumer = Consumer()
    hand_on(consumer, range(250))
    assert consumer.handed == list(range(250))
    assert consumer._read_offset[T0] == 249


def test_a_rebalance_while_a_chunk_is_handed_on_leaves_the_position_that_it_set() -> None:
    """Moving `_read_offset` after a rebalance would make the consumer drop what lies between as read already."""
    consumer = Consumer()

    def rebalance() -> None:
        consumer.app.consumer_generation_id = 2  # type: ignore[misc]
        consumer._read_offset[T0] = 5

    consumer.during_callback = rebalance  # type: ignore[method-assign]
    hand_on(consumer, range(10, 10 + 3 * CHUNK_RECORDS))
    assert consumer._read_offset[T0] == 5
    assert len(consumer.handed) == CHUNK_RECORDS


@pytest.mark.parametrize("error", [AssertionError("No partitions are currently assigned"), RuntimeError("No state")])
def test_records_fetched_as_a_rebalance_begins_do_not_end_the_worker(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """S-A15: seeking back with nothing assigned raised out of the reading loop: "the Kafka client gave up"."""
    consumer = Consumer()
    consumer.flow_active, consumer.seek_error = False, error
    with caplog.at_level(logging.WARNING):
        hand_on(consumer, range(10))
    assert consumer.handed == []
    assert "could not go back to the committed positions" in caplog.text


class SlowConsumer:
    """Faust's consumer as a commit sees it: a commit takes until it is let go."""

    def __init__(self) -> None:
        self._committed_offset: dict[TP, int] = {}
        self.started: list[int] = []
        self.landed: list[int] = []
        self.go_on = asyncio.Event()

    def assignment(self) -> set[TP]:
        return {T0}

    async def _commit(self, offsets: dict[TP, int]) -> bool:
        self.started.append(offsets[T0])
        await self.go_on.wait()
        self.landed.append(offsets[T0])
        return True


def committing_role(consumer: SlowConsumer) -> Role:
    role = Role.__new__(Role)
    role.name = "worker"
    role.app = SimpleNamespace(consumer=consumer)  # type: ignore[assignment]
    role.engine = SimpleNamespace(positions={("texts", 0): 1})  # type: ignore[assignment]
    role._commit_lock, role._last_commit = asyncio.Lock(), None
    return role


def test_a_commit_that_takes_too_long_is_not_overtaken_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-A17 m: a commit over 5 s was given up here and went on in the thread: an older one could land after a newer."""
    monkeypatch.setattr(role_module, "COMMIT_LIMIT_SECONDS", 0.05)

    async def scenario() -> SlowConsumer:
        consumer = SlowConsumer()
        role = committing_role(consumer)
        await role._commit()
        role.engine.positions[("texts", 0)] = 2
        await role._commit()
        assert consumer.started == [1]
        role.engine.positions[("texts", 0)] = 3
        consumer.go_on.set()
        await role._commit()
        return consumer

    consumer = asyncio.run(scenario())
    assert consumer.landed == [1, 3]
    assert consumer._committed_offset == {T0: 3}


def test_commits_asked_for_at_once_are_one_commit() -> None:
    async def scenario() -> SlowConsumer:
        consumer = SlowConsumer()
        consumer.go_on.set()
        role = committing_role(consumer)
        await asyncio.gather(*(role._commit() for _ in range(5)))
        return consumer

    assert asyncio.run(scenario()).landed == [1]


def test_an_engine_that_is_aborted_ends_the_threads_of_its_stages() -> None:
    """S-A17 u: the pools were never shut down, so each engine of a process left its threads behind."""

    async def scenario() -> None:
        engine = BatchPipeline(
            "test", [Stage("work", in_thread(lambda batch: None, "aborted-stage"))], lambda done: None
        )
        engine.start()
        await engine.submit([Delivery("texts", 0, 0, None, b"x", 0)])
        assert await engine.drain(300.0) == 0
        (thread,) = [thread for thread in threading.enumerate() if thread.name.startswith("aborted-stage")]
        await engine.abort()
        thread.join(60.0)
        assert not thread.is_alive()

    asyncio.run(scenario())


def test_a_records_headers_arrive_as_they_are_and_one_without_a_value_as_an_empty_one() -> None:
    """F-15 stays."""
    headers = (("trace", b"\x00\xff"), ("flag", None), ("", b""))
    record = SimpleNamespace(
        topic="texts", partition=0, offset=7, key="kü".encode(), value=None, timestamp=1, headers=headers
    )
    delivery = _delivery(record, urgent=False)
    assert delivery.headers == [("trace", b"\x00\xff"), ("flag", b""), ("", b"")]
    assert delivery.size == len("kü".encode()) + len("trace") + 2 + len("flag")
    letter = dead_letter(delivery, MessageError("no_text", "no text")).records[0]
    assert letter.headers[-3:] == delivery.headers and letter.key == "kü".encode()
