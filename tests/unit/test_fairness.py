"""Texts with another name, gender word or place, and what is counted of them."""

import html
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from small_release import small_release
from typer.testing import CliRunner

from bench.fairness.pairs import PAIRS, SentencePair, banking_pairs, news_pairs
from bench.fairness.run import report
from connectors.registry import FolderRegistry
from headrace.cli import app
from headrace.word_lists import read_swaps
from models.decision import HeadDecision
from models.errors import ConfigError
from models.words.listed_words import ListedWords, put
from retrain.evaluation.fairness import fairness_of
from retrain.evaluation.swaps import Counterfactual, Swaps, counterfactuals

GENDER = next(swaps for swaps in read_swaps(None) if swaps.kind == "gender")
NAMES = Swaps("name", {"a": ("Emily", "Ann"), "b": ("Kwame", "Kofi"), "c": ("Wei",)}, carriers=("I am {word}. {text}",))


def swapped(text: str, swaps: Swaps) -> list[str]:
    return [one.after for one in counterfactuals([text], swaps)]


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("He lost his card", "She lost her card"),
        ("she lost her card", "he lost his card"),
        ("I paid her back", "I paid him back"),
        ("I paid her.", "I paid him."),
        ("I told her about her fee", "I told him about his fee"),
        ("the card is his", "the card is hers"),
        ("HER HUSBAND called", "HIS WIFE called"),
        ("Is he an actor or a waiter?", "Is she an actress or a waitress?"),
    ],
)
def test_gender_words_are_swapped_with_their_case_and_grammar(text: str, other: str) -> None:
    assert swapped(text, GENDER) == [other]


def test_a_word_in_another_word_is_none() -> None:
    assert not swapped("the sheriff and this heron", GENDER)
    chinese = next(swaps for swaps in read_swaps(None) if swaps.kind == "性别")
    assert swapped("他和其他人", chinese) == ["她和其他人"]


def test_the_article_follows_the_word() -> None:
    words = ListedWords(["actor", "waiter"])
    text = "An actor, a waiter and AN ACTOR"
    assert put(text, words.find(text), lambda one: "teacher") == "A teacher, a teacher and A TEACHER"
    assert put(text, words.find(text), lambda one: "officer") == "An officer, an officer and AN OFFICER"


def test_names_become_those_of_other_groups_and_a_name_that_comes_twice_stays_one() -> None:
    made = counterfactuals(["Emily wrote, says EMILY"], NAMES)
    assert {one.group: one.after for one in made} == {"b": "Kwame wrote, says KWAME", "c": "Wei wrote, says WEI"}
    assert not any(one.carried for one in made)


def test_a_text_without_a_name_is_carried_in_the_script_of_the_carrier_alone() -> None:
    made = counterfactuals(["where is my card", "我的卡在哪里"], NAMES)
    assert made and all(one.carried and one.before.endswith("where is my card") for one in made)
    assert {one.before != one.after for one in made} == {True}


def test_what_is_drawn_is_drawn_by_the_seed() -> None:
    texts = [f"question {number}" for number in range(30)]
    assert counterfactuals(texts, NAMES, seed=1) == counterfactuals(texts, NAMES, seed=1)
    assert counterfactuals(texts, NAMES, seed=1) != counterfactuals(texts, NAMES, seed=2)


def pair(base: int, group: str) -> Counterfactual:
    return Counterfactual("name", base, f"before {base}", f"after {base} {group}", group, carried=False)


def decided(changes: Mapping[str, HeadDecision], texts: int) -> dict[str, HeadDecision]:
    usual = HeadDecision("fee", 0.8)
    given = {f"before {base}": usual for base in range(texts)}
    given |= {f"after {base} {group}": usual for base in range(texts) for group in "ab"}
    return given | changes


def test_a_text_counts_once_however_many_words_it_was_tried_with() -> None:
    pairs = [pair(base, group) for base in range(20) for group in "ab"]
    given = decided({"after 0 a": HeadDecision("refund", 0.8), "after 1 b": HeadDecision("fee", 0.8, 2.0, True)}, 20)
    (found,) = fairness_of(pairs, given)
    assert (found.overall.texts, found.overall.pairs) == (20, 40)
    assert found.overall.changed == pytest.approx(0.5 / 20) and found.overall.handed_over == pytest.approx(0.5 / 20)
    assert [(group.group, group.changed) for group in found.groups] == [("a", 0.05), ("b", 0.0)]
    assert [(one.before, one.label_after) for one in found.examples] == [("before 0", "refund")]


