"""The dispatcher's role: what is written in which order, what a broker that is away changes, who acts by the clock."""

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from desk import APP, NOON_MS, ask, decision

from connectors.errors import BrokerUnavailable
from models.errors import ConfigError
from streams.dispatcher.service import DispatcherService, Past
from streams.engine.delivery import Delivery, OutRecord
from streams.topics import DEAD_LETTERS_TOPIC

HOUR_MS = 3_600_000


class World:
    """Topics as one list, and a broker that fails when told."""

    def __init__(self) -> None:
        self.written: list[OutRecord] = []
        self.fails = 0
        self.now_ms = NOON_MS
        self.past: dict[int, Past] = {0: Past()}
        self.service = DispatcherService(
            APP,
            self.send,
            lambda partitions: self.past,
            {"decisions.desk": "d0", "changes.desk": "c0"},
            now_ms=lambda: self.now_ms,
        )

    async def send(self, records: Sequence[OutRecord]) -> None:
        if self.fails:
            self.fails -= 1
            raise BrokerUnavailable("away")
        self.written += records

    def topics(self) -> list[str]:
        return [record.topic for record in self.written]


def deliveries(*values: Any) -> list[Delivery]:
    return [
        Delivery(
            "decisions.desk", 0, offset, b"c1", value if isinstance(value, bytes) else json.dumps(value).encode(), 0
        )
        for offset, value in enumerate(values)
    ]


async def assigned(world: World) -> None:
    await world.service.assigned([("decisions.desk", 0), ("changes.desk", 0)])


def test_answers_are_confirmed_before_what_stands_and_a_failure_counts_nothing_twice() -> None:
    asyncio.run(_answers_are_confirmed_before_what_stands_and_a_failure_counts_nothing_twice())


async def _answers_are_confirmed_before_what_stands_and_a_failure_counts_nothing_twice() -> None:
    world, batch = World(), deliveries(ask(1), decision(2), b"no decision")
    await assigned(world)
    world.fails = 1
    with pytest.raises(BrokerUnavailable):
        await world.service._dispatch(batch)
    assert not world.written
    await world.service._dispatch(batch)  # as the engine tries again
    assert world.topics() == ["answers.desk", "answers.desk", "conversations.desk", DEAD_LETTERS_TOPIC]
    assert world.service.counts["sent_question"] == world.service.counts["handed_over"] == 1
    assert world.service.standing() == {"people": 1, "overdue": 0}
    await world.service.released()
    assert world.service.standing() == {"people": 0, "overdue": 0}  # others have them


def test_the_steps_of_the_clock_wait_for_changes_that_are_still_to_be_read() -> None:
    asyncio.run(_the_steps_of_the_clock_wait_for_changes_that_are_still_to_be_read())


async def _the_steps_of_the_clock_wait_for_changes_that_are_still_to_be_read() -> None:
    world = World()
    world.past = {0: Past(changes_end=1)}
    await assigned(world)
    await world.service._dispatch(deliveries(decision(1)))
    written = len(world.written)
    world.now_ms += HOUR_MS
    await world.service._take_steps()
    assert len(world.written) == written
    change = Delivery("changes.desk", 0, 0, b"c9", b"{}", NOON_MS)  # nobody's, but the last one that stood
    await world.service._dispatch([change])
    world.fails = 1
    with pytest.raises(BrokerUnavailable):
        await world.service._take_steps()
    await world.service._take_steps()
    await world.service._take_steps()
    assert world.topics()[written:] == [DEAD_LETTERS_TOPIC, "alerts", "conversations.desk"]
    await world.service.released()


def test_partitions_that_do_not_belong_together_end_the_role() -> None:
    asyncio.run(_partitions_that_do_not_belong_together_end_the_role())


async def _partitions_that_do_not_belong_together_end_the_role() -> None:
    world = World()
    pipeline = world.service.pipeline(lambda done: None)
    await world.service.assigned([("decisions.desk", 0), ("changes.desk", 1)])
    assert isinstance(pipeline.failure, ConfigError)
    await world.service.released()


def test_a_clock_that_nobody_looks_at_is_told() -> None:
    asyncio.run(_a_clock_that_nobody_looks_at_is_told())


async def _a_clock_that_nobody_looks_at_is_told() -> None:
    world = World()
    assert world.service.timers_silence_seconds() == 0.0  # others have the partitions
    await assigned(world)
    await world.service._dispatch(deliveries(decision(1)))
    world.now_ms += HOUR_MS
    world.fails = 1
    await asyncio.sleep(0.1)
    with pytest.raises(BrokerUnavailable):
        await world.service._take_steps()
    assert world.service.timers_silence_seconds() >= 0.1
    looked_at = time.monotonic()
    await world.service._take_steps()
    assert world.service.timers_silence_seconds() <= time.monotonic() - looked_at
    await world.service.released()
    assert world.service.timers_silence_seconds() == 0.0
