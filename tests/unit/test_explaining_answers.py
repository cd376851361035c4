"""Why a text was answered from the bank, and why not: `headrace explain` of an application that asks one."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from labelled_world import decision
from small_release import small_release
from test_answer_bank import WordHashes
from test_answers_in_decisions import Log
from typer.testing import CliRunner

from connectors.answers.sqlite import IN_MEMORY, SQLiteAnswers
from connectors.ports import Answer
from connectors.registry import FolderRegistry
from connectors.sqlite_store import SQLiteStore
from headrace.cli import app as cli
from headrace.settings import load_settings
from headrace.tools.answers.asking import AskedBank
from headrace.tools.answers.bank import AnswerBank, group_of
from headrace.tools.answers.history import BankHistory
from headrace.tools.answers.topic import publish
from headrace.wiring import Wiring
from models.answers.explaining import Standing, confidences, find_words
from models.decision import Classification, HeadDecision
from models.explanation.parts import split_parts
from streams.application import parse_application
from streams.routing.answers import FoundInBank, why_not_asked
from streams.routing.replies import ASK, Message, Replier

QUESTIONS = (
    "can i split a payment between two cards",
    "do you sell gift vouchers",
    "which paper do you wrap presents in",
    "are your shops open on sunday",
    "how do i become a member",
    "may i bring my dog along",
    "where can i park my bicycle",
    "is there a discount for students",
    "do you repair old lamps",
    "which batteries fit the radio",
    "can i rent a ladder",
    "how heavy is the big table",
)
ENTRIES = [Answer(f"faq-{n}", question, f"Answer {n}.", source="shop pages") for n, question in enumerate(QUESTIONS)]
FILE = """
name = "support"
topic = "support.chats"
human_queue = "people"
[[heads]]
name = "intent"
column = "intent"
[answers]
refund = "It comes within five days."
[answer_bank]
ready_from = 0.999
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    monkeypatch.setattr("headrace.tools.answers.publishing.default_encoder", lambda wiring: WordHashes())
    release, registry = small_release(), FolderRegistry(str(tmp_path / "registry"))
    registry.publish("support", release.manifest, release.blobs)
    registry.promote("support", "1")
    (tmp_path / "desk.toml").write_text(FILE)
    store = Wiring(load_settings()).answers("support")
    AnswerBank(store, WordHashes()).add(ENTRIES)
    store.close()
    return tmp_path


