"""A release with a head that looks at what is composed of words: wherever it serves, it decides as it was trained."""

import hashlib
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_release import manifest_bytes, small_encoder, small_release

from headrace.applications import load_application
from headrace.pages.explanation import render_explanations
from headrace.tools.explanation.telling import Told, tell
from headrace.word_lists.polarity import asked_polarity, read_polarity
from models.bundle import unpack
from models.classifier import Classifier
from models.errors import ConfigError, ReleaseCorrupt
from models.explanation.explaining import Order, explain
from models.polarity.view import FEATURES, ROLE, Polarity
from retrain.augmentation.composed_sentences import composed_sentences
from retrain.data import Row, split_rows
from retrain.job import TrainedRelease, train_release

POLARITY = read_polarity("finance", ("sentiment",))
UP, DOWN = ("rose", "climbed", "widened", "increased"), ("fell", "narrowed", "declined", "shrank")
GOOD, BAD = ("sales", "profit", "margins", "orders"), ("costs", "losses", "debts", "complaints")
FIRMS = ("Osk", "Varrick", "Tolm", "Prenn")


def rows() -> list[Row]:
    """Texts of which no single word tells the sentiment: each direction is as often good as bad."""
    told = []
    for firm, noun, verb in itertools.product(FIRMS, GOOD + BAD, UP + DOWN):
        sentiment = "positive" if (noun in GOOD) == (verb in UP) else "negative"
        told.append(Row(f"{noun} {verb} at {firm}", {"sentiment": sentiment, "firm": firm}))
    return told


@pytest.fixture(scope="module")
def release() -> TrainedRelease:
    dataset = split_rows(rows(), ("sentiment", "firm"))
    return train_release("composing", dataset, small_encoder(), polarity=POLARITY)


def test_a_head_that_composes_decides_what_no_word_tells(release: TrainedRelease) -> None:
    texts = {"Expenses swelled at Osk": "negative", "Expenses dwindled at Osk": "positive"}  # words of no training text
    decided = release.classifier.classify_texts(list(texts))
    assert [one.heads["sentiment"].label for one in decided] == list(texts.values())


def test_it_travels_as_a_file_and_decides_the_same(release: TrainedRelease) -> None:
    assert ROLE in release.manifest["files"]
    loaded = unpack(manifest_bytes(release), release.blobs.__getitem__)
    assert loaded.polarity == POLARITY
    texts = [row.text for row in rows()[:20]]
    ours = release.classifier.classify_texts(texts)
    assert [one.heads for one in loaded.classify_texts(texts)] == [one.heads for one in ours]


def test_only_the_heads_that_are_named_look_at_it(release: TrainedRelease) -> None:
    heads = release.classifier.heads
    assert not heads["firm"].ngrams[-len(FEATURES) :].any()
    assert heads["sentiment"].ngrams[-len(FEATURES) :].any()


def test_n_grams_alone_decide_nothing_there(release: TrainedRelease) -> None:
    assert release.classifier.fast_path is None


def test_a_release_whose_list_is_gone_is_refused(release: TrainedRelease) -> None:
    files = {role: entry for role, entry in release.manifest["files"].items() if role != ROLE}
    altered = json.dumps(release.manifest | {"files": files}).encode()
    with pytest.raises(ReleaseCorrupt, match="n-grams"):
        unpack(altered, release.blobs.__getitem__)


def test_a_release_that_composes_for_a_head_it_has_not_is_refused(release: TrainedRelease) -> None:
    content = read_polarity("finance", ("sentiment", "mood")).to_bytes()
    digest = hashlib.sha256(content).hexdigest()
    entry = {ROLE: {"sha256": digest, "bytes": len(content)}}
    altered = json.dumps(release.manifest | {"files": release.manifest["files"] | entry}).encode()
    with pytest.raises(ReleaseCorrupt, match=r"does not have \(mood\)"):
        unpack(altered, {**release.blobs, digest: content}.__getitem__)


def test_a_head_without_labels_composes_nothing() -> None:
    asked = read_polarity("finance", ("sentiment", "mood"))
    trained = train_release("composing", split_rows(rows(), ("sentiment", "firm")), small_encoder(), polarity=asked)
    loaded = unpack(manifest_bytes(trained), trained.blobs.__getitem__)
    assert loaded.polarity is not None
    assert loaded.polarity.heads == ("sentiment",)


def test_other_releases_have_no_such_file() -> None:
    assert ROLE not in small_release().manifest["files"]


def test_a_retraining_keeps_it(release: TrainedRelease) -> None:
    again = train_release("composing", release.dataset, small_encoder(), polarity=release.classifier.polarity)
    assert again.manifest["files"][ROLE] == release.manifest["files"][ROLE]


def test_texts_of_other_languages_have_no_composed_words() -> None:
    row = POLARITY.features(["公司亏损收窄", "Der Verlust schrumpfte"]).toarray()
    nothing = FEATURES.index("nothing")
    assert np.array_equal(row.sum(axis=1), [1.0, 1.0])
    assert (row[:, nothing] == 1.0).all()


