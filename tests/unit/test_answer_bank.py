from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.answers.sqlite import SQLiteAnswers
from connectors.cjk import words
from connectors.errors import StoreMismatch
from connectors.ports import Answer
from headrace.tools.answers import running
from headrace.tools.answers.bank import AnswerBank
from headrace.tools.answers.reading import read_answers, read_expected
from models.errors import ConfigError


class WordHashes:
    """Texts are near where they share words."""

    sha256 = "a" * 64
    dimensions = 512

    def __init__(self) -> None:
        self.read = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.read += len(texts)
        rows = np.full((len(texts), self.dimensions), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in words(text):
                row[crc32(word.text.encode()) % self.dimensions] += 1
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


TOPICS = (
    "card",
    "refund",
    "address",
    "password",
    "fee",
    "limit",
    "transfer",
    "invoice",
    "statement",
    "pin",
    "loan",
    "app",
)
ENTRIES = [Answer(name, f"how about {name}", f"{name} is answered here") for name in TOPICS]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteAnswers]:
    opened = SQLiteAnswers(tmp_path / "answers.db")
    yield opened
    opened.close()


def test_a_question_in_other_words_finds_its_answer(store: SQLiteAnswers) -> None:
    bank = AnswerBank(store, WordHashes())
    bank.add(ENTRIES)
    (reply,) = bank.ask(["my refund please"])
    assert reply.suggestions[0].entry.id == "refund"


def test_a_question_that_the_bank_has_is_surer_than_one_whose_answer_is_missing(store: SQLiteAnswers) -> None:
    bank = AnswerBank(store, WordHashes())
    bank.add(ENTRIES)
    known, unknown = bank.ask(["how about card", "what of the weather"])
    assert known.confidence >= 0.9 > unknown.confidence


def test_adding_the_same_file_again_reads_and_changes_nothing(store: SQLiteAnswers) -> None:
    encoder = WordHashes()
    bank = AnswerBank(store, encoder)
    assert bank.add(ENTRIES).created == len(ENTRIES)
    read = encoder.read
    report = bank.add([*ENTRIES[:-1], Answer(ENTRIES[-1].id, ENTRIES[-1].question, "another answer")])
    assert (report.created, report.replaced, report.unchanged) == (0, 1, len(ENTRIES) - 1)
    assert encoder.read - read == 2 + len(ENTRIES)  # the entry that changed, and the questions that are left out


def test_an_answer_under_several_questions_is_not_taken_for_a_wrong_one(store: SQLiteAnswers) -> None:
    bank = AnswerBank(store, WordHashes())
    bank.add(
        [
            Answer(f"{n}-{name}", f"{name} {extra}", f"all of {name}")
            for name in TOPICS
            for n, extra in enumerate(("how", "why"))
        ]
    )
    state = store.state()
    assert state is not None and max(state.without_answer) < 1.0


def test_removing_from_the_bank_counts_and_calibrates_anew(store: SQLiteAnswers) -> None:
    bank = AnswerBank(store, WordHashes())
    bank.add(ENTRIES)
    assert bank.remove(["card", "nobody"]) == 1
    state = store.state()
    assert state is not None and len(state.without_answer) == len(ENTRIES) - 1


def test_an_id_that_the_bank_does_not_have_is_told_and_nothing_is_removed(
    store: SQLiteAnswers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in an id was "0 removed" and exit 0, and the wrong answer went on being given."""

    @contextmanager
    def opened(app: str) -> Iterator[Any]:
        yield store

    monkeypatch.setattr(running, "_store", opened)
    monkeypatch.setattr(running, "_bank", lambda app: pytest.fail("the bank was changed"))
    with pytest.raises(ConfigError, match="the bank is empty"):
        running.remove_ids("support", ["card"], False, False)
    AnswerBank(store, WordHashes()).add(ENTRIES)
    with pytest.raises(ConfigError, match=r"no answer 'crad', 'x'; did you mean 'card'\?; nothing was removed"):
        running.remove_ids("support", ["loan", "crad", "x", "crad"], False, False)
    assert len(store.entries()) == len(ENTRIES)


def test_a_file_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_bytes("id,question,answer\na,Wo ist es?,In Köln.\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"holds no answer.*save the file as UTF-8 \(in a spreadsheet: CSV UTF-8\)"):
        running.add_file("support", file, False)
    with pytest.raises(ConfigError, match=r"save it as UTF-8 \(in a spreadsheet: CSV UTF-8\)"):
        file.write_bytes("id,question,antwört\na,b,c\n".encode("latin-1"))
        running.add_file("support", file, False)


def test_a_trial_is_as_sure_as_the_workers_must_be(tmp_path: Path) -> None:
    """The shipped application answers from 0.95 on, and `answers search` said "sure enough" from 0.9 on."""
    assert running._least("support", None) == 0.95 and running._least("support", 0.5) == 0.5
    plain = tmp_path / "plain.toml"
    plain.write_text('name = "plain"\ntopic = "chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n')
    assert running._least(str(plain), None) == 0.9


def test_an_empty_bank_answers_nothing(store: SQLiteAnswers) -> None:
    (reply,) = AnswerBank(store, WordHashes()).ask(["anything"])
    assert (reply.suggestions, reply.confidence) == ((), 0.0)


def test_a_bank_of_another_encoder_is_refused(store: SQLiteAnswers) -> None:
    AnswerBank(store, WordHashes()).add(ENTRIES[:1])
    other = WordHashes()
    other.sha256 = "b" * 64
    with pytest.raises(StoreMismatch, match="remove --all"):
        AnswerBank(store, other)


def test_another_file_is_not_taken_for_a_bank(tmp_path: Path) -> None:
    (tmp_path / "answers.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreMismatch, match="no bank of answers"):
        SQLiteAnswers(tmp_path / "answers.db")


def test_lines_that_cannot_be_taken_are_told_and_the_others_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text(
        "id,question,answer,source\n1,Where?,Here.,page\n2,,x,\n1,Again?,x,\n3,退款?,三天。,\n", encoding="utf-8"
    )
    entries, rejected = read_answers(file)
    assert [(entry.id, entry.source) for entry in entries] == [("1", "page"), ("3", "")]
    assert [(row.line, row.reason) for row in rejected] == [
        (3, "question is empty"),
        (4, "id '1' stands in line 2 already"),
    ]


@pytest.mark.parametrize("head", ["question,answer", "id,question"], ids=["no id", "no answer"])
def test_a_file_without_a_column_is_told_which(tmp_path: Path, head: str) -> None:
    (tmp_path / "faq.csv").write_text(f"{head}\na,b\n")
    with pytest.raises(ConfigError, match="has no column"):
        read_answers(tmp_path / "faq.csv")


def test_a_question_for_an_answer_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "q", "ids": "a|b"}\n{"question": "q", "ids": "c"}\n{"question": 1, "ids": "a"}\n')
    expected, rejected = read_expected(file, frozenset({"a", "b"}))
    assert [one.ids for one in expected] == [{"a", "b"}]
    assert [row.reason for row in rejected] == ["the bank has no answer 'c'", "question is no text"]


def test_questions_to_an_empty_bank_are_refused_in_one_line(tmp_path: Path) -> None:
    """Each line was told that its answer is not there."""
    file = tmp_path / "questions.csv"
    file.write_text("question,ids\nq,a\nq,b\n")
    with pytest.raises(ConfigError, match="the bank is empty"):
        read_expected(file, frozenset())
