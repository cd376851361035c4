"""The engine under arbitrary arrivals, failures, revokes and swaps: nothing lost, order kept, bounds kept."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import HeadraceError
from streams.engine.buffer import Limits
from streams.engine.delivery import Delivery
from streams.engine.offset_tracker import Partition
from streams.engine.pipeline import BatchPipeline, Stage

PARTITIONS: list[Partition] = [("texts", 0), ("texts", 1), ("vip", 0)]


class Away(HeadraceError):
    retriable: ClassVar[bool] = True


@dataclass
class Log:
    """Three partitions, each a row of events; one member reads them, and its positions are what it committed."""

    length: int
    bounds: Limits
    failures: set[int]
    decided: list[tuple[Partition, int, str]] = field(default_factory=list)
    committed: dict[Partition, int] = field(default_factory=lambda: dict.fromkeys(PARTITIONS, 0))
    version: str = "1"
    batches: int = 0
    most_held: int = 0

    def __post_init__(self) -> None:
        stages = [Stage("prepare", self.prepare), Stage("decide", self.decide)]
        self.engine = BatchPipeline("test", stages, lambda _: None, bounds=self.bounds, retry_seconds=300)

    async def prepare(self, batch: Sequence[Delivery]) -> None:
        await asyncio.sleep(0)
        for delivery in batch:
            delivery.result = self.version  # a batch keeps to its end the release that it began with

    async def decide(self, batch: Sequence[Delivery]) -> None:
        self.batches += 1
        self.most_held = max(self.most_held, self.engine.in_flight)
        await asyncio.sleep(0)
        if self.batches in self.failures:
            raise Away("not now")
        assert len({delivery.result for delivery in batch}) == 1
        self.decided += [((delivery.topic, delivery.partition), delivery.offset, delivery.result) for delivery in batch]

    async def commit(self) -> None:
        done = {(partition, offset) for partition, offset, _ in self.decided}
        for partition, position in self.engine.positions.items():
            assert all((partition, offset) in done for offset in range(position)), "committed past an unfinished event"
            assert position >= self.committed[partition]
            self.committed[partition] = position

    async def read(self, steps: list[int]) -> None:
        """Deliver from the committed positions on, round by round, in runs of several, yielding now and then."""
        positions = dict(self.committed)
        turn = 0
        while any(position < self.length for position in positions.values()):
            for partition, position in positions.items():
                turn += 1
                step = steps[turn % len(steps)]
                topic, number = partition
                run = range(position, min(position + 1 + step, self.length))
                await self.engine.submit(
                    [Delivery(topic, number, offset, None, b"x", 0, urgent=topic == "vip") for offset in run]
                )
                positions[partition] = max(position, run.stop)
                if step == 0:
                    await asyncio.sleep(0)


async def run(log: Log, interruptions: list[tuple[int, str]], steps: list[int]) -> None:
    log.engine.start()
    log.engine.assign(PARTITIONS)
    reading = asyncio.create_task(log.read(steps))
    for turns, what in interruptions:
        for _ in range(turns):
            await asyncio.sleep(0)
        if what == "swap":
            log.version = str(int(log.version) + 1)
        elif what == "commit":
            await log.commit()
        else:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await log.engine.release(PARTITIONS, 300.0, log.commit)
            log.engine.assign(PARTITIONS)
            reading = asyncio.create_task(log.read(steps))
    await reading
    assert await log.engine.drain(300.0) == 0
    await log.commit()
    await log.engine.abort()


@given(
    length=st.integers(0, 40),
    bounds=st.builds(
        Limits, max_events=st.integers(1, 20), batch_events=st.integers(1, 9), batch_bytes=st.integers(1, 8)
    ),
    failures=st.sets(st.integers(1, 6), max_size=1),
    interruptions=st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["revoke", "swap", "commit"])), max_size=5),
    steps=st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_and_order_and_bounds_are_kept(
    length: int, bounds: Limits, failures: set[int], interruptions: list[tuple[int, str]], steps: list[int]
) -> None:
    log = Log(length, bounds, failures)
    asyncio.run(run(log, interruptions, steps))
    assert log.committed == dict.fromkeys(PARTITIONS, length)
    for partition in PARTITIONS:
        first: dict[int, None] = {}
        for decided, offset, _ in log.decided:
            if decided == partition:
                first.setdefault(offset)
        assert list(first) == list(range(length))
    assert log.most_held <= 2 * bounds.max_events  # usual and urgent deliveries have bounds of their own
    versions = [int(version) for _, _, version in log.decided]
    assert versions == sorted(versions)
