"""What becomes of records that Kafka refuses for good."""

import asyncio
from collections.abc import Sequence

import pytest

from connectors.deadletters import DeadLetter, build_dead_letter, cut_dead_letter, read_origin, wire_bytes
from connectors.errors import TopicMismatch
from models.errors import MessageError
from streams.engine.delivery import Delivery, Outcome, OutRecord, RecordsRefused, Refusal
from streams.topics import DEAD_LETTERS_TOPIC
from streams.wire.sending import send_outcomes


class Kafka:
    """Takes records up to a limit for each topic."""

    def __init__(self, reason: str = "too_large", **limits: int) -> None:
        self._reason, self._limits, self.log = reason, limits, list[OutRecord]()

    async def send_all(self, records: Sequence[OutRecord]) -> None:
        refused = [record for record in records if len(record.value or b"") > self._limits.get(record.topic, 10**9)]
        self.log += [record for record in records if record not in refused]
        if refused:
            raise RecordsRefused([Refusal(record, MessageError(self._reason, "no")) for record in refused])


def delivery(offset: int, *records: OutRecord, value: bytes = b"text") -> Delivery:
    return Delivery("chats", 0, offset, b"k", value, 0, result=Outcome(list(records)))


def test_a_refused_decision_becomes_a_dead_letter_and_its_neighbours_stay_as_they_are() -> None:
    """D-A1: one record with a 600 kB key blocked its partition for ever."""
    kafka = Kafka(decisions=100)
    batch = [delivery(0, OutRecord("decisions", b"k", b"d0")), delivery(1, OutRecord("decisions", b"k", b"d" * 101))]
    assert asyncio.run(send_outcomes(kafka.send_all, batch, [OutRecord("signals", None, b"s")])) == []
    assert [(record.topic, record.value) for record in kafka.log] == [
        ("decisions", b"d0"),
        ("signals", b"s"),
        (DEAD_LETTERS_TOPIC, b"text"),
    ]
    assert [delivery.result.rejected_because for delivery in batch] == [None, "too_large"]
    assert read_origin(kafka.log[2].headers).offset == 1


def test_a_refused_trial_or_signal_does_not_touch_the_decision() -> None:
    kafka = Kafka(trials=3, signals=3)
    batch = [delivery(0, OutRecord("decisions", b"k", b"d0"), OutRecord("trials", b"k", b"long"))]
    left_out = asyncio.run(send_outcomes(kafka.send_all, batch, [OutRecord("signals", None, b"long")]))
    assert sorted(left_out) == ["signals", "trials"]
    assert [record.topic for record in kafka.log] == ["decisions"]
    assert batch[0].result.rejected_because is None


@pytest.mark.parametrize("limit", [500_000, 40_000, 5_000])
def test_a_dead_letter_is_cut_until_its_topic_takes_it(limit: int) -> None:
    """S-A6: a `deadletters` topic that somebody else made takes 1 MB, so the dead letter of a large record ended the
    worker."""
    kafka = Kafka(decisions=1, **{DEAD_LETTERS_TOPIC: limit})
    value = b"v" * 1_000_000
    batch = [delivery(0, OutRecord("decisions", b"k", b"dd"), value=value), delivery(1)]
    asyncio.run(send_outcomes(kafka.send_all, batch))
    (letter,) = kafka.log
    assert limit // 3 < len(letter.value or b"") <= limit
    assert value.startswith(letter.value or b"")
    assert read_origin(letter.headers).truncated_bytes == len(value)


@pytest.mark.parametrize("reason", ["too_large", "refused"])
def test_a_topic_that_takes_no_dead_letters_at_all_stops_the_worker(reason: str) -> None:
    kafka = Kafka(reason, decisions=1, **{DEAD_LETTERS_TOPIC: 0})
    batch = [delivery(0, OutRecord("decisions", b"k", b"dd"))]
    with pytest.raises(TopicMismatch, match=r"max\.message\.bytes and cleanup\.policy"):
        asyncio.run(send_outcomes(kafka.send_all, batch))


def letter(value: bytes, key: bytes = b"k", max_bytes: int = 2_000_000) -> DeadLetter:
    return build_dead_letter(
        topic="chats",
        partition=0,
        offset=7,
        key=key,
        value=value,
        reason="too_large",
        error="e",
        max_bytes=max_bytes,
        headers=[("trace", b"t" * 900)],
    )


def test_cutting_twice_keeps_telling_the_original_lengths() -> None:
    cut = cut_dead_letter(cut_dead_letter(letter(b"v" * 100_000, b"k" * 50_000), 60_000), 20_000)
    assert wire_bytes(cut) <= 20_000
    lengths = {name: value for name, value in cut.headers if "truncated" in name}
    assert lengths == {"headrace-truncated": b"100000", "headrace-key-truncated": b"50000"}
    assert len(cut.headers) == len({name for name, _ in cut.headers})


def test_a_dead_letter_that_fits_stays_as_it_is() -> None:
    whole = letter(b"v" * 10_000)
    assert cut_dead_letter(whole, 20_000) == whole
