"""Texts made of texts: by slips, by words left out, moved or replaced, and there and back through another language."""

import shutil
import stat
from pathlib import Path

import numpy as np
import pytest

from connectors.apertium import ApertiumTranslator
from headrace.training.augmentation import METHODS, AugmentOrder, methods_of, wordnet_folder
from models.errors import ConfigError
from retrain.augmentation.methods import EachByItself, Method, random_of
from retrain.augmentation.neighbours import Neighbours, nearest_words, whole_words
from retrain.augmentation.round_trip import RoundTrip
from retrain.augmentation.synonyms import with_synonyms
from retrain.augmentation.wordnet import FILES, WordNet
from retrain.augmentation.words import with_words_swapped, without_words, words_of

TEXTS = [f"Where is my parcel, and why was card {number} charged twice?" for number in range(20)]
LICENCE = "  1 This software and database is being provided to you\n"
WORDNET = {name: LICENCE for name in FILES} | {
    "index.noun": LICENCE
    + "parcel n 2 3 @ ~ + 2 1 00000100 00000200\ncar n 1 1 @ 1 1 00000300\ndog_tag n 1 0 1 0 00000100\n",
    "data.noun": LICENCE
    + '00000100 06 n 02 parcel 0 small_package 0 001 @ 00000900 n 0000 | a wrapped container; "a parcel"\n'
    + "00000200 15 n 03 tract 0 parcel 0 parcel_of_land 0 000 | an extended area of land\n"
    + "00000300 06 n 02 car 0 auto 0 000 | a motor vehicle\n",
    "index.adj": LICENCE + "late a 1 1 & 1 1 00000400\n",
    "data.adj": LICENCE + "00000400 00 s 02 late(p) 0 delayed 0 000 | behind time\n",
}


def by_itself(name: str) -> Method:
    def no_encoder() -> object:
        raise AssertionError("no encoder is needed")

    (method,) = methods_of(AugmentOrder.parse(name), no_encoder)  # type: ignore[arg-type]
    return method


@pytest.mark.parametrize("name", ["typing", "dropout", "swap"])
def test_a_text_gives_the_same_text_wherever_it_stands(name: str) -> None:
    made = by_itself(name).rewritten(TEXTS, 1)
    assert made == [by_itself(name).rewritten([text], 1)[0] for text in TEXTS]
    assert made != by_itself(name).rewritten(TEXTS, 2)
    assert sum(one != text for one, text in zip(made, TEXTS, strict=True)) > len(TEXTS) / 2


def test_words_left_out_are_some_of_the_text_and_never_all() -> None:
    for number in range(50):
        made = without_words(TEXTS[0], 0.9, np.random.default_rng(number))
        left = iter(words_of(TEXTS[0]))
        assert words_of(made) and all(word in left for word in words_of(made)), "in their order"
    assert without_words("parcel", 0.9, np.random.default_rng(0)) == "parcel"
    assert without_words("late, parcel!", 0.0, np.random.default_rng(0)) == "late, parcel!"


def test_words_that_change_places_stay_all_there() -> None:
    made = [with_words_swapped(text, 0.3, random_of(text, 0)) for text in TEXTS]
    assert all(sorted(words_of(one)) == sorted(words_of(text)) for one, text in zip(made, TEXTS, strict=True))
    assert all(one != text for one, text in zip(made, TEXTS, strict=True))
    assert with_words_swapped("parcel", 0.3, np.random.default_rng(0)) == "parcel"


def test_chinese_is_read_by_its_characters() -> None:
    assert words_of("我的card还没到账") == ["我", "的", "card", "还", "没", "到", "账"]
    text = "退款什么时候到账"
    shorter = without_words(text, 0.3, np.random.default_rng(1))
    moved = with_words_swapped(text, 0.3, np.random.default_rng(1))
    assert 0 < len(shorter) < len(text) and sorted(moved) == sorted(text) and moved != text
    assert by_itself("typing").rewritten([text * 20], 0) != [text * 20]


def test_wordnet_gives_the_most_frequent_sense() -> None:
    net = WordNet.parse(WORDNET)
    assert net("parcel") == ("small package",)
    assert net("late") == ("delayed",), "without the mark of its place"
    assert net("cars") == ("autos",) and net("unknown") == () and net("dog_tag") == ()


def test_files_that_are_no_wordnet_are_refused() -> None:
    with pytest.raises(ConfigError, match="no WordNet"):
        WordNet.parse(dict.fromkeys(FILES, "a b c d e f g\n"))


