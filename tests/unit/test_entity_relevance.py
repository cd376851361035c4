"""How much a text is about each of the things that it names."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_entities import small_gazetteer, small_reader, small_trained_entities
from small_release import small_encoder
from small_tagger import small_tagger
from typer.testing import CliRunner

from headrace.cli import app as cli
from models.entities.gazetteer import Entity, Gazetteer, Mention
from models.entities.reader import EntityReader
from models.entities.relevance import relevances

NAMES = ("Alder", "Birch", "Cedar", "Delmar", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper")
FOUND = Gazetteer(tuple(Entity(name.lower(), (name,)) for name in NAMES))
BODY = "\nThe board met on Monday. Nobody was surprised. Wages rise by 3.5 % vs. last year. "


def of(text: str) -> dict[str, float]:
    return relevances(text, FOUND.find(text))


def test_a_headline_about_one_is_about_that_one_alone() -> None:
    assert of("Alder cuts its outlook") == {"alder": 1.0}
    assert of("Alder cuts its outlook" + BODY) == {"alder": 1.0}
    assert of("Profits fall") == {}


def test_those_of_a_list_share_it() -> None:
    listed = of(f"{', '.join(NAMES)} fall")
    assert set(listed) == {name.lower() for name in NAMES}
    assert all(math.isclose(one, 0.1) for one in listed.values())
    assert of("Alder buys Birch") == {"alder": 0.5, "birch": 0.5}


def test_a_title_counts_more_than_a_body_and_what_stands_early_more_than_what_stands_late() -> None:
    titled = of("Alder cuts its outlook" + BODY + "Birch did so in May.")
    assert titled["alder"] > 0.8 and titled["birch"] < 0.05
    placed = [
        of("A mill cuts its outlook" + text)["alder"] for text in ("\nAlder says so." + BODY, BODY + "Alder too.")
    ]
    assert placed == [0.5, 0.2], "the first sentence below the title, and the fourth"


def test_what_is_named_again_and_again_is_what_a_text_is_about() -> None:
    once = "A mill cuts its outlook\nThe board met. Birch was there. Alder was told. It rains. It snows. It thaws."
    often = once.replace("It ", "Alder ")
    assert of(once)["birch"] > of(once)["alder"]
    assert of(often)["alder"] > of(often)["birch"] and of(often)["alder"] > 1.5 * of(once)["alder"]
    assert of("Alder and Birch: Alder, says Alder, wins") == {"alder": 0.5, "birch": 0.5}, "a sentence counts once"


@pytest.mark.parametrize(
    "sentences",
    [
        ("Wages rise by 3.5 % vs. last year. ", "Alder pays. "),
        ('"Nobody knows." ', "Alder does not. "),
        ("工资上涨了3.5%。", "Alder支付。"),
        ("“没有人知道。”", "Alder也不知道！"),
        ("No end of a sentence here\n\n", "Alder pays"),
    ],
)
def test_sentences_are_told_apart_in_any_script(sentences: tuple[str, str]) -> None:
    assert of("Short title of it\n" + "".join(sentences)) == {"alder": pytest.approx(1 / 3, abs=1e-4)}
    assert of("".join(reversed(sentences)) if "\n" not in sentences[0] else "Alder") == {"alder": 1.0}


def test_a_title_of_two_sentences_is_one() -> None:
    assert of("Wages rise. Alder pays" + BODY) == {"alder": 1.0}
    assert of("Wages rise. Alder pays") == {"alder": 0.5}, "no title: what comes as one line has none"


def test_the_chinese_names_of_a_list_are_weighed_too() -> None:
    chinese = Gazetteer((Entity("a", ("松木集团",)), Entity("b", ("柏石矿业",))))
    text = "松木集团下调全年预期\n董事会周一开会。分析师并不意外。柏石矿业五月已下调。"
    said = relevances(text, chinese.find(text))
    assert said == {"a": 0.8, "b": 0.05}


@given(
    st.text(alphabet='Aa.。!\n 3"\0', max_size=200), st.lists(st.tuples(st.integers(0, 199), st.sampled_from("abc")))
)
def test_it_is_between_nothing_and_one_and_one_of_all_together(text: str, places: list[tuple[int, str]]) -> None:
    mentions = [Mention(start, start + 1, name) for start, name in places if start < len(text)]
    said = relevances(text, mentions)
    assert set(said) == {one.id for one in mentions}
    assert all(0 <= one <= 1 for one in said.values()) and sum(said.values()) <= 1 + 1e-3
    assert said == relevances(text, mentions[::-1])


def test_a_text_of_many_signs_takes_no_time_of_its_own() -> None:
    """Were a sign looked at again from each one before it, this would take hours."""
    for sign in (".", '."', ". ", "\n", "\n ", "。”"):
        assert relevances(sign * 200_000 + "Alder", [Mention(len(sign) * 200_000, len(sign) * 200_000 + 5, "a")])


def test_every_answer_says_it_of_listed_names_and_of_those_that_were_found() -> None:
    text = "Acme wins the order , Dunmere loses it"
    (listed,) = small_reader().find([text], str).read(small_encoder())
    assert [(one.id, one.relevance) for one in listed] == [("acme", 1.0)]
    reader = EntityReader(small_gazetteer(), small_trained_entities().head, small_tagger())
    (both,) = reader.find([text], str).read(small_encoder())
    assert [(one.id, one.relevance) for one in both] == [("acme", 0.5), ("found:dunmere", 0.5)]


def test_names_that_are_not_read_for_want_of_room_still_share_the_text() -> None:
    many = Gazetteer(tuple(Entity(f"e{number}", (f"Elm{number}x",)) for number in range(40)))
    text = ", ".join(f"Elm{number}x" for number in range(40))
    reader = EntityReader(many, small_trained_entities().head)
    (answer,) = reader.find([text], str).read(small_encoder())
    assert len(answer) == 16 and all(math.isclose(one.relevance, 1 / 40) for one in answer)


def test_a_search_by_relevance_says_of_which_entity() -> None:
    done = CliRunner().invoke(cli, ["search", "--app", "finance", "--relevance-min", "0.5"])
    assert done.exit_code == 2 and "--entity" in done.output
