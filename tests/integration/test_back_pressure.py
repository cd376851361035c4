"""A Faust role on real Kafka whose engine is slower than its topic: bounded, nothing lost, urgent topics first."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from connectors.ports import TopicSpec
from streams.engine.buffer import Limits
from streams.engine.delivery import Acknowledge, Delivery
from streams.engine.pipeline import BatchPipeline, Stage
from streams.faust_runtime.app import make_app
from streams.faust_runtime.backpressure import MAX_POLL_RECORDS
from streams.faust_runtime.no_reset_transport import refuse_offset_reset
from streams.faust_runtime.role import Role

pytestmark = pytest.mark.kafka

EVENTS, URGENT = 6_000, 40
BOUNDS = Limits(max_events=200, batch_events=50)


class Slow:
    """Counts what it is given; takes its time."""

    def __init__(self, seconds_per_batch: float) -> None:
        self.seen: list[tuple[str, int, int]] = []
        self.most_held = 0
        self._seconds = seconds_per_batch
        self.role: Role | None = None

    async def run(self, batch: Sequence[Delivery]) -> None:
        await asyncio.sleep(self._seconds)
        self.seen += [(delivery.topic, delivery.partition, delivery.offset) for delivery in batch]
        assert self.role is not None
        self.most_held = max(self.most_held, self.role.engine.in_flight)


def make_role(
    address: str, folder: Path, name: str, slow: Slow, topics: Sequence[str], urgent: Sequence[str] = ()
) -> Role:
    def engine(acknowledge: Acknowledge) -> BatchPipeline:
        return BatchPipeline(name, [Stage("slow", slow.run)], acknowledge, bounds=BOUNDS)

    app = make_app(name, f"kafka://{address}", folder=folder)
    refuse_offset_reset(app, {})
    slow.role = Role(app, topics, engine, urgent_topics=urgent)
    return slow.role


def load(address: str, topic: str, events: int) -> None:
    admin, publisher = KafkaAdmin(address), KafkaPublisher(address)
    admin.ensure([TopicSpec(topic, 3, 1)])
    for number in range(events):
        publisher.send(topic, b'{"text": "x"}', str(number).encode())
    publisher.flush()
    publisher.close()
    admin.close()


async def until(done: "asyncio.Future[None] | None", condition, seconds: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def test_a_slow_engine_is_never_overrun_and_every_event_comes_once_in_order(
    kafka_address: str, unique: str, tmp_path: Path
) -> None:
    topic = f"{unique}.slow"
    load(kafka_address, topic, EVENTS)

    async def scenario() -> Slow:
        slow = Slow(0.01)
        role = make_role(kafka_address, tmp_path, f"{unique}-slow", slow, [topic])
        await role.start()
        await until(None, lambda: len(slow.seen) >= EVENTS)
        assert await role.stop(5.0) == 0
        return slow

    slow = asyncio.run(scenario())
    assert len(slow.seen) == len(set(slow.seen)) == EVENTS
    for partition in range(3):
        offsets = [offset for _, p, offset in slow.seen if p == partition]
        assert offsets == list(range(len(offsets)))
    assert slow.most_held <= BOUNDS.max_events
    assert sum(KafkaAdmin(kafka_address).committed(f"{unique}-slow", topic).values()) == EVENTS


def test_an_urgent_topic_is_decided_before_the_backlog_of_the_usual_one(
    kafka_address: str, unique: str, tmp_path: Path
) -> None:
    usual, urgent = f"{unique}.usual", f"{unique}.urgent"
    load(kafka_address, usual, EVENTS)
    load(kafka_address, urgent, 1)

    async def scenario() -> list[str]:
        slow = Slow(0.05)
        role = make_role(kafka_address, tmp_path, f"{unique}-urgent", slow, [usual], [urgent])
        await role.start()
        await until(None, lambda: sum(topic == usual for topic, _, _ in slow.seen) > 300)
        before = len(slow.seen)
        await asyncio.to_thread(load, kafka_address, urgent, URGENT)
        await until(None, lambda: sum(topic == urgent for topic, _, _ in slow.seen) > URGENT)
        after = [topic for topic, _, _ in slow.seen[before:]]
        await role.stop(5.0)
        return after

    after = asyncio.run(scenario())
    # the publishing itself takes a moment; what counts is that the backlog (thousands) did not stand before them
    assert len(after) < 2 * MAX_POLL_RECORDS < EVENTS
