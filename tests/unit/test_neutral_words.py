"""A release that reads names, gender words and places as one: nothing hangs on them, wherever it serves."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_release import manifest_bytes, small_dataset, small_encoder, small_release
from typer.testing import CliRunner

from headrace.cli import app
from headrace.word_lists import read_neutral_words
from models.bundle import unpack
from models.errors import ConfigError, ReleaseCorrupt
from models.words.neutral_words import ROLE, NeutralWords
from retrain.data import Row
from retrain.job import TrainedRelease, train_release
from retrain.text_keys import key_hash

DEFAULT = read_neutral_words("default")
WORDS = NeutralWords({"emily": "Alex", "kofi": "Alex", "she": "they", "he": "they"})


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Emily paid Kofi", "Paris paid Paris"),
        ("EMILY paid kofi", "PARIS paid paris"),
        ("Kofi Mensah paid", "Paris paid"),
        ("Zhang Wei lives in New York", "Paris lives in Paris"),
        ("she lost her card", "they lost their card"),
        ("I paid her back", "I paid them back"),
        ("the card is hers", "the card is theirs"),
        ("他的丈夫和其他人", "ta的爱人和其他人"),
        ("my parcel went to utrecht", "my parcel went to paris"),
        ("Gwendolyn told Tuomas Virtanen", "Paris told Paris"),
        ("Llanberis is far from Oymyakon", "Paris is far from Paris"),
        ("An Oslo bank and a Utrecht one", "A Paris bank and a Paris one"),
        ("Who is Þórdís? Hyun-woo's friend", "Who is Paris? Paris's friend"),
        ("I owe Grace money", "I owe Paris money"),
        ("Grace of two weeks, will you mark it? Nice!", "Grace of two weeks, will you mark it? Nice!"),
        ("Refunded Unhappily, The Card Was Mailed", "Refunded Unhappily, The Card Was Mailed"),
        ("$BYND @Oymyakon www.Oymyakon.com", "$BYND @Oymyakon www.Oymyakon.com"),
        ("ask the PIN and the ATM", "ask the PIN and the ATM"),
        ("我叫徐梓涵，不是穆罕默德", "我叫小明，不是小明"),
        ("扎西多吉和扎西", "小明和小明"),
        ("老公叫了包子", "爱人叫了包子"),
        ("", ""),
        ("nothing to see", "nothing to see"),
    ],
)
def test_listed_words_are_read_as_one(text: str, read: str) -> None:
    assert DEFAULT.read(text) == read
    assert DEFAULT.read(read) == read, "reading it once more changes nothing"


def test_words_that_stand_for_each_other_are_read_alike() -> None:
    assert DEFAULT.read("My wife told him about her son") == DEFAULT.read("My husband told her about his daughter")


def test_words_of_the_training_texts_are_no_names() -> None:
    taught = DEFAULT.fitted_to(["Pay by Visa"] * 10 + ["Ask Zorblax"] * 3 + ["I love my Llanberis"] * 2)
    assert taught.read("Is Visa or Zorblax in Llanberis?") == "Is Visa or Zorblax in Paris?"
    assert DEFAULT.read("Is Zorblax there?") == "Is Paris there?"
    emily = DEFAULT.fitted_to(["I am Emily"] * 20)
    assert emily.read("I am Emily") == "I am Paris", "what is listed by hand stays"
    mobile = DEFAULT.fitted_to(["My kumasi is broken"] * 3)
    assert mobile.read("My kumasi, in Kumasi") == "My kumasi, in Paris", "a word of theirs is a name by its capital"
    chinese = DEFAULT.fitted_to(["一份汤水水"] * 2)
    assert chinese.read("汤水水和王建国") == "汤水水和小明"


def test_awkward_texts_are_read_without_an_error() -> None:
    for text in ("\x00", "\ud800 he", "he " * 5000, "🙂", "İstanbul ſhe"):
        assert isinstance(DEFAULT.read(text), str)


def test_words_come_back_from_their_bytes() -> None:
    words = DEFAULT.fitted_to(["Pay by Visa"] * 10)
    again = NeutralWords.from_bytes(words.to_bytes())
    assert again == words and again.to_bytes() == words.to_bytes()
    assert NeutralWords.from_bytes(WORDS.to_bytes()) == WORDS
    with pytest.raises(ReleaseCorrupt):
        NeutralWords.from_bytes(b'{"words": 1}')


@pytest.fixture(scope="module")
def release() -> TrainedRelease:
    return train_release("support", small_dataset(), small_encoder(), neutral_words=WORDS)


def test_a_release_decides_alike_whatever_the_word_and_one_without_the_list_does_not(release: TrainedRelease) -> None:
    pairs = [f"{{}} says the {word} is late" for word in ("parcel", "refund", "fee", "order", "card")]
    texts = [[pair.format(word) for pair in pairs] for word in ("Emily", "Kofi")]

    def probabilities(of: TrainedRelease) -> list[list[float]]:
        return [[one.heads["intent"].probability for one in of.classifier.classify_texts(some)] for some in texts]

    one, other = probabilities(release)
    assert one == other
    one, other = probabilities(small_release())
    assert one != other


def test_a_release_carries_its_words_and_serves_with_them(release: TrainedRelease) -> None:
    digest = release.manifest["files"][ROLE]["sha256"]
    served = unpack(manifest_bytes(release), release.blobs.__getitem__, version="1", threads=1)
    assert served.neutral_words == WORDS
    given = [one.heads["intent"] for one in served.classify_texts(["Emily wants a refund", "Kofi wants a refund"])]
    assert given[0] == given[1]
    altered = dict(release.blobs) | {digest: b"{}"}
    with pytest.raises(ReleaseCorrupt):
        unpack(manifest_bytes(release), altered.__getitem__, version="1", threads=1)
    assert ROLE not in small_release().manifest["files"]


def test_lengths_are_those_of_the_text_as_it_came(release: TrainedRelease) -> None:
    assert release.classifier.classify_texts(["Emily, Emily"])[0].characters == 12


def test_what_the_encoder_knows_is_kept_by_the_texts_as_they_are() -> None:
    row = Row("she wants a refund", {"intent": "refund"}, "train")
    dataset = replace(
        small_dataset(), rows=(*small_dataset().rows, row), encoder_tuned_on=frozenset({key_hash(row.text)})
    )
    trained = train_release("support", dataset, small_encoder(), neutral_words=WORDS)
    assert key_hash(row.text) in trained.dataset.encoder_tuned_on
    assert row in trained.dataset.rows, "the data stay as they were given"


def test_train_takes_the_list_by_name_or_file_and_refuses_one_without_neutral_words(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    path.write_text("[[swaps]]\nkind = 'x'\nsets = [['cat', 'dog', 'pet']]\n")
    assert read_neutral_words(str(path)).read("a Cat") == "a Pet"
    path.write_text("[[swaps]]\nkind = 'x'\nsets = [['cat', 'dog']]\n")
    with pytest.raises(ConfigError, match="names no neutral word"):
        read_neutral_words(str(path))
    refused = CliRunner().invoke(app, ["train", "support", "--data", "x.csv", "--neutral-words", "nowhere.toml"])
    assert refused.exit_code != 0 and "--neutral-words" in str(refused.exception)


def test_the_list_of_a_release_is_readable_json(release: TrainedRelease) -> None:
    digest = release.manifest["files"][ROLE]["sha256"]
    assert json.loads(release.blobs[digest])["words"]["emily"] == "Alex"
    assert np.isfinite(release.report["accuracy"])
