"""Answers from the bank in decisions: a function of the topic, what the command finds as well, ready ones first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import orjson
import pytest
from small_fast_path import classifier_with, small_fast_path
from small_release import SUBJECTS
from test_answer_bank import ENTRIES, TOPICS, WordHashes

from connectors.answers.sqlite import SQLiteAnswers
from connectors.ports import Answer, AnswerVectors, Record
from headrace.slot_finders import slot_finder
from headrace.tools.answers.asking import AskedBank
from headrace.tools.answers.bank import AnswerBank
from headrace.tools.answers.live import LiveBank
from headrace.tools.answers.topic import differs, publish
from models.decision import Classification, HeadDecision, LabelAnswer
from models.errors import ConfigError
from streams.application import Application, parse_application
from streams.classify.handler import ClassifyHandler
from streams.classify.serving import Serving
from streams.engine.delivery import Delivery, Outcome
from streams.routing.answers import FoundInBank
from streams.routing.replies import Message, Replier
from streams.wire.records import Decision
from streams.wire.records.answers import BANK_KEY

TOPIC = "answers.bank.desk"
FILE = """
name = "desk"
topic = "chats"
human_queue = "people"
[[heads]]
name = "intent"
column = "intent"
[queues]
refund = "billing"
[service_levels.default]
response_minutes = 10
[answers]
refund = "It comes within five days."
[answer_bank]
"""


class Log:
    """A topic in memory, written as a publisher writes and read as a reader reads."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def send(self, topic: str, value: bytes | None, key: bytes | None = None, *_: Any, **__: Any) -> None:
        self.records.append(Record(topic, 0, len(self.records), key, value, 1_000 + len(self.records)))

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        return []

    def close(self) -> None:
        pass

    @property
    def last(self) -> dict[bytes, bytes | None]:
        return {record.key: record.value for record in self.records if record.key is not None}

    def compacted(self) -> list[Record]:
        newest = {record.key: record for record in self.records}
        return [record for record in self.records if newest[record.key] is record]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteAnswers]:
    opened = SQLiteAnswers(tmp_path / "answers.db")
    yield opened
    opened.close()


def app(table: str = "") -> Application:
    return parse_application(FILE + table, Path(), "desk.toml")


def fed(records: Sequence[Record]) -> LiveBank:
    bank = LiveBank(lambda: None, TOPIC, WordHashes)  # type: ignore[arg-type, return-value]
    for record in records:
        bank.take(record)
    return bank


def published(store: SQLiteAnswers, log: Log, entries: Sequence[Answer] = ENTRIES) -> AnswerBank:
    bank = AnswerBank(store, WordHashes())
    bank.add(entries)
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    return bank


def found(bank: LiveBank | AskedBank, text: str) -> FoundInBank | None:
    return bank.best(text, WordHashes(), None)


def said(label: str, probability: float = 0.9, *, rejected: bool = False) -> Classification:
    return Classification({"intent": HeadDecision(label, probability, rejected=rejected)}, "full", 10, 0.0)


OTHERS = ("my refund and my card", "what of the weather", "pin fee loan")
QUESTIONS = [*(f"how about {topic}" for topic in TOPICS), *OTHERS]


def test_a_worker_finds_what_the_command_finds(store: SQLiteAnswers) -> None:
    log = Log()
    bank = published(store, log)
    live, asked = fed(log.records), AskedBank(store, WordHashes)
    for text, reply in zip(QUESTIONS, bank.ask(QUESTIONS), strict=True):
        here = found(live, text)
        assert here is not None and here.bank and replace(here, bank="") == found(asked, text)
        assert (here.id, here.confidence) == (reply.suggestions[0].entry.id, reply.confidence)


def test_whatever_way_a_bank_came_about_it_answers_the_same(store: SQLiteAnswers, tmp_path: Path) -> None:
    log, other_log = Log(), Log()
    bank = published(store, log, ENTRIES[5:])
    bank.add(ENTRIES[:8])
    bank.add([replace(ENTRIES[0], answer="another one")])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    bank.add(ENTRIES[:1])
    bank.remove(["loan"])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    other = SQLiteAnswers(tmp_path / "other.db")
    published(other, other_log, [entry for entry in reversed(ENTRIES) if entry.id != "loan"])
    other.close()
    banks = [fed(log.records), fed(log.compacted()), fed(other_log.records)]
    for text in QUESTIONS:
        first, *others = [found(one, text) for one in banks]
        assert others == [first, first]