def test_a_group_that_lowers_the_confidence_of_all_differs_and_one_of_ups_and_downs_does_not() -> None:
    pairs = [pair(base, group) for base in range(40) for group in "ab"]
    changes = {f"after {base} a": HeadDecision("fee", 0.75) for base in range(40)}
    changes |= {f"after {base} b": HeadDecision("fee", 0.8 + (-1) ** base * 0.05) for base in range(40)}
    (found,) = fairness_of(pairs, decided(changes, 40))
    groups = {group.group: group for group in found.groups}
    assert groups["a"].differs and groups["a"].confidence == pytest.approx(-0.05)
    assert not groups["b"].differs and groups["b"].confidence_ci95[0] < 0 < groups["b"].confidence_ci95[1]


def test_the_list_that_ships_is_in_english_and_chinese_and_holds_no_word_twice_in_a_kind() -> None:
    kinds = {swaps.kind: swaps for swaps in read_swaps(None)}
    assert {"name", "family name", "gender", "place", "dialect", "姓名", "性别", "地名", "方言"} == set(kinds)
    for swaps in kinds.values():
        words = [word.casefold() for group in swaps.groups.values() for word in group]
        assert len(words) == len(set(words)), swaps.kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[[swaps]]\nkind = 'x'\n", "give groups or sets"),
        ("[[swaps]]\nkind = 'x'\ngroups = {a = ['b']}\n", "one group has nothing"),
        ("[[swaps]]\nkind = 'x'\nsets = [['a', 'b']]\ncarriers = ['hello']\n", "carrier"),
        ("[[swap]]\n", "swaps"),
        ("swaps = ", "no TOML"),
        (None, "cannot be read"),
    ],
    ids=["no words", "one group", "carrier without a place", "misspelt", "no TOML", "no file"],
)
def test_a_list_that_is_none_is_refused_in_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "list.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=words) as refused:
        read_swaps(path)
    assert "\n" not in str(refused.value)


def test_a_list_in_another_encoding_is_told_to_be_saved_as_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_bytes("# Wörter".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"list\.toml is not UTF-8; save it as UTF-8"):
        read_swaps(path)


def test_the_sentence_pairs_differ_in_their_words_alone() -> None:
    for pairs in (banking_pairs(), news_pairs()):
        assert len(pairs) == len(set(pairs)) == PAIRS and {one.kind for one in pairs} == {"name", "gender", "place"}
        assert all(one.one != one.other for one in pairs)


def test_the_bench_counts_pairs_whose_label_changes() -> None:
    alike = SentencePair("name", "refund please", "refund please ")
    unlike = SentencePair("place", "refund please", "where is my parcel")
    found = report(small_release().classifier, [alike, unlike, alike])["intent"]
    assert (found["pairs"], found["changed"], found["share"]) == (3, 1, 0.3333)
    assert found["changed_by_kind"] == {"name": 0, "place": 1} and found["examples"][0]["one"] == "refund please"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    release = small_release()
    FolderRegistry(str(tmp_path / "registry")).publish("support", release.manifest, release.blobs)
    (tmp_path / "data.csv").write_text(
        "text,label\nrefund my son please,refund\nwhat fee is it,fee\nmy parcel,delivery\n"
    )
    return tmp_path


def test_evaluate_tells_how_fair_a_release_is_on_the_page_and_in_its_json(home: Path) -> None:
    words = ["evaluate", "support", "--data", "data.csv", "--fairness", "--report", "page.html", "--json"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    kinds = json.loads(done.stdout)["heads"]["intent"]["fairness"]
    assert {(kind["kind"], kind["carried"]) for kind in kinds} >= {("gender", False), ("name", True), ("place", True)}
    page = html.unescape((home / "page.html").read_text())
    assert all(group["group"] in page for kind in kinds for group in kind["groups"])
    assert CliRunner().invoke(app, words, catch_exceptions=False).stdout == done.stdout


def test_evaluate_says_where_no_text_can_be_swapped(home: Path) -> None:
    (home / "list.toml").write_text("[[swaps]]\nkind = 'x'\nsets = [['abc', 'def']]\n")
    words = ["evaluate", "support", "--data", "data.csv", "--fairness", "--fairness-list", "list.toml"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code != 0 and "holds a word of the list" in str(done.exception)
