"""Good and bad as sentences say it: composed of what their words do to each other, not of the words alone."""

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.contrast.run import finance_sentences
from headrace import word_lists
from models.errors import ReleaseCorrupt
from models.polarity.composition import Reading
from models.polarity.lexicon import MAX_TOKENS
from models.polarity.view import FEATURES, Polarity
from models.polarity.word_forms import noun_forms, verb_forms

LISTS = Path(word_lists.__file__).with_name("finance_sentiment.toml")
POLARITY = Polarity(tomllib.loads(LISTS.read_text(encoding="utf-8")), ("sentiment",))
ROOT = Path(__file__).parents[2]
VALIDATION = ROOT / "bench" / "contrast" / "finance_validation.csv"


def read(text: str) -> Reading:
    return POLARITY.read(text)


def sign(text: str) -> int:
    score = read(text).score
    return int(np.sign(score)) if abs(score) > 0.05 else 0


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param("Net loss narrowed", "Net loss widened", id="a quantity that is bad when it rises"),
        pytest.param("Sales rose", "Sales fell", id="a quantity that is good when it rises"),
        pytest.param("Varrick cut its costs", "Varrick cut its dividend", id="what is behind the verb"),
        pytest.param("A fall in unemployment", "A fall in exports", id="behind a preposition"),
        pytest.param("Fewer complaints at Osk", "Fewer customers at Osk", id="an adjective"),
        pytest.param("Sales stopped falling", "Sales stopped rising", id="two directions, one on the other"),
        pytest.param("Costs rise slower than prices", "Costs rise faster than prices", id="how fast"),
        pytest.param("Varrick did not default", "Varrick did not recover", id="a negator"),
        pytest.param("No recall at Varrick", "No profit at Varrick", id="a negator before a noun"),
        pytest.param("Strike fails to dent output", "Campaign fails to lift sales", id="a failure"),
        pytest.param("Varrick never suspended its dividend", "Varrick never resumed its dividend", id="never"),
        pytest.param("Lawsuit against Varrick dismissed", "Guidance of Varrick withdrawn", id="what is taken away"),
        pytest.param("Ban on Varrick lifted", "Ban on Varrick tightened", id="a restriction that is lifted"),
        pytest.param("Varrick escapes a fine", "Varrick loses a contract", id="escaping and losing"),
        pytest.param("The decline in sales is slowing", "The growth in sales is slowing", id="said of what was said"),
        pytest.param("It lost fewer customers", "It lost more customers", id="less of what happens"),
        pytest.param("Analysts had braced for worse", "Analysts had hoped for more", id="what was feared or hoped for"),
        pytest.param("Losses not as large as they were", "Margins not as high as they were", id="as large as"),
        pytest.param("Guidance now 5 to 6%, before 3 to 4%", "Guidance now 3 to 4%, before 5 to 6%", id="ranges"),
        pytest.param("Osk will not leave the market", "Osk will not win the order", id="a verb that is denied"),
        pytest.param("Loss smaller than feared", "Gain smaller than hoped", id="what was awaited"),
        pytest.param("Smaller than feared at Osk", "Smaller than hoped at Osk", id="without a quantity"),
        pytest.param("Less severe than thought", "More severe than thought", id="a word of quality made more or less"),
        pytest.param("Profit of 9 million against 7 million", "Profit of 7 million against 9 million", id="numbers"),
        pytest.param("Vacancy rate 4% (2023: 7%)", "Vacancy rate 7% (2023: 4%)", id="a number and its year"),
        pytest.param("Leverage went from 3.9 to 2.6 times", "Leverage went from 2.6 to 3.9 times", id="from and to"),
        pytest.param("EPS 1.12 vs 0.97 est", "EPS 0.97 vs 1.12 est", id="short for a comparison"),
        pytest.param("Costs rose but profit doubled", "Profit doubled but guidance was cut", id="but"),
        pytest.param("Although sales fell, profit rose", "Although sales rose, profit fell", id="although"),
        pytest.param(
            "Despite weak demand Osk lifted its outlook", "Despite strong demand Osk cut its outlook", id="despite"
        ),
    ],
)
def test_the_same_words_are_good_or_bad_by_what_they_do_to_each_other(good: str, bad: str) -> None:
    assert (sign(good), sign(bad)) == (1, -1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Varrick to publish its figures on Thursday",
        "Sales 204 million, year earlier 204 million",
        "Results in line with forecasts",
        "More than 40 people live there",
        "公司利润下降",
        "Gewinn bricht ein",
        "\x00 \ud800 \n\n 5 % ?",
    ],
)
def test_a_text_that_says_neither_is_neither(text: str) -> None:
    assert sign(text) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Varrick says its net loss narrowed sharply", ["net loss narrowed"]),
        ("It failed to lift sales", ["failed to lift sales"]),
        ("Costs rose and orders fell", ["costs rose", "orders fell"]),
    ],
)
def test_a_claim_names_the_words_that_it_is_composed_of(text: str, said: list[str]) -> None:
    reading = read(text)
    assert [reading.said(claim) for claim in reading.claims] == said


