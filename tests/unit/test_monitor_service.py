"""The monitor on the event loop: what is published, in which order, and what a rebalance does."""

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from monitor_in_memory import APP, Process, World, signal

from connectors.errors import BrokerUnavailable
from connectors.ports import Record
from models.errors import MessageError
from streams.engine.delivery import Delivery, OutRecord, RecordsRefused, Refusal
from streams.monitor.service import MonitorService

OURS = [(APP.signals_topic, 0)]


class Sent:
    """What was sent; the first `failures` times nobody confirms."""

    def __init__(self, failures: int = 0) -> None:
        self.records: list[OutRecord] = []
        self.failures = failures

    async def __call__(self, records: Sequence[OutRecord]) -> None:
        if self.failures:
            self.failures -= 1
            raise BrokerUnavailable("no broker answers")
        self.records += records


def process() -> Process:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    for number in range(3):
        world.signals([signal(number, "1", 0, random, world.now_ms)])
    world.committed = 3
    return Process(world, snapshot_seconds=1e9)


async def until_active(service: MonitorService, given: Process) -> None:
    async with asyncio.timeout(120):
        while given.handler.core is None:
            await asyncio.sleep(0.01)


def test_who_is_given_the_signals_is_active_and_who_is_not_stands_by() -> None:
    async def run() -> None:
        given, sent = process(), Sent()
        service = MonitorService(given.handler, sent)
        await service.assigned([])
        assert given.handler.core is None
        await service.assigned(OURS)
        await until_active(service, given)
        assert given.state()["offsets"] == {"0": 3}
        await service.released()
        assert given.handler.core is None

    asyncio.run(run())


def test_the_state_is_put_down_when_the_signals_go_to_somebody_else() -> None:
    async def run() -> None:
        given, sent = process(), Sent()
        service = MonitorService(given.handler, sent)
        await service.assigned(OURS)
        await until_active(service, given)
        random = np.random.default_rng(1)
        given.world.signals([signal(9, "1", 0, random, given.world.now_ms)])
        await asyncio.wrap_future(service._observe.submit(lambda: given.follow(publish=False)))  # it ticks there too
        await service.released()
        assert [record.topic for record in sent.records] == ["monitor.state"]

    asyncio.run(run())


def test_what_could_not_be_sent_is_sent_later_and_once() -> None:
    async def run() -> None:
        given, sent = process(), Sent(failures=2)
        service = MonitorService(given.handler, sent)
        given.handler.outbox += [OutRecord("alerts", b"a", b"1"), OutRecord("alerts", b"b", b"2")]
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                await service._publish()
        await service._publish()
        await service._publish()
        assert [record.key for record in sent.records] == [b"a", b"b"]

    asyncio.run(run())


def test_a_kept_state_is_sent_once_all_that_it_has_behind_it_is_confirmed() -> None:
    """Where it stood and that did not, whoever took it up would say none of that again."""

    async def run() -> None:
        given, sent = process(), Sent(failures=1)
        service = MonitorService(given.handler, sent)
        state, told = OutRecord("monitor.state", b"a", b"1"), OutRecord("stories.support", b"b", b"2")
        given.handler.outbox += [told, state]
        with pytest.raises(BrokerUnavailable):
            await service._publish()
        assert sent.records == [] and given.handler.outbox == [told, state]
        asked = list[list[str]]()

        async def send_all(records: Sequence[OutRecord]) -> None:
            asked.append([record.topic for record in records])

        await MonitorService(given.handler, send_all)._publish()
        assert asked == [["stories.support"], ["monitor.state"]]

    asyncio.run(run())


def test_what_is_still_being_sent_when_a_monitor_begins_anew_takes_nothing_of_the_new_with_it() -> None:
    """A broker that was slow over a rebalance: once it confirmed the old records, as many new ones were gone."""

    async def run() -> None:
        given, confirm, sent = process(), asyncio.Event(), list[OutRecord]()
        old, new = OutRecord("alerts", b"a", b"1"), OutRecord("alerts", b"b", b"2")

        async def send_all(records: Sequence[OutRecord]) -> None:
            sent.extend(records)
            await confirm.wait()

        service = MonitorService(given.handler, send_all)
        given.handler.outbox.append(old)
        publishing = asyncio.create_task(service._publish())
        while not sent:
            await asyncio.sleep(0)
        given.handler.drop()
        given.handler.outbox.append(new)
        confirm.set()
        await publishing
        await service._publish()
        assert sent == [old, new] and given.handler.outbox == []

    asyncio.run(run())


def test_an_alert_that_kafka_never_takes_is_left_out_said_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """It would otherwise be sent, and refused, for ever, and nothing after it would be told."""

    async def run() -> None:
        given = process()
        refused, fine = OutRecord("alerts", b"a", b"1" * 9), OutRecord("alerts", b"b", b"2")

        async def send_all(records: Sequence[OutRecord]) -> None:
            raise RecordsRefused([Refusal(refused, MessageError("too_large", "nine bytes"))])

        given.handler.outbox += [refused, fine]
        left_out: list[str] = []
        await MonitorService(given.handler, send_all, left_out.append)._publish()
        assert (given.handler.outbox, left_out) == ([], ["alerts"])

    asyncio.run(run())
    assert "a record of alerts is left out: nine bytes" in caplog.text


