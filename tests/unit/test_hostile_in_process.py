"""Hostile records through the classify agent without Kafka: each gets its verdict, and what comes out can be sent."""

from collections import Counter

import orjson
from small_release import small_release

from bench.faults.hostile.records import KINDS, hostile_records
from bench.faults.hostile.shapes import DECIDED, PASSED_OVER, SHAPES, HostileRecord
from streams.application import Application, HeadSpec, Source
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.clock import wall_clock_ms
from streams.engine.delivery import Delivery, Outcome
from streams.topics import DEAD_LETTER_MAX_BYTES, SOURCE_MAX_BYTES

ROUNDS = 8
APP = Application(
    name="support",
    topic="t",
    heads=(HeadSpec(name="intent", column="intent"),),
    source=Source(key="/conversation_id", keep="all"),
)


def delivery(offset: int, record: HostileRecord) -> Delivery:
    headers = [(name, content or b"") for name, content in record.headers]
    written_ms = record.timestamp_ms or wall_clock_ms()
    return Delivery(APP.topic, 0, offset, record.key, record.value, written_ms, headers=headers)


def what_became(outcome: Outcome) -> str:
    if outcome.passed_over is not None:
        return PASSED_OVER
    return outcome.rejected_because or DECIDED


def test_every_hostile_record_gets_its_verdict_and_what_comes_of_it_can_be_sent() -> None:
    """S-A6, D-A1, D-A2, F-10, F-13, F-14, F-24 to F-36: each of these ended a worker or was dealt with wrongly."""
    records = list(hostile_records(ROUNDS * (len(KINDS) + len(SHAPES)), seed=11))
    batch = [delivery(offset, record) for offset, record in enumerate(records)]
    handler = ClassifyHandler(APP, Serving(small_release().classifier), {APP.topic: "e0"})
    for _, step in handler.steps:
        step(batch)
    outcomes: list[Outcome] = [delivery.result for delivery in batch]
    wrong = Counter(
        f"{record.kind}: {what_became(outcome)}, not {record.verdict}"
        for record, outcome in zip(records, outcomes, strict=True)
        if record.verdict is not None and what_became(outcome) != record.verdict
    )
    assert not wrong, wrong
    for record, outcome in zip(records, outcomes, strict=True):
        assert outcome.passed_over is None or record.verdict == PASSED_OVER, record.kind
        for sent in outcome.records:
            limit = SOURCE_MAX_BYTES if outcome.rejected_because is None else DEAD_LETTER_MAX_BYTES
            size = len(sent.key or b"") + len(sent.value or b"") + sum(len(n) + len(c) for n, c in sent.headers)
            assert size < limit - 512, record.kind
        if outcome.rejected_because is None and outcome.records:
            extra = orjson.loads(outcome.records[0].value or b"")["extra"]
            assert extra.keys() >= set(record.marks), record.kind
    assert handler.failures.counts == {}
