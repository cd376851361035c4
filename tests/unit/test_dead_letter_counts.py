"""How many dead letters are an application's own, among however many others."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from connectors.deadletters import APP_MARK, build_dead_letter, read_origin
from connectors.ports import Record
from streams.engine.delivery import OutRecord
from streams.monitor.rules.causes import Level
from streams.monitor.rules.letters import Letters, Stretch, stretches
from streams.monitor.rules.outside import Sample, Undecided, dead_letters
from streams.rule_specs import DeadLettersRule
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
        letters.begin(part)
        for record in log[part.first : part.end]:
            letters.take(record)
    return letters


def test_few_letters_are_counted_one_by_one() -> None:
    seen = count([letter(n) for n in range(30)]).undecided(70)
    assert (seen.letters, seen.decided, seen.reasons, seen.sample) == (30, 70, {"no_text": 30}, None)
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
    assert seen.sample is not None and abs(seen.letters - 5_000) <= 500
    assert abs(sum(seen.reasons.values()) - seen.letters) <= 1


RULE = DeadLettersRule(kind="dead_letters", share=0.05)


def counted(mine: set[int], length: int) -> Letters:
    """Of a log in which some places are our own letters, by a sample of 200."""
    letters = Letters("support", ["chats"], ENDS)
    for part in stretches({0: 0}, {0: length}, 200):
        letters.begin(part)
        for place in range(part.first, part.end):
            letters.take(letter(place, "support" if place in mine else "finance"))
    return letters


def level(mine: set[int], decided: int = 1_000) -> Level:
    return dead_letters(RULE, counted(mine, 100_000).undecided(decided)).level


def test_one_letter_read_of_a_sample_is_no_alert_and_many_are() -> None:
    """Each letter read stands for 500 here, and was held to `least` as so many."""
    part = stretches({0: 0}, {0: 100_000}, 200)[7]
    assert level({part.first}) is Level.BETWEEN
    assert level(set(range(part.first, part.end))) is Level.BETWEEN, "all in one stretch"
    assert level(set(range(0, 100_000, 3))) is Level.OVER
    assert level(set()) is Level.CALM


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_a_sample_holds_what_there_is(seed: int) -> None:
    random, held_it = np.random.default_rng(seed), 0
    for _ in range(20):
        share = 0.2 * (1 + np.sin(np.arange(50_000) / 5_000))  # it comes and goes
        mine = set(np.flatnonzero(random.random(50_000) < share).tolist())
        sample = counted(mine, 50_000).undecided(0).sample
        assert sample is not None
        held_it += sample.between[0] <= len(mine) <= sample.between[1]
    assert held_it >= 18


def test_where_the_interval_holds_the_limit_nothing_is_said() -> None:
    about = Undecided(600, 9_400, {"no_text": 600}, [], Sample(60, (400.0, 800.0)))
    finding = dead_letters(RULE, about)
    assert finding.level is Level.BETWEEN and "4% to 8% by a sample" in finding.summary
    assert dead_letters(RULE, replace(about, sample=Sample(60, (550.0, 650.0)))).level is Level.OVER
    assert dead_letters(RULE, replace(about, letters=200, sample=Sample(20, (100.0, 300.0)))).level is Level.BETWEEN
    assert dead_letters(RULE, replace(about, letters=200, sample=Sample(20, (160.0, 230.0)))).level is Level.CALM


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
