"""Signals travel as lists, each short enough for one record."""

import asyncio
from collections.abc import Sequence

import orjson
import pytest

from models.errors import MessageError
from streams.application import Application, HeadSpec
from streams.classify.worker import worker_pipeline
from streams.engine.delivery import Delivery, Outcome, OutRecord, RecordsRefused, Refusal, Step

APP = Application(name="a", topic="t", heads=(HeadSpec(name="h", column="h"),))


class Decides:
    """Gives every delivery a signal with symbols that take `symbol` each."""

    def __init__(self, symbol: str) -> None:
        self._signal = {"id": "x", "symbols": [symbol] * 32}

    @property
    def steps(self) -> Sequence[Step]:
        return (("decide", self.decide),)

    def decide(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            delivery.result = Outcome([], signal=self._signal | {"offset": delivery.offset})


@pytest.mark.parametrize("symbol", ["A", "🙂" * 32, "\x01" * 32], ids=["short", "long", "control characters"])
def test_no_batch_makes_a_record_of_signals_that_a_broker_refuses(symbol: str) -> None:
    """256 signals with 32 symbols of 32 characters made a record of 1.3 to 1.6 MB, which ended the worker."""

    async def run() -> list[OutRecord]:
        sent: list[OutRecord] = []

        async def send_all(records: Sequence[OutRecord]) -> None:
            sent.extend(records)

        pipeline = worker_pipeline(APP, Decides(symbol), send_all, lambda _: None)
        pipeline.start()
        await pipeline.submit([Delivery("t", 0, offset, None, b"v", 0) for offset in range(600)])
        await pipeline.drain(20.0)
        await pipeline.abort()
        return sent

    sent = asyncio.run(run())
    assert all(len(record.value or b"") < 1_000_000 for record in sent)
    signals = [signal for record in sent for signal in orjson.loads(record.value or b"")]
    assert [signal["offset"] for signal in signals] == list(range(600))


def test_signals_of_one_source_partition_stay_in_its_order_wherever_signals_have_several_partitions() -> None:
    """The embedded broker gives each topic four. Signals without a key went to any of them, and items that were read
    after later ones of their partition passed for repeats: they had no story."""

    async def run() -> list[OutRecord]:
        sent: list[OutRecord] = []

        async def send_all(records: Sequence[OutRecord]) -> None:
            sent.extend(records)

        pipeline = worker_pipeline(APP, Decides("A"), send_all, lambda _: None)
        pipeline.start()
        for first in (0, 100):
            offsets = range(first, first + 100)
            await pipeline.submit([Delivery("t", number % 3, number, None, b"v", 0) for number in offsets])
        await pipeline.drain(20.0)
        await pipeline.abort()
        return sent

    by_key: dict[bytes | None, list[int]] = {}
    for record in asyncio.run(run()):
        by_key.setdefault(record.key, []).extend(signal["offset"] for signal in orjson.loads(record.value or b""))
    assert by_key == {f"t-{partition}".encode(): list(range(partition, 200, 3)) for partition in range(3)}


def test_signals_that_kafka_never_takes_are_counted_and_stop_nothing() -> None:
    """They were left out with a warning alone: a monitor that sees nothing looked like a quiet stream."""

    async def run() -> list[str]:
        left_out: list[str] = []

        async def send_all(records: Sequence[OutRecord]) -> None:
            if records:
                raise RecordsRefused([Refusal(record, MessageError("too_large", "no")) for record in records])

        pipeline = worker_pipeline(APP, Decides("A"), send_all, lambda _: None, on_left_out=left_out.append)
        pipeline.start()
        await pipeline.submit([Delivery("t", 0, 0, None, b"v", 0)])
        assert await pipeline.drain(20.0) == 0
        await pipeline.abort()
        return left_out

    assert asyncio.run(run()) == ["signals.a"]