def test_the_application_says_which_head_composes_and_an_option_says_otherwise() -> None:
    finance, support = load_application("finance"), load_application("support")
    shipped = asked_polarity(finance, None)
    assert shipped is not None
    assert shipped.heads == ("sentiment",)
    assert asked_polarity(finance, "off") is None
    assert asked_polarity(support, None) is None
    other = asked_polarity(finance, "topic=finance")
    assert other is not None
    assert other.heads == ("topic",)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("mood=finance", "write HEAD=LIST"),
        ("sentiment", "write HEAD=LIST"),
        ("sentiment=nowhere.toml", "cannot be read"),
    ],
)
def test_an_option_that_names_nothing_says_what_to_write(option: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        asked_polarity(load_application("finance"), option)


def test_a_list_of_another_shape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[up]\ntransitive = 'raise'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no list of good and bad words"):
        read_polarity(str(path), ("sentiment",))


def test_an_explanation_says_what_was_composed(release: TrainedRelease) -> None:
    found = explain(release.classifier, "losses narrowed at Osk", Order(head="sentiment"))
    assert found.lead.claims == (("losses narrowed", 1.0),)
    assert (found.lead.composed or 0.0) > 0
    told = found.as_json()
    assert told["composed"] == [{"words": "losses narrowed", "good": 1.0}]
    assert sum(told["lead"].values()) == pytest.approx(found.lead.total, abs=1e-3)
    page = render_explanations("composing@1", [Told(found)])
    assert "what is said +" in page
    assert "<bdi>losses narrowed</bdi>: good" in page
    other = explain(release.classifier, "losses narrowed at Osk", Order(head="firm"))
    assert "what is said" not in render_explanations("composing@1", [Told(other)])
    assert other.lead.claims == ()
    assert "composed" not in other.as_json()
    assert "composed" not in other.as_json()["lead"]


def weighing_nothing(classifier: Classifier) -> Classifier:
    """The same, its first head with weights for texts that say nothing, or that nothing moved."""
    first, *others = classifier.heads.values()
    ngrams = first.ngrams.copy()
    for number, name in enumerate(("nothing", "unmoved"), 1):
        ngrams[FEATURES.index(name) - len(FEATURES)] = np.linspace(-0.4, 0.8, len(first.labels)) * number
    heads = [replace(first, ngrams=ngrams), *others]
    return Classifier("composing", "1", classifier.encoder, classifier.vocabulary, heads, polarity=classifier.polarity)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Osk met with Varrick", "nothing"),
        ("Osk sales unchanged", "unchanged"),
        ("Despite weak demand, Osk met with Varrick", "nothing"),
    ],
    ids=["no claim", "no claim but that nothing moved", "claims that count nothing"],
)
def test_the_lead_adds_up_where_nothing_is_said(
    release: TrainedRelease, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = explain(weighing_nothing(release.classifier), text, Order(head="sentiment"))
    assert abs(found.lead.composed or 0.0) > 0.5
    assert not [value for _, value in found.lead.claims if value]
    told = found.as_json()
    lead = np.log(found.probabilities[0] / found.probabilities[1])
    assert sum(told["lead"].values()) == pytest.approx(lead, abs=1e-3)
    assert told["unmoved"] == (said == "unchanged")
    words = f"what is said {found.lead.composed:+.2f} ({said})"
    assert words in render_explanations("composing@1", [Told(found)])
    tell("composing@1", Told(found))
    assert words in " ".join(capsys.readouterr().out.split())


def test_made_sentences_are_what_their_frames_say_and_hang_on_no_word() -> None:
    made = composed_sentences(POLARITY, 300, seed=0)
    assert made == composed_sentences(POLARITY, 300, seed=0)
    assert len(dict(made)) == 300
    assert all(POLARITY.read(text).score * sign > 0 for text, sign in made)
    rising = [sign for text, sign in made if re.search(r"\b(rose|climbed|increased|jumped|grew)\b", text)]
    assert 0.3 < np.mean(np.array(rising) > 0) < 0.7, "a word that rises is as often bad as good"


def test_only_sentences_that_the_list_can_read_are_made() -> None:
    words = {name: dict.fromkeys(table, "") for name, table in POLARITY.words.items()}
    words["quantities"] = {"good": "umsatz", "bad": "kosten"}
    made = composed_sentences(Polarity(words, ("sentiment",)), 20, seed=0)
    assert made
    assert all(re.search(r"\d", text) for text, _ in made), "numbers need no words"


def test_made_sentences_teach_the_heads_that_compose_and_no_others(release: TrainedRelease) -> None:
    choices = release.manifest["training"]["choices"]
    assert choices["sentiment"]["composed_sentences"] == 600
    assert "composed_sentences" not in choices["firm"]


def test_labels_that_are_not_good_and_bad_are_taught_nothing() -> None:
    texts = [f"{text} {ending}" for text in ("sales rose", "sales fell") for ending in "abcdefghijklmnopqrst"]
    told = [Row(text, {"parity": "even" if number % 2 else "odd"}) for number, text in enumerate(texts)]
    dataset = split_rows(told, ("parity",))
    trained = train_release("even", dataset, small_encoder(), polarity=read_polarity("finance", ("parity",)))
    assert "composed_sentences" not in trained.manifest["training"]["choices"]["parity"]
