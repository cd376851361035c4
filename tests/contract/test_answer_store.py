"""One suite for the AnswerStore port: SQLite, Elasticsearch 8 and 9."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from real_services import start_or_skip

from connectors.answers.elasticsearch import ElasticsearchAnswers
from connectors.answers.sqlite import SQLiteAnswers
from connectors.ports import Answer, AnswerStore, AnswerVectors, BankState

OpenBank = Callable[[], AnswerStore]
STATE = BankState("e" * 64, 3, (0.25, 0.5))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("elasticsearch_8", marks=pytest.mark.elasticsearch),
        pytest.param("elasticsearch_9", marks=[pytest.mark.elasticsearch, pytest.mark.slow]),
    ]
)
def open_bank(
    request: pytest.FixtureRequest, tmp_path: Path, unique: str, services_folder: Callable[[str], Path]
) -> OpenBank:
    """Opens the same bank anew at each call."""
    if request.param == "sqlite":
        return lambda: SQLiteAnswers(tmp_path / "answers.db")
    if request.param == "elasticsearch_8":
        url = request.getfixturevalue("elasticsearch_url")
    else:
        folder = services_folder("elasticsearch-9")
        url = start_or_skip(folder, kafka=False, elasticsearch=True, elasticsearch_major=9).elasticsearch
    return lambda: ElasticsearchAnswers(url, unique, replicas=0)


@pytest.fixture
def bank(open_bank: OpenBank) -> Iterator[AnswerStore]:
    opened = open_bank()
    opened.set_state(STATE)
    yield opened
    opened.clear()
    opened.close()


def vector(*values: float) -> bytes:
    row = np.array(values, dtype="<f4")
    return bytes((row / np.linalg.norm(row)).tobytes())


def kept(identity: str, question: str, answer: str, *of_question: float) -> AnswerVectors:
    entry = Answer(identity, question, answer, "en", "faq.csv")
    return AnswerVectors(entry, vector(*(of_question or (1, 0, 0))), vector(0, 0, 1))


def test_a_bank_that_nobody_made_has_no_state_and_no_answers(open_bank: OpenBank) -> None:
    bank = open_bank()
    assert bank.state() is None
    assert bank.entries() == []
    assert bank.remove(["a"]) == 0
    assert bank.find("card", vector(1, 0, 0), 5) == []
    bank.close()


def test_entries_come_with_the_embeddings_that_they_were_put_with(bank: AnswerStore) -> None:
    entries = [kept("b", "Where is my card?", "On its way.", 1, 1, 0), kept("a", "退款多久到账", "三天之内。", 1, 2, 3)]
    assert list(bank.vectors()) == []
    bank.put(entries)
    assert list(bank.vectors()) == [entries[1], entries[0]]


def test_what_was_put_and_set_stands_for_whoever_opens_the_bank(bank: AnswerStore, open_bank: OpenBank) -> None:
    entries = [kept("b", "Where is my card?", "On its way."), kept("a", "退款多久到账", "三天之内。")]
    bank.put(entries)
    other = open_bank()
    assert other.state() == STATE
    assert other.entries() == [entries[1].entry, entries[0].entry]
    other.close()


def test_the_same_id_is_the_same_entry_and_its_old_words_are_gone(bank: AnswerStore) -> None:
    bank.put([kept("a", "old words", "x")])
    bank.put([kept("a", "new ones", "x")])
    assert [entry.question for entry in bank.entries()] == ["new ones"]
    (found,) = bank.find("old", vector(1, 0, 0), 5)
    assert found.words == 0


def test_answers_are_found_by_words_and_by_either_embedding(bank: AnswerStore) -> None:
    bank.put(
        [
            kept("words", "lost card", "x", 0, 1, 0),
            kept("meaning", "something else", "y", 1, 0, 0),
            *(kept(f"far-{number}", "nothing", "z", -1, 0.1, 0) for number in range(9)),
        ]
    )
    found = {one.entry.id: one for one in bank.find("card", vector(1, 0, 0), 1)}
    assert {"words", "meaning"} <= set(found)
    assert found["words"].words > 0 == found["meaning"].words
    assert found["meaning"].question_cosine == pytest.approx(1.0, abs=1e-6)
    assert found["words"].answer_cosine == pytest.approx(0.0, abs=1e-6)


def test_chinese_words_are_found(bank: AnswerStore) -> None:
    bank.put([kept("a", "退款多久到账?", "三天之内。"), kept("b", "怎么修改地址", "在设置里。")])
    found = {one.entry.id: one.words for one in bank.find("我的退款呢", vector(1, 0, 0), 5)}
    assert found["a"] > 0 == found["b"]


def test_what_no_word_is_in_is_asked_by_its_embedding_alone(bank: AnswerStore) -> None:
    bank.put([kept("a", "card", "x")])
    (found,) = bank.find('"?!" 😀', vector(1, 0, 0), 5)
    assert (found.entry.id, found.words) == ("a", 0)


def test_a_removed_answer_is_found_no_more(bank: AnswerStore) -> None:
    bank.put([kept("a", "card", "x"), kept("b", "card", "y")])
    assert bank.remove(["a", "unknown"]) == 1
    assert [one.entry.id for one in bank.find("card", vector(1, 0, 0), 5)] == ["b"]


def test_a_bank_sees_what_another_process_wrote(bank: AnswerStore, open_bank: OpenBank) -> None:
    bank.put([kept("a", "card", "x")])
    bank.find("card", vector(1, 0, 0), 5)
    other = open_bank()
    other.put([kept("b", "card", "y")])
    other.close()
    assert {one.entry.id for one in bank.find("card", vector(1, 0, 0), 5)} == {"a", "b"}


def test_the_state_can_be_set_again_and_a_cleared_bank_has_none(bank: AnswerStore) -> None:
    bank.set_state(BankState(STATE.encoder, 3, (0.75,)))
    state = bank.state()
    assert state is not None and state.without_answer == (0.75,)
    bank.clear()
    assert bank.state() is None and bank.entries() == []


def test_lone_surrogates_are_kept_as_a_replacement(bank: AnswerStore) -> None:
    bank.put([kept("a\ud800", "card \ud83d", "x")])
    assert [entry.id for entry in bank.entries()] == ["a\ufffd"]
