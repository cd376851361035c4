"""A replay asks the bank of answers as it was: what it answers is what workers answered."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from small_release import manifest_bytes, small_release
from test_answer_bank import ENTRIES, WordHashes
from test_answers_in_decisions import TOPIC, Log, app

from connectors.answers.sqlite import IN_MEMORY, SQLiteAnswers
from connectors.ports import Answer, Record
from headrace.replay.banks import ReplayBank
from headrace.replay.collecting import Replayed, take
from headrace.replay.live_decisions import LiveDecisions
from headrace.replay.pipeline import decide_records, replay_handler
from headrace.tools.answers.bank import AnswerBank
from headrace.tools.answers.history import BankHistory
from headrace.tools.answers.live import LiveBank
from headrace.tools.answers.topic import publish
from models.bundle import unpack
from models.classifier import Classifier
from streams.application import Application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery
from streams.replay.answers import Answers

PREFIX = "chats@e0-"
ASKED = ("how about card", "how about pin", "what of the weather", "how about trams", "how about refund")
TIMES = {"decided_at", "latency_ms"}


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    release = small_release()
    return unpack(manifest_bytes(release), release.blobs.__getitem__, version="1", threads=1)


class Encoder(WordHashes):
    """Of the application, which is not the small release's."""


class World:
    """A worker that decides while its bank is changed. records: of its source, one partition. decisions: what it wrote.
    log: the bank's topic."""

    def __init__(self, desk: Application, classifier: Classifier) -> None:
        self.desk, self.classifier, self.now_ms = desk, classifier, 1_795_000_000_000
        self.log, self.records, self.decisions = Log(), list[Record](), list[dict[str, Any]]()
        self._store = SQLiteAnswers(IN_MEMORY)
        self._bank = LiveBank(lambda: None, TOPIC, Encoder)  # type: ignore[arg-type, return-value]
        self._bank.rebuild = lambda: None  # type: ignore[method-assign]
        self._handler = ClassifyHandler(
            desk, Serving(classifier), {"chats": "e0"}, now_ms=lambda: self.now_ms, bank=self._bank
        )

    def change(self, entries: Sequence[Answer], remove: Sequence[str] = ()) -> None:
        self.now_ms += 1_000
        bank, before = AnswerBank(self._store, Encoder()), len(self.log.records)
        bank.add(entries)
        bank.remove(remove)
        publish(self._store, self.log.last, self.log, TOPIC)  # type: ignore[arg-type]
        for place in range(before, len(self.log.records)):
            self.log.records[place] = replace(self.log.records[place], timestamp_ms=self.now_ms)
            self._bank.take(self.log.records[place])

    def decide(self, texts: Sequence[str] = ASKED) -> None:
        self.now_ms += 1_000
        for text in texts:
            value = orjson.dumps({"text": text})
            self.records.append(Record("chats", 0, len(self.records), b"k", value, self.now_ms))
        batch = [
            Delivery(one.topic, one.partition, one.offset, one.key, one.value, one.timestamp_ms)
            for one in self.records[-len(texts) :]
        ]
        for _, step in self._handler.steps:
            step(batch)
        self.decisions += [orjson.loads(delivery.result.records[0].value) for delivery in batch]

    def replay(
        self,
        log: Sequence[Record] | None = None,
        decisions: Sequence[Mapping[str, Any]] | None = None,
        *,
        now: bool = False,
        start: int = 0,
    ) -> tuple[list[dict[str, Any]], ReplayBank, Replayed]:
        history = BankHistory(Encoder)
        for record in self.log.records if log is None else log:
            history.take(record)
        live = LiveDecisions({0: start}, {0: len(self.records)}, PREFIX, "support@1", history.standing_at, 100)
        live.fill(self.decisions if decisions is None else decisions)
        bank = ReplayBank(history, None if now else live)
        handler = replay_handler(self.desk, self.classifier, "chats", "e0", bank=bank, past=lambda _: live.before)
        if handler.conversations is not None:
            handler.conversations.assigned([("chats", 0)])
        replayed, found = Replayed(("a@1",), Answers(("intent",), ("a@1",))), list[dict[str, Any]]()
        for batch in decide_records(self.records[start:], [handler], self.desk.decisions_topic):
            take(batch, replayed, self.desk, None, None, live)
            found += [event.decisions[0] for event in batch if event.decisions[0] is not None]
        return found, bank, replayed


@pytest.fixture
def world(classifier: Classifier) -> World:
    desk = app().model_copy(update={"answers": {}})
    made = World(desk, classifier)
    made.decide()  # there is no bank yet
    made.change(ENTRIES)
    made.decide()
    made.change([Answer("trams", "how about trams", "They run."), replace(ENTRIES[0], answer="another one")], ["pin"])
    made.decide()
    return made