def test_a_synonym_is_written_as_its_word_was() -> None:
    thesaurus = WordNet.parse(WORDNET)
    texts = {"My PARCEL!": "My SMALL PACKAGE!", "Late?": "Delayed?", "a car": "a auto", "nothing": "nothing"}
    for text, made in texts.items():
        assert with_synonyms(text, 0.5, thesaurus, np.random.default_rng(0)) == made


@pytest.mark.skipif(wordnet_folder() is None, reason="WordNet is not on this machine")
def test_wordnet_of_this_machine_knows_common_words() -> None:
    made = by_itself("wordnet").rewritten(TEXTS, 0)
    assert all(one != text for one, text in zip(made, TEXTS, strict=True))


def test_a_folder_without_wordnet_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read as WordNet.*index\.noun"):
        by_itself(f"wordnet={tmp_path}")


PLACES = {"parcel": 0.0, "package": 0.2, "parcels": 0.1, "refund": 2.0, "money": 2.3, "banana": 4.0}


def circle(words: object) -> np.ndarray:  # type: ignore[type-arg]
    """Each word's embedding, at its own angle."""
    angles = np.array([PLACES.get(str(word), 5.5) for word in words])  # type: ignore[attr-defined]
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_nearest_words_are_near_and_no_forms_of_the_word() -> None:
    found = nearest_words(["parcel", "refund", "banana"], list(PLACES), circle)
    assert found == {"parcel": ("package",), "refund": ("money",)}


def test_neighbours_replace_words_that_name_something() -> None:
    method = Neighbours(circle, ["package", "money"])
    assert method.rewritten(["my parcel", "the refund", "my banana", "到账"], 0) == [
        "my package",
        "the money",
        "my banana",
        "到账",
    ]


def test_whole_words_of_a_tokenizer_are_no_pieces() -> None:
    vocabulary = '{"model": {"vocab": {"[PAD]": 0, "parcel": 1, "##cel": 2, "the": 3, "card": 5, "12": 4, "bank": 6}}}'
    assert whole_words(vocabulary) == ["parcel", "card", "bank"], "the commonest first"


def test_a_round_trip_goes_there_and_back_and_keeps_what_comes_back_empty() -> None:
    method = RoundTrip(
        "test", lambda texts: [text.upper() for text in texts], lambda texts: [t.strip("!") for t in texts]
    )
    assert method.rewritten(["late \n parcel!", "!!"], 0) == ["LATE PARCEL", "!!"]


def program(folder: Path, body: str) -> str:
    path = folder / "apertium"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_apertium_gets_a_line_a_text_and_gives_one_back(tmp_path: Path) -> None:
    translate = ApertiumTranslator(program(tmp_path, "tr a-z A-Z"), "eng-spa")
    assert translate(["my\nparcel", "", "lone \ud800 surrogate"]) == ["MY PARCEL", "", "LONE ? SURROGATE"]
    assert translate([]) == []


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("echo Mode xx does not exist >&2; exit 1", "Mode xx does not exist"),
        ("echo one line too many; cat", "3 lines for 2"),
        ("sleep 20", "took longer"),
    ],
    ids=["refuses", "another number of lines", "hangs"],
)
def test_apertium_that_fails_is_told_in_one_line(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ApertiumTranslator(program(tmp_path, body), "eng-spa", timeout_seconds=2)(["a", "b"])


@pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
def test_apertium_of_this_machine_makes_other_texts_that_share_words() -> None:
    made = by_itself("apertium").rewritten(TEXTS[:4], 0)
    assert all(one != text and set(words_of(one)) & set(words_of(text)) for one, text in zip(made, TEXTS, strict=False))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("typos", "does not exist; there are: typing"),
        ("typing=2", "takes nothing"),
        (" , ", "names no method"),
    ],
)
def test_a_mistake_in_the_names_is_told(words: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        AugmentOrder.parse(words)


@pytest.mark.parametrize(("name", "told"), [("masked", "masked=FOLDER"), ("marian=one", "marian=THERE:BACK")])
def test_a_method_that_needs_a_model_says_so(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        by_itself(name)


def test_auto_takes_what_is_there_and_what_is_named() -> None:
    order = AugmentOrder.parse("auto,marian=a:b")
    assert order == AugmentOrder((("marian", "a:b"),), auto=True)
    assert set(AugmentOrder.parse("typing, swap").names) == {("typing", ""), ("swap", "")}
    assert isinstance(by_itself("typing"), EachByItself) and set(METHODS) >= {"typing", "wordnet"}