def test_a_change_holds_as_a_whole_once_it_is_closed(store: SQLiteAnswers) -> None:
    log = Log()
    bank = published(store, log)
    before = len(log.records)
    bank.remove(["card"])
    bank.add([Answer("refund", "how about refund", "said anew")])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    live = fed(log.records[:-1])
    assert before < len(log.records) - 1
    assert found(live, "how about card") == found(fed(log.records[:before]), "how about card")
    live.take(log.records[-1])
    answer = found(live, "how about refund")
    assert answer is not None and answer.text == "said anew"
    gone = found(live, "how about card")
    assert gone is not None and gone.id != "card"


def test_a_change_that_broke_off_is_finished_by_the_next_one(store: SQLiteAnswers) -> None:
    log = Log()
    published(store, log)
    whole = len(log.records)
    AnswerBank(store, WordHashes()).add([Answer("a", "how about trams", "trams"), Answer("b", "how about buses", "b")])
    half = Log()
    half.records = [*log.records]
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    half.records.append(log.records[whole])
    assert differs(store, half.last)
    publish(store, half.last, half, TOPIC)  # type: ignore[arg-type]
    assert not differs(store, half.last)
    for records in (half.records, half.compacted()):
        answer = found(fed(records), "how about buses")
        assert answer is not None and answer.id == "b"


def test_a_topic_of_several_partitions_gives_the_same_bank_in_whatever_order_they_come(store: SQLiteAnswers) -> None:
    """The embedded broker gives it four."""
    log = Log()
    bank = published(store, log)
    bank.remove(["card"])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    last = [record for record in log.records if record.key == b"refund"]
    order = [record for record in log.records if record.key != b"refund"] + last  # each key in its own order
    for records in (order, list(reversed(log.compacted()))):
        live = fed([replace(record, partition=number % 4, offset=number) for number, record in enumerate(records)])
        for text in QUESTIONS:
            assert found(live, text) == found(fed(log.records), text)


def test_publishing_what_is_published_writes_nothing(store: SQLiteAnswers) -> None:
    log = Log()
    published(store, log)
    before = len(log.records)
    assert publish(store, log.last, log, TOPIC).written == 0  # type: ignore[arg-type]
    assert len(log.records) == before


def test_a_topic_read_a_second_time_does_not_bring_an_old_bank_back(store: SQLiteAnswers) -> None:
    log = Log()
    bank = published(store, log)
    bank.add([Answer("refund", "how about refund", "said anew")])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    live = fed(log.records)
    for record in log.records[:-1]:
        live.take(record)
        answer = found(live, "how about refund")
        assert answer is not None and answer.text == "said anew"


