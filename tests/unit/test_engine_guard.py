"""One guard around each stage: what fails on a delivery in a way nobody foresaw is that delivery's dead letter."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import HeadraceError, MessageError
from streams.engine.buffer import Limits
from streams.engine.delivery import Delivery
from streams.engine.pipeline import BatchPipeline, Stage

Run = Callable[[Sequence[Delivery]], Awaitable[None]]


class Broken(HeadraceError):
    """Raised on purpose: the release is broken, not a record."""


class Away(HeadraceError):
    retriable: ClassVar[bool] = True


class Line:
    """Three stages, like a worker's: prepare and decide keep state between them by batch; publish sends results."""

    def __init__(self, fails: dict[str, set[int]], error: Exception | None = None, give_up: bool = True) -> None:
        self.fails, self.error = fails, error or ZeroDivisionError("nobody foresaw this")
        self.work: dict[int, list[int]] = {}
        self.sent: list[tuple[int, object]] = []
        self.acknowledged: list[int] = []
        self.runs: list[tuple[str, int]] = []
        self.engine = BatchPipeline(
            "test",
            [Stage("prepare", self.prepare), Stage("decide", self.decide), Stage("publish", self.publish)],
            lambda done: self.acknowledged.extend(delivery.offset for delivery in done),
            bounds=Limits(batch_events=8),
            give_up=(lambda delivery, error: f"dead: {error}") if give_up else None,
        )

    def check(self, stage: str, batch: Sequence[Delivery]) -> None:
        self.runs.append((stage, len(batch)))
        if any(delivery.offset in self.fails.get(stage, ()) for delivery in batch):
            raise self.error

    async def prepare(self, batch: Sequence[Delivery]) -> None:
        self.check("prepare", batch)
        self.work[id(batch[0])] = [delivery.offset for delivery in batch]

    async def decide(self, batch: Sequence[Delivery]) -> None:
        offsets = self.work.pop(id(batch[0]))
        assert offsets == [delivery.offset for delivery in batch]
        self.check("decide", batch)
        for delivery in batch:
            delivery.result = "decided"

    async def publish(self, batch: Sequence[Delivery]) -> None:
        if not all(str(delivery.result).startswith("dead") for delivery in batch):
            self.check("publish", batch)
        self.sent += [(delivery.offset, delivery.result) for delivery in batch]

    async def take(self, count: int) -> None:
        self.engine.start()
        await self.engine.submit([Delivery("texts", 0, offset, None, b"x", 0) for offset in range(count)])
        await self.engine.drain(300.0)
        await self.engine.abort()


@pytest.mark.parametrize("stage", ["prepare", "decide", "publish"])
def test_a_delivery_that_a_stage_fails_on_is_a_dead_letter_and_its_neighbours_are_decided(stage: str) -> None:
    """S-A6: an exception that is not ours ended the worker, and every worker after it at the same record."""
    line = Line({stage: {3}})
    asyncio.run(line.take(12))
    assert line.engine.failure is None
    assert line.sent == [(n, "dead: nobody foresaw this" if n == 3 else "decided") for n in range(12)]
    assert line.acknowledged == list(range(12))
    assert line.work == {}


@pytest.mark.parametrize("stage", ["prepare", "decide", "publish"])
def test_a_delivery_that_was_alone_is_not_tried_again(stage: str) -> None:
    line = Line({stage: {0}})
    asyncio.run(line.take(1))
    assert line.sent == [(0, "dead: nobody foresaw this")]
    assert [name for name, _ in line.runs].count(stage) == 1


@given(
    fails=st.fixed_dictionaries(
        {name: st.sets(st.integers(0, 39), max_size=5) for name in ("prepare", "decide", "publish")}
    ),
    count=st.integers(1, 40),
)
@settings(max_examples=60, deadline=None)
def test_each_delivery_is_sent_once_and_in_order_wherever_it_fails(fails: dict[str, set[int]], count: int) -> None:
    line = Line(fails)
    asyncio.run(line.take(count))
    assert [offset for offset, _ in line.sent] == line.acknowledged == list(range(count))
    bad = set().union(*fails.values())
    assert {offset for offset, result in line.sent if result != "decided"} == bad & set(range(count))


def test_an_error_that_was_meant_ends_the_engine_and_nothing_of_the_batch_is_acknowledged() -> None:
    line = Line({"decide": {3}}, Broken("fails on every text"))
    asyncio.run(line.take(8))
    assert isinstance(line.engine.failure, Broken)
    assert line.acknowledged == line.sent == []


def test_a_message_error_of_a_stage_is_about_a_delivery_too() -> None:
    line = Line({"decide": {3}}, MessageError("odd", "an odd one"))
    asyncio.run(line.take(8))
    assert line.sent[3] == (3, "dead: an odd one")


def test_without_a_way_to_give_up_what_fails_ends_the_engine() -> None:
    line = Line({"decide": {3}}, give_up=False)
    asyncio.run(line.take(8))
    assert isinstance(line.engine.failure, ZeroDivisionError)
    assert line.sent == []


def test_a_stage_that_never_fails_is_run_once_over_the_whole_batch() -> None:
    line = Line({})
    asyncio.run(line.take(8))
    assert line.runs == [("prepare", 8), ("decide", 8), ("publish", 8)]


def test_a_broker_that_is_away_while_deliveries_are_tried_one_by_one_is_waited_for() -> None:
    line = Line({"decide": {3}})
    failures = [Away("away"), Away("away")]
    publish = line.publish

    async def flaky(batch: Sequence[Delivery]) -> None:
        if failures:
            raise failures.pop()
        await publish(batch)

    line.engine._guard._stages[2] = Stage("publish", flaky)  # type: ignore[index]  # the list handed in
    asyncio.run(line.take(8))
    assert [offset for offset, _ in line.sent] == list(range(8))
