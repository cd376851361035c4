import asyncio
import gc
from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import HeadraceError
from streams.engine.buffer import Limits
from streams.engine.delivery import Delivery
from streams.engine.pipeline import BatchPipeline, Stage

PATIENCE = 300.0  # seconds for what happens at once, on a machine that has much else to do


async def settled() -> None:
    """All that can go on without anything new has gone on: a chain of tasks takes a turn of the loop for each link."""
    for _ in range(50):
        await asyncio.sleep(0)


def delivery(offset: int, partition: int = 0, value: bytes = b"x") -> Delivery:
    return Delivery("texts", partition, offset, None, value, 0)


class Away(HeadraceError):
    retriable: ClassVar[bool] = True


async def run(
    deliveries: Sequence[Delivery], stages: list, **bounds: int
) -> tuple[BatchPipeline, list[tuple[int, int]]]:  # type: ignore[type-arg]
    acknowledged: list[tuple[int, int]] = []

    def acknowledge(done: Sequence[Delivery]) -> None:
        acknowledged.extend((delivery.partition, delivery.offset) for delivery in done)

    engine = BatchPipeline(
        "test", [Stage(f"stage-{n}", stage) for n, stage in enumerate(stages)], acknowledge, bounds=Limits(**bounds)
    )
    engine.start()
    for delivery in deliveries:
        await engine.submit([delivery])
    await engine.drain(PATIENCE)
    await engine.abort()
    return engine, acknowledged


@given(
    st.lists(st.integers(0, 2), max_size=60),
    st.integers(1, 9),
    st.integers(1, 20),
    st.lists(st.floats(0, 0.001), min_size=1, max_size=5),
)
@settings(max_examples=40, deadline=None)
def test_every_delivery_is_acknowledged_once_and_in_order_per_partition(
    partitions: list[int], batch: int, bound: int, delays: list[float]
) -> None:
    seen: list[int] = []

    async def slow(deliveries: Sequence[Delivery]) -> None:
        assert len(deliveries) <= batch
        await asyncio.sleep(delays[len(seen) % len(delays)])

    async def second(deliveries: Sequence[Delivery]) -> None:
        seen.extend(delivery.offset for delivery in deliveries)

    sent = [delivery(n, p) for n, p in enumerate(partitions)]
    engine, acknowledged = asyncio.run(run(sent, [slow, second], batch_events=batch, max_events=bound))
    assert seen == list(range(len(partitions)))
    for partition in range(3):
        assert [n for p, n in acknowledged if p == partition] == [n for n, p in enumerate(partitions) if p == partition]
    assert engine.in_flight == 0


def test_events_in_flight_stay_within_the_bound() -> None:
    most = 0

    async def scenario() -> None:
        nonlocal most
        gate = asyncio.Event()

        async def held(_: Sequence[Delivery]) -> None:
            await gate.wait()

        def acknowledge(_: Sequence[Delivery]) -> None:
            pass

        engine = BatchPipeline("test", [Stage("only", held)], acknowledge, bounds=Limits(max_events=5))
        engine.start()
        submits = [asyncio.create_task(engine.submit([delivery(n)])) for n in range(20)]
        await settled()
        most = engine.in_flight
        gate.set()
        await asyncio.gather(*submits)
        assert await engine.drain(PATIENCE) == 0
        await engine.abort()

    asyncio.run(scenario())
    assert most == 5


def test_bytes_in_flight_stay_within_the_bound_but_one_large_event_passes() -> None:
    async def scenario() -> int:
        gate = asyncio.Event()

        async def held(_: Sequence[Delivery]) -> None:
            await gate.wait()

        def acknowledge(_: Sequence[Delivery]) -> None:
            pass

        engine = BatchPipeline("test", [Stage("only", held)], acknowledge, bounds=Limits(max_bytes=100))
        engine.start()
        submits = [asyncio.create_task(engine.submit([delivery(n, value=b"x" * 1000)])) for n in range(3)]
        await settled()
        held_events = engine.in_flight
        gate.set()
        await asyncio.gather(*submits)
        await engine.drain(PATIENCE)
        await engine.abort()
        return held_events

    assert asyncio.run(scenario()) == 1


def test_a_stage_that_raises_fails_the_engine_and_every_waiter_and_acknowledges_nothing_later() -> None:
    async def scenario() -> list[int]:
        acknowledged: list[int] = []

        async def broken(batch: Sequence[Delivery]) -> None:
            if any(delivery.offset == 2 for delivery in batch):
                raise ValueError("broken")

        def acknowledge(done: Sequence[Delivery]) -> None:
            acknowledged.extend(delivery.offset for delivery in done)

        engine = BatchPipeline(
            "test", [Stage("only", broken)], acknowledge, bounds=Limits(batch_events=1, max_events=3)
        )
        engine.start()

        async def feed() -> None:
            for n in range(10):
                await engine.submit([delivery(n)])

        with pytest.raises(ValueError, match="broken"):
            await asyncio.wait_for(feed(), 60)
        assert isinstance(engine.failure, ValueError)
        await engine.abort()
        return acknowledged

    assert asyncio.run(scenario()) == [0, 1]