def test_what_no_command_has_written_is_passed_over(store: SQLiteAnswers, caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    published(store, log)
    live = fed(log.records)
    for key, value in ((None, b"{}"), (BANK_KEY, b"no json"), (BANK_KEY, b'{"encoder": 5}'), (b"card", b"junk")):
        log.send(TOPIC, value, key)
        live.take(log.records[-1])
    assert found(live, "how about card") == found(fed(log.records[:-4]), "how about card")
    assert "is passed over" in caplog.text


def test_an_entry_that_is_none_leaves_the_bank_as_it_was_though_its_change_is_closed(store: SQLiteAnswers) -> None:
    log = Log()
    published(store, log)
    live = fed(log.records)
    store.put([AnswerVectors(Answer("odd", "how about card", "odd"), b"\0" * 8, b"\0" * 8)])
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    for record in log.records[-2:]:
        live.take(record)
    answer = found(live, "how about card")
    assert answer is not None and answer.id == "card"


def test_a_bank_that_was_emptied_answers_nothing(store: SQLiteAnswers) -> None:
    log = Log()
    published(store, log)
    store.clear()
    publish(store, log.last, log, TOPIC)  # type: ignore[arg-type]
    for records in (log.records, log.compacted()):
        assert found(fed(records), "how about card") is None


def test_a_bank_of_another_encoder_is_said_and_not_asked(
    store: SQLiteAnswers, caplog: pytest.LogCaptureFixture
) -> None:
    published(store, Log())
    other = WordHashes()
    other.sha256 = "b" * 64
    assert AskedBank(store, lambda: other).best("how about card", other, None) is None
    assert "another encoder" in caplog.text
    assert AskedBank(store, WordHashes).best("how about card", other, None) is not None


def test_a_bank_that_is_too_large_is_refused(store: SQLiteAnswers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headrace.tools.answers.topic.MOST_ENTRIES", 3)
    with pytest.raises(ConfigError, match="more than 3 entries"):
        published(store, Log())


@pytest.fixture
def bank(store: SQLiteAnswers) -> LiveBank:
    log = Log()
    published(store, log)
    return fed(log.records)


def reply(bank: LiveBank, classification: Classification, text: str, table: str = "") -> dict[str, Any]:
    message = Message(text, {}, 0, reader=WordHashes())
    return Replier(app(table), slot_finder(app(table)), bank).reply(classification, message).fields


def test_a_text_that_the_model_does_not_know_is_answered_from_the_bank(bank: LiveBank) -> None:
    fields = reply(bank, said("refund", rejected=True), "how about card")
    assert fields["action"] == "answer" and "respond_by" not in fields
    assert fields["answer"]["id"] == "card" and fields["answer"]["text"] == "card is answered here"
    assert fields["answer"]["confidence"] >= 0.9


def test_what_the_bank_is_not_sure_of_goes_to_people(bank: LiveBank) -> None:
    fields = reply(bank, said("refund", rejected=True), "what of the weather")
    assert fields["action"] == "queue:people" and "answer" not in fields and "respond_by" in fields


def test_a_ready_answer_goes_first_and_keeps_its_queue(bank: LiveBank) -> None:
    fields = reply(bank, said("refund"), "how about card")
    assert fields["action"] == "queue:billing"
    assert fields["answer"] == {"text": "It comes within five days.", "label": "refund"}


def test_a_ready_answer_of_a_label_that_is_not_sure_is_not_given(bank: LiveBank) -> None:
    """A question that no label is for gets the likeliest one, and its answer would be about something else."""
    assert reply(bank, said("refund", 0.4), "how about card")["answer"]["id"] == "card"
    assert "answer" not in reply(bank, said("refund", 0.4), "what of the weather")
    assert reply(bank, said("refund", 0.4), "how about card", "ready_from = 0.3\n")["answer"]["label"] == "refund"
    assert "answer" not in reply(bank, said("refund", 0.4), "how about card", 'when = "unknown"\n')


def test_a_label_without_ready_answer_asks_the_bank_unless_the_file_says_otherwise(bank: LiveBank) -> None:
    assert reply(bank, said("cards"), "how about card")["action"] == "answer"
    assert reply(bank, said("cards"), "how about card", 'when = "unknown"\n')["action"] == "queue:people"


def test_who_misses_a_value_is_asked_before_anything_is_answered(bank: LiveBank) -> None:
    slot = '[slots.order]\npattern = \'MB-\\d+\'\nasked_by = {intent = ["refund", "cards"]}\nask = "Which order?"\n'
    for label in ("refund", "cards"):
        fields = reply(bank, said(label), "how about card", slot)
        assert fields["action"] == "ask" and "answer" not in fields
    assert reply(bank, said("refund"), "MB-12", slot)["answer"]["label"] == "refund"


ORDER = "[slots.order]\npattern = 'MB-\\d+'\n"
NAMING = FILE.replace("It comes within five days.", "{order} comes within five days.")


def naming(text: str, bank: Any = None, classification: Classification | None = None, **fields: Any) -> dict[str, Any]:
    """The decision of an application whose ready answer names the order."""
    desk = parse_application(NAMING + ORDER, Path(), "desk.toml")
    message = Message(text, {}, 0, reader=WordHashes(), **fields)
    return Replier(desk, slot_finder(desk), bank).reply(classification or said("refund"), message).fields


class Sure:
    """A bank that is sure of one answer."""

    def __init__(self, words: str, confidence: float = 0.99) -> None:
        self._found = FoundInBank("e", "a question", words, "faq", confidence, "0a1b")

    def rebuild(self) -> None:
        pass

    def best(self, *_: Any) -> FoundInBank:
        return self._found


def test_values_stand_in_the_answer_of_a_decision() -> None:
    """Who takes answers from decisions, as an application without [hand_over] does, would have sent `{order}`."""
    fields = naming("where is mb-12? MB-12 and MB-13")
    assert fields["answer"] == {"text": "MB-12 comes within five days.", "label": "refund"}
    of_bank = naming("MB-12", Sure("See {id} for {order}."), said("other"))
    assert of_bank["answer"]["text"] == "See {id} for MB-12."  # {id} is no value of a slot


def test_an_answer_without_its_value_is_not_given() -> None:
    assert naming("where is it")["action"] == "queue:billing" and "answer" not in naming("where is it")
    other = naming("where is it", Sure("Look at your mails."))
    assert (other["action"], other["answer"]["id"]) == ("answer", "e")  # nothing ready: the bank is asked
    neither = naming("where is it", Sure("{order} is on its way."))
    assert neither["action"] == "queue:billing" and "answer" not in neither and "respond_by" in neither
    assert neither["bank"] == "0a1b"  # it was asked


def test_a_value_that_is_masked_stands_in_no_answer() -> None:
    desk = parse_application(NAMING + "[slots.order]\npattern = '\\[email\\]'\n", Path(), "desk.toml")
    fields = Replier(desk, slot_finder(desk)).reply(said("refund"), Message("write to [email]", {}, 0)).fields
    assert fields["slots"][0]["value"] == "[email]" and "answer" not in fields


def test_a_ready_answer_that_names_no_slot_is_refused_where_decisions_give_it() -> None:
    with pytest.raises(ConfigError, match=r"answers\.refund: no value ever stands at \{order\}"):
        parse_application(NAMING, Path(), "desk.toml")


CHOICES = """
[conversations]
[choices]
ask = "{first}, or {second}?"
[choices.titles]
refund = "a refund"
delivery = "a parcel"
"""


def between(
    bank: Any, answers: str = "", ready_from: float = 0.9, second: float = 0.45, text: str = "how about it"
) -> dict[str, Any]:
    file = FILE.replace("[answer_bank]", f"{answers}\n[answer_bank]\nready_from = {ready_from}") + CHOICES
    desk, runner_up = parse_application(file, Path(), "desk.toml"), LabelAnswer("delivery", second)
    close = Classification({"intent": HeadDecision("refund", 0.5, runner_up=runner_up)}, "full", 10, 0.0)
    message = Message(text, {}, 0, key="c1", reader=WordHashes())
    return Replier(desk, slot_finder(desk), bank).reply(close, message).fields


def test_nobody_is_asked_which_of_two_matters_it_is_where_an_answer_is_sure() -> None:
    sure = between(Sure("We open at nine."))
    assert (sure["action"], sure["answer"]["id"], "ask" in sure) == ("answer", "e", False)
    assert sure["conversation"]["asked"] == []
    unsure = between(Sure("We open at nine.", 0.5))
    assert unsure["ask"]["choices"] == ["a refund", "a parcel"] and "answer" not in unsure
    assert unsure["bank"] == "0a1b"  # a replay asks the same one
    assert between(None)["action"] == "ask"


def test_one_ready_answer_for_both_matters_is_given_without_a_question() -> None:
    both = 'delivery = "It comes within five days."'
    assert between(None, both)["answer"] == {"text": "It comes within five days.", "label": "refund"}
    assert between(None, both, second=0.35)["action"] == "ask"  # 0.85 that it is right
    assert between(None, 'delivery = "Another one."')["action"] == "ask"
    assert between(None, 'delivery = "Another one."', ready_from=0.4)["action"] == "ask"  # it may be the other matter
    alone = both + '\n[hand_over]\nanswers_alone = ["refund", "delivery"]'
    assert between(None, alone, second=0.35)["action"] == "queue:billing"  # which settles it, whichever it is


@pytest.mark.parametrize("of_whom", ['"refund", "delivery"', '"refund"', '"delivery"'])
def test_who_may_mean_either_and_misses_a_value_is_not_answered_without_it(of_whom: str) -> None:
    """The value is asked for once it is known which matter it is; before, the answer came without it."""
    both = 'delivery = "It comes within five days."\n'
    slot = f"{ORDER}asked_by = {{intent = [{of_whom}]}}\nask = 'Which order?'\n"
    for bank in (None, Sure("We open at nine.")):
        missing = between(bank, both + slot)
        assert missing["ask"]["choices"] == ["a refund", "a parcel"]
        assert "answer" not in missing and "bank" not in missing
        assert between(bank, both + slot, text="MB-12")["answer"]["text"] == "It comes within five days."
    assert between(Sure("We open at nine."), slot, text="MB-12")["answer"]["id"] == "e"


def test_without_the_table_nothing_is_answered() -> None:
    plain = parse_application(FILE.replace("[answer_bank]", ""), Path(), "desk.toml")
    fields = Replier(plain).reply(said("refund"), Message("x", {}, 0)).fields
    assert "answer" not in fields


def test_an_application_that_ranks_has_no_bank() -> None:
    with pytest.raises(ConfigError, match="ranks items"):
        parse_application(
            'name = "r"\nkind = "recommend"\ntopic = "t"\ncatalog = "c.csv"\n[answer_bank]\n', Path(), "r.toml"
        )


class Counting:
    """A bank that says what it was asked with."""

    def __init__(self) -> None:
        self.embeddings: list[Any] = []

    def rebuild(self) -> None:
        pass

    def best(self, text: str, reader: Any, embedding: Any, occasion: Any) -> FoundInBank:
        self.embeddings.append((text, embedding))
        assert reader.sha256 and occasion.decision.startswith("chats@e0-0-")
        return FoundInBank("e", "a question", "an answer", "", 0.95, "0a1b")


def test_a_worker_hands_on_what_its_encoder_read_and_the_decision_says_the_answer() -> None:
    bank, classifier = Counting(), classifier_with(small_fast_path())
    desk = app().model_copy(update={"answers": {}})
    texts = [text for of_label in SUBJECTS.values() for text in of_label]
    handler = ClassifyHandler(desk, Serving(classifier), {"chats": "e0"}, now_ms=lambda: 1_000, bank=bank)
    batch = [
        Delivery("chats", 0, offset, b"k", orjson.dumps({"text": text}), 1_000) for offset, text in enumerate(texts)
    ]
    for _, step in handler.steps:
        step(batch)
    outcomes = [delivery.result for delivery in batch]
    assert all(isinstance(outcome, Outcome) for outcome in outcomes)
    read = classifier.encoder.embed(texts)
    assert [text for text, _ in bank.embeddings] == texts
    seen = [
        (row, embedding) for row, (_, embedding) in zip(read, bank.embeddings, strict=True) if embedding is not None
    ]
    assert 0 < len(seen) < len(texts)  # the others were decided by n-grams alone
    for row, embedding in seen:
        np.testing.assert_allclose(embedding, row, atol=1e-5)
    for outcome in outcomes:
        decision = Decision.model_validate(orjson.loads(outcome.records[0].value))
        assert decision.action == "answer" and decision.answer is not None
        assert (decision.answer.id, decision.answer.confidence, decision.bank) == ("e", 0.95, "0a1b")


def test_a_reader_of_another_kind_of_text_is_asked_again() -> None:
    from streams.classify.decision_records import as_read

    embedding = np.ones(3, np.float32)
    classification = replace(said("x"), embedding=embedding)
    plain: Any = SimpleNamespace(encoder="e", neutral_words=None)
    neutral: Any = SimpleNamespace(encoder="e", neutral_words="some")
    assert as_read(plain, classification)[1] is embedding
    assert as_read(neutral, classification)[1] is None