def explained(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["explain", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.stdout
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def test_the_entry_that_answers_is_told_with_its_source_the_others_and_the_words_that_find_it(home: Path) -> None:
    asked = f"ok, {QUESTIONS[1]}"
    answer = explained("desk.toml", asked)["answer"]
    assert answer["because"] == "given" and answer["explained"] == "faq-1"
    assert answer["given"]["id"] == "faq-1" and answer["given"]["source"] == "shop pages"
    assert answer["needed"] == 0.9 <= answer["candidates"][0]["confidence"] == answer["given"]["confidence"]
    scores = [one["score"] for one in answer["candidates"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 5
    assert "".join(asked[part["start"] : part["end"]] for part in answer["parts"]) == asked.replace(" ", "")
    effects = {part["text"]: part["effect"] for part in answer["parts"]}
    assert effects["ok"] < 0 < min(effects["gift"], effects["vouchers"])
    assert json.dumps(explained("desk.toml", asked)["answer"]) == json.dumps(answer)


def test_effects_are_what_the_bank_says_of_the_text_without_each_part(home: Path) -> None:
    asked = QUESTIONS[3]
    answer = explained("desk.toml", asked)["answer"]
    bank = AnswerBank(store := Wiring(load_settings()).answers("support"), WordHashes())
    left_out = [asked[: part["start"]] + asked[part["end"] :] for part in answer["parts"]]
    whole, *others = bank.ask([asked, *left_out])
    for part, reply in zip(answer["parts"], others, strict=True):
        score = {one.entry.id: one.score for one in reply.suggestions}["faq-3"]
        assert part["effect"] == pytest.approx(whole.suggestions[0].score - score, abs=1e-3)
        assert part["first_without"] == reply.suggestions[0].entry.id
        assert part["confidence_without"] == pytest.approx(reply.confidence, abs=1e-3)
    store.close()


def test_a_person_reads_why_on_the_terminal_and_on_the_page(home: Path) -> None:
    asked = "split a payment, hello?"
    words = ["explain", "desk.toml", asked, "--html", "why.html"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False, env={"COLUMNS": "200"})
    page = (home / "why.html").read_text()
    for told in (done.stdout, page):
        assert "answered from the bank by faq-0 (source: shop pages)" in told
        assert "Answer 0." in told and "behind" in done.stdout and "shop pages" in told
        assert QUESTIONS[0] in told
    assert "it is not given" in done.stdout


def test_an_answer_that_names_a_value_is_given_with_it_and_not_without_it(home: Path) -> None:
    (home / "desk.toml").write_text(FILE + "[slots.order]\npattern = 'MB-\\d+'\n")
    store = Wiring(load_settings()).answers("support")
    AnswerBank(store, WordHashes()).add([replace(ENTRIES[1], answer="{order} is one, {id} is none.")])
    store.close()
    without = explained("desk.toml", QUESTIONS[1])["answer"]
    assert (without["because"], without["given"], without["explained"]) == ("no_value", None, "faq-1")
    assert without["words"] == "not answered: faq-1 is sure enough, and it names a value that the text does not give"
    assert explained("desk.toml", f"{QUESTIONS[1]} MB-7")["answer"]["given"]["text"] == "MB-7 is one, {id} is none."


def test_what_the_bank_is_not_sure_of_and_what_a_ready_answer_takes_say_so(home: Path) -> None:
    unsure = explained("desk.toml", "the weather of the mountains")["answer"]
    assert (unsure["because"], unsure["given"]) == ("unsure", None) and "0.9 is needed" in unsure["words"]
    (home / "desk.toml").write_text(FILE.replace("0.999", "0.3"))
    ready = explained("desk.toml", "please give me a refund")["answer"]
    assert ready["because"] == "ready" and ready["given"]["label"] == "refund"
    (home / "desk.toml").write_text(FILE + 'when = "unknown"\n')
    assert explained("desk.toml", "where is my parcel")["answer"]["because"] == "known"
    store = Wiring(load_settings()).answers("support")
    store.clear()
    store.close()
    (home / "desk.toml").write_text(FILE)
    assert explained("desk.toml", "the weather")["answer"]["because"] == "empty"


WHICH = {"action": "ask", "ask": {"text": "a refund, or a parcel?", "choices": ["a refund", "a parcel"]}}
SO = "asked which of two matters it is (a refund, or a parcel)"


@pytest.mark.parametrize(
    ("table", "text", "bank", "because", "words"),
    [
        ("", "the weather of the mountains", "0a1b", "unsure", "0.9 is needed; so the one who wrote was " + SO),
        ("", QUESTIONS[1], "0a1b", "unsure", SO),  # the bank of now is sure
        ("", QUESTIONS[1], None, "asks", "the one who wrote was first " + SO),  # a value is missing: it was not asked
        ('when = "unknown"\n', QUESTIONS[1], None, "known", SO),
    ],
    ids=["unsure", "changed", "not asked", "known"],
)
def test_who_was_asked_which_of_two_matters_it_is_reads_why_no_answer_came(
    home: Path, table: str, text: str, bank: str | None, because: str, words: str
) -> None:
    """Before, each was told as one of whom a value was asked for, though the bank had been asked first."""
    (home / "desk.toml").write_text(FILE + table)
    store = SQLiteStore(home / "decisions.db")
    store.prepare({"support": ["intent", "urgency"]})
    made = decision(3, text=text, **WHICH, **({} if bank is None else {"bank": bank}))
    assert store.index([made]).created == 1
    store.close()
    answer = explained("--id", made["id"], "--app", "desk.toml")["answer"]
    assert answer["because"] == because and answer["words"].endswith(words)


@pytest.mark.parametrize(
    ("fields", "because", "words"),
    [
        ({"action": "ask", "ask": {"text": "which order?", "slot": "order"}}, "asks", "asked something first"),
        (WHICH | {"bank": "0a1b"}, "unsure", "its confidence"),
        ({"conversation": {"id": "c", "escalated": "angry", "intent": "refund"}}, "escalated", "angry"),
        ({"action": "answer", "answer": {"text": "old words", "id": "faq-1", "confidence": 0.97}}, "given", "faq-1"),
        ({"answer": {"text": "x", "label": "refund"}}, "ready", "ready answer of refund"),
    ],
    ids=["asked", "asked which of two", "escalated", "answered", "ready"],
)
def test_a_decision_is_explained_as_it_was_made(home: Path, fields: dict[str, Any], because: str, words: str) -> None:
    conversation = fields.get("conversation")
    times = {"first_at": "2026-11-01T10:00:00Z", "last_at": "2026-11-01T10:00:00Z"}
    if conversation:
        fields = fields | {"conversation": conversation | times | {"version": 1, "contact": 1, "turn": 1}}
    store = SQLiteStore(home / "decisions.db")
    store.prepare({"support": ["intent", "urgency"]})
    made = decision(3, text=QUESTIONS[1], **fields)
    assert store.index([made]).created == 1
    store.close()
    answer = explained("--id", made["id"], "--app", "desk.toml")["answer"]
    assert answer["because"] == because and words in answer["words"]
    if because == "given":
        assert "says something else by now" in answer["notes"][0] and answer["given"]["text"] == "old words"


def test_a_decision_is_explained_by_the_bank_that_it_asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, before = Log(), SQLiteAnswers(IN_MEMORY)
    AnswerBank(before, WordHashes()).add([replace(entry, answer=f"{entry.answer} Then.") for entry in ENTRIES[:11]])
    publish(before, log.last, log, "answers.bank.support")  # type: ignore[arg-type]
    history = BankHistory(WordHashes)
    for record in log.records:
        history.take(record)
    store = SQLiteStore(home / "decisions.db")
    store.prepare({"support": ["intent", "urgency"]})
    given = {"text": "Answer 1. Then.", "id": "faq-1", "confidence": 0.9167, "question": QUESTIONS[1]}
    made = [
        decision(1, text=QUESTIONS[1], action="answer", answer=given, bank=history.newest),
        decision(2, text=QUESTIONS[11], bank=history.newest),
        decision(3, text=QUESTIONS[11], bank="0" * 16),
    ]
    assert store.index(made).created == 3
    store.close()
    of_then = explained("--id", made[2]["id"], "--app", "desk.toml")["answer"]
    assert "which was asked, is not to be had" in of_then["notes"][0]  # no broker runs
    monkeypatch.setattr("headrace.tools.explanation.answers.read_history", lambda *_: history)
    answered, unanswered, gone = (explained("--id", one["id"], "--app", "desk.toml")["answer"] for one in made)
    assert answered["candidates"][0]["answer"] == "Answer 1. Then." and answered["notes"] == []
    assert unanswered["because"] == "unsure" and "faq-11" not in [one["id"] for one in unanswered["candidates"]]
    assert gone["candidates"][0]["id"] == "faq-11" and "is not to be had" in gone["notes"][0]


def test_without_a_bank_nothing_is_told_of_answers(home: Path) -> None:
    (home / "desk.toml").write_text(FILE.partition("[answer_bank]")[0])
    assert "answer" not in explained("desk.toml", "please give me a refund")


class Noting:
    """A bank that notes whether it was asked."""

    def __init__(self) -> None:
        self.is_asked = False

    def rebuild(self) -> None:
        pass

    def best(self, *_: Any) -> FoundInBank | None:
        self.is_asked = True
        return None


@pytest.mark.parametrize("when", ["unsure", "unknown"])
def test_the_reason_is_the_one_that_workers_go_by(when: str) -> None:
    table = (
        f'when = "{when}"\n[slots.order]\npattern = "MB-[0-9]+"\nasked_by = {{intent = ["other"]}}\nask = "Which?"\n'
    )
    desk = parse_application(FILE.replace("ready_from = 0.999", "ready_from = 0.8") + table, Path(), "desk.toml")
    reasons = set()
    for label, sure, rejected in itertools.product(("refund", "other", "third"), (0.5, 0.9), (False, True)):
        head = HeadDecision(label, sure, rejected=rejected)
        bank = Noting()
        fields = (
            Replier(desk, bank=bank)
            .reply(Classification({"intent": head}, "full", 1, 0.0), Message("a text", {}, 0))
            .fields
        )
        reason = why_not_asked(desk, head, fields.get("priority"), values={}, asks=fields["action"] == ASK)
        assert bank.is_asked == (reason is None)
        reasons.add(reason)
    assert reasons >= {"ready", "asks", None}


def test_occlusion_finds_the_words_of_the_question_and_when_it_is_lost() -> None:
    store = SQLiteAnswers(IN_MEMORY)
    AnswerBank(store, WordHashes()).add(ENTRIES)
    asked = AskedBank(store, WordHashes)

    def asks(texts: Any) -> list[Standing]:
        replies = [asked.reply(text) for text in texts]
        return [
            Standing(
                next((s.score for s in reply.suggestions if group_of(s.entry) == group_of(ENTRIES[1])), 0.0),
                reply.suggestions[0].entry.id,
                reply.confidence,
            )
            for reply in replies
        ]

    text = "hello, vouchers gift please"
    found = find_words(asks, text, split_parts(text), 0.9)
    first = {text[found.occlusion.parts[n].start : found.occlusion.parts[n].end] for n in found.occlusion.order[:2]}
    assert first == {"vouchers", "gift"}
    assert found.loss is not None and found.loss.standing.confidence < 0.9
    cut = find_words(asks, text, split_parts(text), 0.9, lambda: True)
    assert cut.is_cut and cut.without == () and cut.loss is None


def test_runners_up_are_as_sure_as_if_those_before_them_were_not_there() -> None:
    assert confidences([], ()) == []
    first, second, last = confidences([1.3, 0.8, 0.5], [0.4, 0.6, 1.0, 1.2])
    assert (first, second, last) == (pytest.approx(0.8), pytest.approx(0.6), pytest.approx(0.2))