def timeless(decisions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without what depends on the moment; and the last digit of a score may depend on what else is in a batch."""
    told: list[dict[str, Any]] = orjson.loads(orjson.dumps(decisions))
    for one in told:
        for name in TIMES:
            del one[name]
        for head in one["labels"].values():
            head["oos_score"] = round(head.get("oos_score") or 0.0, 4)
    return told


def test_a_replay_answers_as_the_workers_did_while_the_bank_changed(world: World) -> None:
    given = [decision.get("answer", {}).get("text") for decision in world.decisions]
    assert given[0] is None and given[5] == "card is answered here" and given[10] == "another one"
    assert given[6] == "pin is answered here" and given[13] == "They run."
    found, bank, replayed = world.replay()
    assert timeless(found) == timeless(world.decisions)
    assert not bank.gone and (replayed.compared, replayed.same) == (15, 15)
    assert replayed.given["bank"] == sum(text is not None for text in given)
    assert len(replayed.banks) == 2 and sum(replayed.banks.values()) == 10


def test_a_bank_that_compaction_took_is_said_and_not_asked(world: World) -> None:
    found, bank, replayed = world.replay(world.log.compacted())
    (gone,) = {decision["bank"] for decision in world.decisions[5:10]}
    assert bank.gone == {gone: 5}
    assert timeless(found[10:]) == timeless(world.decisions[10:])
    assert all("answer" not in decision and "bank" not in decision for decision in found[:10])
    assert replayed.compared == 15 and replayed.same < 15


def test_the_bank_as_it_stands_now_is_asked_where_that_is_wanted(world: World) -> None:
    found, bank, _ = world.replay(world.log.compacted(), now=True)
    answers = [decision.get("answer", {}).get("text") for decision in found]
    assert answers[:5] == answers[5:10] == answers[10:] and answers[0] == "another one" and not bank.gone


def test_of_decisions_that_name_no_bank_the_one_of_their_time_is_asked(world: World) -> None:
    old = [{name: value for name, value in one.items() if name != "bank"} for one in world.decisions]
    found, bank, _ = world.replay(decisions=old)
    assert timeless(found) == timeless(world.decisions) and not bank.gone
    _, bank, _ = world.replay(log=[], decisions=old)
    assert bank.gone == {"unknown": sum("answer" in decision for decision in old)}


def test_an_event_that_nobody_decided_asks_the_bank_of_its_own_time(world: World) -> None:
    found, _, replayed = world.replay(decisions=[])
    assert timeless(found) == timeless(world.decisions) and replayed.compared == 0


def test_of_repeated_decisions_the_first_counts_and_others_are_passed_over(world: World) -> None:
    repeats = [{**one, "bank": "of another time"} for one in world.decisions]
    strangers = [{**one, "id": "chats@e1-0-7"} for one in repeats] + [{**one, "id": "x"} for one in repeats]
    found, bank, _ = world.replay(decisions=[*strangers, *world.decisions, *repeats])
    assert timeless(found) == timeless(world.decisions) and not bank.gone


def test_a_stretch_begins_with_what_its_conversations_were(classifier: Classifier) -> None:
    desk = app("[conversations]\n").model_copy(update={"answers": {}})
    world = World(desk, classifier)
    world.change(ENTRIES)
    world.decide()
    world.decide()
    assert world.decisions[-1]["conversation"]["version"] == 10
    found, _, replayed = world.replay(start=5)
    assert timeless(found) == timeless(world.decisions[5:]) and replayed.same == replayed.compared == 5


@pytest.fixture
def many() -> Iterator[BankHistory]:
    yield BankHistory(Encoder)


def test_a_history_is_bounded(many: BankHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.tools.answers.history.MOST_VERSIONS", 3)
    log, store = Log(), SQLiteAnswers(IN_MEMORY)
    names = list[str]()
    for number in range(6):
        AnswerBank(store, Encoder()).add([Answer(f"a{number}", f"question {number}", "x")])
        publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    for record in log.records:
        many.take(record)
        names += [many.newest] if many.newest and many.newest not in names else []
    assert [name in many for name in names] == [False, False, False, True, True, True]
    for name in names[3:]:
        assert many.best(name, "question 2", Encoder(), None) is not None
    assert len(many._open) == 2


def test_a_topic_of_four_partitions_tells_the_same_history(world: World, tmp_path: Path) -> None:
    """The embedded broker gives it four; they are read side by side, by the records' times."""
    import heapq

    place = {record.key: number % 4 for number, record in enumerate(world.log.records)}
    parts = [[one for one in world.log.records if place[one.key] == partition] for partition in range(4)]
    spread = list(heapq.merge(*parts, key=lambda record: record.timestamp_ms))
    assert spread != world.log.records
    found, bank, _ = world.replay(spread)
    assert timeless(found) == timeless(world.decisions) and not bank.gone