def test_two_equal_numbers_say_that_nothing_moved() -> None:
    row = POLARITY.features(["Sales 204 million, year earlier 204 million"]).toarray()[0]
    assert dict(zip(FEATURES, row.tolist(), strict=True))["unmoved"] == 1.0


@pytest.mark.parametrize(
    ("listed", "forms"),
    [
        ("rise/rose/risen", {"rise", "rises", "rising", "rose", "risen"}),
        ("trim", {"trim", "trims", "trimming", "trimmed"}),
        ("apply", {"apply", "applies", "applying", "applied"}),
        ("fall short/fell short", {"fall short", "falls short", "falling short", "fell short"}),
    ],
)
def test_verbs_are_inflected(listed: str, forms: set[str]) -> None:
    assert verb_forms(listed) == forms


def test_nouns_have_a_plural() -> None:
    assert noun_forms("bad loan") == {"bad loan", "bad loans"}
    assert noun_forms("delivery/deliveries") == {"delivery", "deliveries"}


@given(
    st.lists(st.one_of(st.text(), st.sampled_from(["loss", "narrowed", "not", "from", "5%", "to", "3%", ",", "but"])))
)
def test_any_text_can_be_read_and_its_numbers_are_shares(words: list[str]) -> None:
    row = POLARITY.features([" ".join(words)]).toarray()[0]
    assert len(row) == len(FEATURES)
    assert ((row >= 0) & (row <= 1)).all()


def test_a_text_is_read_by_itself() -> None:
    texts = ["Sales rose", "", "Net loss widened to 9 million"]
    together, alone = POLARITY.features(texts).toarray(), [POLARITY.features([text]).toarray()[0] for text in texts]
    assert np.array_equal(together, np.stack(alone))


def test_an_endless_text_is_read_to_a_bound() -> None:
    assert len(read("sales rose and " * 10_000).tokens) <= MAX_TOKENS


def test_the_lists_travel_as_bytes() -> None:
    assert Polarity.from_bytes(POLARITY.to_bytes()) == POLARITY
    for broken in (b"", b"[]", b"{}", b'{"heads": [], "words": {}}', b'{"heads": 1, "words": 2}'):
        with pytest.raises(ReleaseCorrupt, match="publish it again"):
            Polarity.from_bytes(broken)


def test_validation_sentences_are_others_than_those_that_train_or_test() -> None:
    with VALIDATION.open(encoding="utf-8", newline="") as lines:
        ours = {row["text"] for row in csv.DictReader(lines)}
    with (ROOT / "apps" / "corpora" / "finance.csv").open(encoding="utf-8", newline="") as lines:
        training = {row["text"] for row in csv.DictReader(lines)}
    assert not len(ours & training)
    assert not len(ours & {sentence.text for sentence in finance_sentences()})


def test_most_validation_sentences_are_read_rightly_by_composition_alone() -> None:
    with VALIDATION.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    signs = {"positive": 1, "negative": -1, "neutral": 0}
    assert len(rows) >= 150
    assert np.mean([sign(row["text"]) == signs[row["sentiment"]] for row in rows]) >= 0.8
