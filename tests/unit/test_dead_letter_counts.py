"""How many dead letters are an application's own, among however many others."""

import asyncio

import pytest

from connectors.deadletters import APP_MARK, build_dead_letter, read_origin
from connectors.ports import Record
from streams.engine.delivery import OutRecord
from streams.monitor.rules.letters import Letters, Stretch, stretches
from streams.topics import DEAD_LETTERS_TOPIC
from streams.wire.sending import signed

ENDS = {"chats": {0: 1_000_000}}


def letter(offset: int, app: str | None = "support", topic: str = "chats", reason: str = "no_text") -> Record:
    built = build_dead_letter(
        topic=topic, partition=0, offset=offset, key=None, value=b"", reason=reason, error="", max_bytes=10_000
    )
    own = () if app is None else ((APP_MARK, app.encode()),)
    return Record(DEAD_LETTERS_TOPIC, 0, 0, None, b"", 0, (*built.headers, *own))


def count(log: list[Record], at_most: int = 20_000) -> Letters:
    letters = Letters("support", ["chats"], ENDS)
    for part in stretches({0: 0}, {0: len(log)}, at_most):
        for record in log[part.first : part.end]:
            letters.take(record, part.stands_for)
    return letters


def test_few_letters_are_counted_one_by_one() -> None:
    seen = count([letter(n) for n in range(30)]).undecided(70)
    assert (seen.letters, seen.decided, seen.reasons, seen.is_estimate) == (30, 70, {"no_text": 30}, False)
    assert seen.ids == [f"chats-0-{n}" for n in range(20, 30)]


def test_a_letter_counts_for_the_application_that_wrote_it() -> None:
    """Of two that read one topic each was told of the other's letters as well."""
    log = [letter(1, "support"), letter(2, "finance"), letter(3, None), letter(4, "support", topic="news")]
    assert count(log).undecided(0).ids == ["chats-0-1", "chats-0-3"]


def test_what_is_of_no_record_or_comes_again_is_no_letter() -> None:
    """Anybody may write to the topic, and a worker that is killed writes some twice."""
    log = [letter(1), letter(1), letter(1_000_000), letter(-1), Record(DEAD_LETTERS_TOPIC, 0, 0, None, b"x", 0)]
    assert count(log).undecided(0).letters == 1


@pytest.mark.parametrize("others_first", [True, False])
def test_more_letters_than_are_read_hide_none(others_first: bool) -> None:
    """The first 20,000 alone were read: of 50,000 of our own 30,000 were missing, and others' in front hid them all."""
    own, others = [letter(n) for n in range(5_000)], [letter(n, "finance") for n in range(20_000)]
    log = others + own if others_first else own + others
    seen = count(log, at_most=2_000).undecided(5_000)
    assert seen.is_estimate and abs(seen.letters - 5_000) <= 500
    assert abs(sum(seen.reasons.values()) - seen.letters) <= 1


def test_stretches_cover_partitions_by_their_length_and_read_no_more_than_asked() -> None:
    assert stretches({0: 5, 1: 7}, {0: 9, 1: 7}) == [Stretch(0, 5, 9)]
    parts = stretches({0: 0, 1: 0, 2: 0}, {0: 90_000, 1: 10_000, 2: 1}, 1_000)
    assert sum(part.end - part.first for part in parts) <= 1_001
    covered = {
        p: sum(round(one.stands_for * (one.end - one.first)) for one in parts if one.partition == p) for p in range(3)
    }
    assert covered == {0: 90_000, 1: 10_000, 2: 1}


def test_a_worker_signs_its_dead_letters_and_nothing_else() -> None:
    sent: list[OutRecord] = []

    async def send_all(records: list[OutRecord]) -> None:
        sent.extend(records)

    headers = list(letter(1, None).headers)
    send = signed("support", send_all)  # type: ignore[arg-type]  # a list is a sequence
    asyncio.run(send([OutRecord(DEAD_LETTERS_TOPIC, None, b"", headers), OutRecord("decisions.support", None, b"")]))
    asyncio.run(send(sent[:1]))
    assert read_origin(sent[0].headers).app == "support" and sent[1].headers == []
    assert [name for name, _ in sent[0].headers].count(APP_MARK) == 1