def test_a_rebalance_that_would_not_wait_leaves_nothing_of_before() -> None:
    """Kafka gives a member so long to let go; after that it must not go on with what it held."""

    async def run() -> None:
        given, sent = process(), Sent()
        service = MonitorService(given.handler, sent)
        await service.assigned(OURS)
        await until_active(service, given)
        before, busy = given.handler.core, threading.Event()
        service._observe.submit(busy.wait)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await service.released()
        busy.set()
        await service.assigned(OURS)
        await asyncio.wrap_future(service._observe.submit(lambda: None))
        await until_active(service, given)
        async with asyncio.timeout(120):
            while given.handler.core is before or given.handler.core is None:
                await asyncio.sleep(0.01)
        await service.released()

    asyncio.run(run())


@contextlib.contextmanager
def held_up(given: Process, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Rebuilding its state says that it has begun by the first, and waits for the second."""
    rebuilding, go_on = threading.Event(), threading.Event()

    def snapshot() -> None:
        rebuilding.set()
        assert go_on.wait(120)

    with monkeypatch.context() as patch:
        patch.setattr(given.sources, "snapshot", snapshot)
        yield rebuilding, go_on


@pytest.mark.parametrize("waits", [True, False], ids=["that waits", "that would not wait"])
def test_a_monitor_that_is_relieved_while_it_rebuilds_is_never_active(
    waits: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It said "active" minutes after another monitor was, and followed labels beside it."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        given, sent = process(), Sent()
        with held_up(given, monkeypatch) as (rebuilding, go_on):
            service = MonitorService(given.handler, sent)
            await service.assigned(OURS)
            await asyncio.to_thread(rebuilding.wait, 120)
            released = asyncio.ensure_future(service.released())
            await asyncio.sleep(0)
            if not waits:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(released, 0.05)
            go_on.set()
            await asyncio.wait([released])
            delivery = Delivery(APP.signals_topic, 0, 3, None, b"[]", given.world.now_ms)
            await service._observe([delivery])  # one that was on its way
        assert given.handler.core is None and sent.records == [] == given.handler.outbox
        assert given.sources._labels_read is None and not given.handler.is_rebuilding
        assert "is active" not in caplog.text and "relieved" in caplog.text
        await service.assigned(OURS)
        await until_active(service, given)
        await service.released()
        assert "is active" in caplog.text, "it may be again"

    asyncio.run(run())


@pytest.mark.parametrize("at", ["signals", "thresholds"])
def test_rebuilding_that_would_never_end_is_given_up_when_the_monitor_is_relieved(
    at: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A stop waited until all signals were read again and thresholds simulated: 17 s on a machine that was busy."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        given, sent, begun = process(), Sent(), threading.Event()

        def without_end(one: Any) -> Iterator[Any]:
            for _ in itertools.count():
                yield one
                begun.set()

        read = given.sources.read

        def read_without_end(topic: str, *stretch: Any) -> Any:
            records: list[Record] = list(read(topic, *stretch))
            return without_end(records[0]) if topic == APP.signals_topic else records

        with monkeypatch.context() as patch:
            if at == "signals":
                patch.setattr(given.sources, "read", read_without_end)
            else:
                patch.setattr(
                    "streams.monitor.drift.thresholds._orders",
                    lambda own, *_: SimpleNamespace(T=without_end(own[:, 0])),
                )
            service = MonitorService(given.handler, sent)
            await service.assigned(OURS)
            assert await asyncio.to_thread(begun.wait, 120)
            await service.released()
        assert given.handler.core is None and sent.records == [] == given.handler.outbox
        assert not given.handler.is_rebuilding
        assert "is active" not in caplog.text and "relieved" in caplog.text
        await service.assigned(OURS)
        await until_active(service, given)
        await service.released()

    asyncio.run(run())


def test_a_monitor_that_is_relieved_again_before_it_could_begin_anew_is_never_active(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Relieved, given the signals again and relieved again within one rebuilding: what waited for the thread made it
    active."""
    caplog.set_level(logging.INFO)

    async def run() -> None:
        given, sent = process(), Sent()
        with held_up(given, monkeypatch) as (rebuilding, go_on):
            service = MonitorService(given.handler, sent)
            await service.assigned(OURS)
            await asyncio.to_thread(rebuilding.wait, 120)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(service.released(), 0.05)
            await service.assigned(OURS)
            released = asyncio.ensure_future(service.released())
            await asyncio.sleep(0.05)
            go_on.set()
            await asyncio.wait([released])
        assert given.handler.core is None and "is active" not in caplog.text

    asyncio.run(run())


def test_the_monitors_thread_ends_with_its_pipeline() -> None:
    """S-A17 u, here as well: each monitor of a process left its thread behind."""

    async def run() -> None:
        before = set(threading.enumerate())
        given, sent = process(), Sent()
        service = MonitorService(given.handler, sent)
        pipeline = service.pipeline(lambda _: None)
        pipeline.start()
        await service.assigned(OURS)
        await until_active(service, given)
        (thread,) = [thread for thread in set(threading.enumerate()) - before if "-monitor" in thread.name]
        await service.released()
        await pipeline.abort()
        thread.join(60.0)
        assert not thread.is_alive()

    asyncio.run(run())
