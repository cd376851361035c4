"""Changes of a database through the worker's engine: creates are decided, deletes and tombstones cost nothing."""

import asyncio
from collections.abc import Iterator, Sequence

import orjson
from small_release import small_release

from streams.application import Application, HeadSpec, Source
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.classify.worker import worker_pipeline
from streams.engine.dead_letter_limit import DeadLetterLimit
from streams.engine.delivery import Delivery, OutRecord

NOW_MS = 1_789_999_000_123
APP = Application(
    name="support",
    topic="db.tickets",
    heads=(HeadSpec(name="intent", column="intent"),),
    source=Source(text="/payload/after/body", key="/payload/after/id", at="/payload/ts_us"),
)


def change(number: int, operation: str) -> bytes:
    after = {"id": number, "body": f"refund please {number}"}
    is_delete = operation == "d"
    payload = {
        "op": operation,
        "ts_us": NOW_MS * 1_000,
        "before": after if is_delete else None,
        "after": None if is_delete else after,
    }
    return orjson.dumps({"schema": {"type": "struct"}, "payload": payload})


def changes(rows: int) -> Iterator[bytes | None]:
    for number in range(rows):
        yield from (change(number, "c"), change(number, "d"), None)


def test_creates_are_decided_and_deletes_and_tombstones_are_passed_over_without_reaching_the_limit() -> None:
    """F-13: 60 creates, 60 deletes and 60 tombstones gave 120 dead letters, and the worker left: "120 of the last 180
    records could not be decided"."""

    async def run() -> tuple[list[OutRecord], int | None, BaseException | None]:
        sent: list[OutRecord] = []

        async def send_all(records: Sequence[OutRecord]) -> None:
            sent.extend(record for record in records if record.topic != APP.signals_topic)

        handler = ClassifyHandler(APP, Serving(small_release().classifier), {APP.topic: "e0"}, now_ms=lambda: NOW_MS)
        limit = DeadLetterLimit(APP.max_dead_letter_share)
        pipeline = worker_pipeline(APP, handler, send_all, lambda _: None, limit.observe_outcomes)
        pipeline.start()
        await pipeline.submit([Delivery(APP.topic, 0, n, b"k", value, NOW_MS) for n, value in enumerate(changes(60))])
        await pipeline.drain(300.0)
        await pipeline.abort()
        return sent, pipeline.positions.get((APP.topic, 0)), pipeline.failure

    sent, position, failure = asyncio.run(run())
    assert (failure, position) == (None, 180)
    assert [record.topic for record in sent] == [APP.decisions_topic] * 60
    decisions = [orjson.loads(record.value or b"") for record in sent]
    assert [decision["key"] for decision in decisions] == [str(number) for number in range(60)]
    assert {decision["at"] for decision in decisions} == {"2026-09-21T13:56:40.123Z"}