def test_a_retriable_error_is_tried_again_and_loses_nothing() -> None:
    calls = 0

    async def flaky(_: Sequence[Delivery]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Away("not now")

    _, acknowledged = asyncio.run(run([delivery(0)], [flaky]))
    assert calls == 2
    assert acknowledged == [(0, 0)]


async def _nothing() -> None:
    pass


def test_a_release_finishes_what_is_in_a_stage_forgets_what_waits_and_commits_in_between() -> None:
    async def scenario() -> tuple[list[int], list[str], int]:
        acknowledged: list[int] = []
        happened: list[str] = []
        gate = asyncio.Event()

        async def held(_: Sequence[Delivery]) -> None:
            await gate.wait()

        def acknowledge(done: Sequence[Delivery]) -> None:
            acknowledged.extend(delivery.offset for delivery in done)
            happened.extend(["acknowledged"] * len(done))

        async def commit() -> None:
            happened.append("committed")
            assert engine.positions == {("texts", 0): len(acknowledged)}

        engine = BatchPipeline("test", [Stage("only", held)], acknowledge, bounds=Limits(batch_events=2))
        engine.start()
        engine.assign([("texts", 0)])
        for n in range(8):
            await engine.submit([delivery(n)])
        await settled()
        releasing = asyncio.create_task(engine.release([("texts", 0)], PATIENCE, commit))
        await settled()
        gate.set()
        await releasing
        left = engine.in_flight
        await engine.abort()
        return acknowledged, happened, left

    acknowledged, happened, left = asyncio.run(scenario())
    assert acknowledged == list(range(len(acknowledged))) and 2 <= len(acknowledged) < 8
    assert happened == ["acknowledged"] * len(acknowledged) + ["committed"]
    assert left == 0


def test_what_outlasts_a_release_is_not_acknowledged_later() -> None:
    async def scenario() -> list[int]:
        acknowledged: list[int] = []
        gate = asyncio.Event()

        async def held(_: Sequence[Delivery]) -> None:
            await gate.wait()

        def acknowledge(done: Sequence[Delivery]) -> None:
            acknowledged.extend(delivery.offset for delivery in done)

        engine = BatchPipeline("test", [Stage("only", held)], acknowledge)
        engine.start()
        engine.assign([("texts", 0)])
        await engine.submit([delivery(0)])
        await settled()
        await engine.release([("texts", 0)], 0.05, _nothing)
        engine.assign([("texts", 0)])
        gate.set()
        await engine.drain(PATIENCE)
        await engine.abort()
        return acknowledged

    assert asyncio.run(scenario()) == []


def test_a_delivery_that_waited_through_a_release_is_dropped_because_its_next_owner_gets_it() -> None:
    async def scenario() -> list[int]:
        decided: list[int] = []
        gate = asyncio.Event()

        async def stage(batch: Sequence[Delivery]) -> None:
            await gate.wait()
            decided.extend(delivery.offset for delivery in batch)

        def acknowledge(_: Sequence[Delivery]) -> None:
            pass

        engine = BatchPipeline("test", [Stage("only", stage)], acknowledge, bounds=Limits(max_events=1))
        engine.start()
        engine.assign([("texts", 0)])
        await engine.submit([delivery(0)])
        waiting = asyncio.create_task(engine.submit([delivery(1)]))
        await settled()
        releasing = asyncio.create_task(engine.release([("texts", 0)], PATIENCE, _nothing))
        await settled()
        gate.set()
        await releasing
        await waiting
        await engine.drain(PATIENCE)
        await engine.abort()
        return decided

    assert asyncio.run(scenario()) == [0]


def test_one_batch_is_made_ready_while_another_is_computed_and_what_comes_meanwhile_joins_the_next() -> None:
    prepared: list[int] = []

    async def scenario() -> None:
        computing = asyncio.Event()

        async def prepare(deliveries: Sequence[Delivery]) -> None:
            prepared.append(len(deliveries))

        async def compute(_: Sequence[Delivery]) -> None:
            await computing.wait()

        engine = BatchPipeline("test", [Stage("prepare", prepare), Stage("compute", compute)], lambda _: None)
        engine.start()
        for n in range(9):
            await engine.submit([delivery(n)])
            await settled()
        assert prepared == [1, 1]
        computing.set()
        await engine.drain(PATIENCE)
        await engine.abort()

    asyncio.run(scenario())
    assert prepared == [1, 1, 7]


def test_what_is_acknowledged_leaves_memory_without_the_garbage_collector() -> None:
    async def stage(_: Sequence[Delivery]) -> None:
        pass

    gc.collect()
    gc.disable()
    try:
        asyncio.run(run([delivery(n, value=b"forgotten") for n in range(50)], [stage], batch_events=1))
        left = [
            delivery for delivery in gc.get_objects() if type(delivery) is Delivery and delivery.value == b"forgotten"
        ]  # not another test's
        assert len(left) <= 3  # what each loop had in hand when it was ended
    finally:
        gc.enable()
