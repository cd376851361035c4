"""The sentences of `headrace bench contrast`, and what is counted of them."""

import csv
import functools
from collections import Counter
from pathlib import Path

import pytest
from small_release import ENDINGS, small_encoder, small_release

from bench.contrast.run import Sentence, finance_sentences, report
from headrace.applications import load_application
from models.classifier import Classifier
from models.errors import ConfigError
from retrain.data import Row, split_rows
from retrain.strategies.quick import train_quick

TEXTS = {"positive": "give my money back", "negative": "the parcel is late"}


def written(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([("text", "sentiment"), *rows])
    return path


def test_there_are_two_hundred_of_four_kinds_and_no_text_stands_twice() -> None:
    sentences = finance_sentences()
    assert Counter(sentence.kind for sentence in sentences) == dict.fromkeys(
        ("negation", "comparison", "expectation", "numbers"), 50
    )
    assert len({sentence.text for sentence in sentences}) == 200
    assert {sentence.label for sentence in sentences} == {"positive", "negative", "neutral"}


def test_no_sentence_trains_the_shipped_application() -> None:
    corpus = load_application("finance").corpus
    assert corpus is not None
    with corpus.open(encoding="utf-8", newline="") as lines:
        trained = {row["text"] for row in csv.DictReader(lines)}
    assert not trained & {sentence.text for sentence in finance_sentences()}


@functools.cache
def sentiment_release() -> Classifier:
    rows = [
        Row(text + ending, {"sentiment": label})
        for label, text in TEXTS.items()
        for ending in ENDINGS
        for _ in range(2)
    ]
    trained = train_quick(small_encoder(), split_rows(rows, ("sentiment",)))
    return Classifier("bench", "1", small_encoder(), trained.vocabulary, trained.heads)


def test_a_release_and_tf_idf_are_counted_by_kind(tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", [(f"{text} {n}", label) for label, text in TEXTS.items() for n in range(9)])
    sentences = [Sentence("plain", text, label) for label, text in TEXTS.items()]
    turned = [Sentence("turned", TEXTS["negative"], "positive"), Sentence("turned", TEXTS["positive"], "negative")]
    figures = report(sentiment_release(), [*sentences, *turned], train)
    for who in ("headrace", "tf_idf"):
        assert {kind: by[who]["right"] for kind, by in figures.items()} == {"plain": 1.0, "turned": 0.0, "all": 0.5}
    assert figures["all"]["headrace"]["sentences"] == 4


def test_a_file_that_holds_the_sentences_is_refused(tmp_path: Path) -> None:
    train = written(tmp_path / "train.csv", [(text, label) for label, text in TEXTS.items()])
    with pytest.raises(ConfigError, match="holds 1 of the sentences"):
        report(sentiment_release(), [Sentence("k", TEXTS["positive"], "positive")], train)


def test_a_release_without_a_sentiment_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no head 'sentiment'; it has: intent, urgency"):
        report(small_release().classifier, finance_sentences(), tmp_path / "train.csv")
