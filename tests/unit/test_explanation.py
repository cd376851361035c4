"""Why a release decided a text as it did: parts, exact shares of n-grams, occlusion, measures."""

import itertools
import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_fast_path import classifier_with, small_fast_path, with_threshold
from small_release import small_release, small_rows

from models.classifier import Classifier
from models.errors import ConfigError
from models.explanation.asking import Answers, Question
from models.explanation.explaining import Explanation, Order, explain
from models.explanation.libraries import lime_weights, shap_values
from models.explanation.measures import agreement, measure
from models.explanation.neighbours import nearest
from models.explanation.ngram_shares import explain_lead
from models.explanation.occlusion import SINGLE_PARTS, Search, occlude
from models.explanation.parts import Part, only, split_parts, stretches, without
from models.ngrams import SPACE, find_ngrams, kinds_of, locate_ngrams, normalise

REFUND = "please give me a refund for it"


def pieces(text: str, unit: str = "words") -> list[str]:
    vocabulary = small_release().classifier.vocabulary
    return [text[part.start : part.end] for part in split_parts(text, unit, vocabulary)]  # type: ignore[arg-type]


@given(st.text())
def test_every_visible_character_is_in_one_part(text: str) -> None:
    covered = np.zeros(len(text), dtype=int)
    for part in split_parts(text):
        covered[part.start : part.end] += 1
    assert covered.max(initial=0) <= 1 and (covered[kinds_of(text) != SPACE] == 1).all()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("I can't pay $5.20!!", ["I", "can't", "pay", "$5.20", "!!"]),
        ("see https://x.y/a?b=1 (now)", ["see", "https://x.y/a?b=1", "(", "now", ")"]),
        ("😀👍🏽❤️ 👨‍👩‍👧", ["😀", "👍🏽", "❤️", "👨‍👩‍👧"]),
        (" \n\t", []),
    ],
    ids=["joined words and signs", "an address", "emoji with what belongs to them", "nothing"],
)
def test_text_is_split_as_people_read_it(text: str, parts: list[str]) -> None:
    assert pieces(text) == parts


def test_chinese_is_split_into_words_of_the_training_texts_or_into_characters() -> None:
    assert pieces("退款什么时候到账", "characters") == list("退款什么时候到账")
    words = pieces("请问退款到账了吗ok")
    assert "".join(words) == "请问退款到账了吗ok" and words[-1] == "ok"
    assert "到账" in "|".join(words) and any(len(word) > 1 for word in words[:-1])


def test_taking_parts_out_leaves_the_others() -> None:
    text = "where is my card?"
    parts = split_parts(text)
    assert without(text, parts, [1, 3]) == "where  my ?"
    assert only(text, parts, [3]).split() == ["card"]
    assert [part.words for part in stretches(parts, 2)] == [2, 3]


@given(st.text(max_size=60))
def test_located_ngrams_are_those_that_are_found(text: str) -> None:
    located = locate_ngrams(text)
    assert np.array_equal(located.buckets, find_ngrams([text]).buckets)
    assert (located.begins >= 0).all() and (located.ends <= len(normalise(text))).all()
    assert (located.begins < located.ends).all()


def test_ngrams_are_located_where_they_stand() -> None:
    located = locate_ngrams("a card?")
    found = {"a card?"[begin:end] for begin, end in zip(located.begins, located.ends, strict=True)}
    assert {"a", "a card", "card", "car", "ard", "?", "card?"} <= found and "ard?" not in found


@pytest.mark.parametrize("path", ["fast", "full"])
@pytest.mark.parametrize("text", [REFUND, "refund refund, REFUND!", "ﬁne 退款ｏｋ https://a.b/c refund", "?"])
def test_shares_of_ngrams_encoder_and_bias_add_up_to_the_lead(path: str, text: str) -> None:
    classifier = classifier_with(small_fast_path())
    answers = Answers(classifier, "intent", path)  # type: ignore[arg-type]
    logits = answers.logits([text])[0]
    parts = split_parts(text)
    lead = explain_lead(classifier, "intent", answers.path, text, parts, 0, 2, float(logits[0] - logits[2]))
    assert lead.total == pytest.approx(logits[0] - logits[2], abs=1e-4)
    head = classifier.heads["intent"]
    if path == "full":
        embedding = classifier.encoder.embed([text])[0]
        expected = float(embedding @ (head.dense[:, 0] - head.dense[:, 2])) / head.temperature
        assert lead.encoder == pytest.approx(expected, abs=1e-4)
    assert len(lead.ngrams) == len(parts) and np.abs(lead.ngrams).sum() > 0


def test_the_share_of_a_word_is_that_of_its_own_ngrams() -> None:
    classifier = classifier_with(small_fast_path())
    text = "xyzzy refund"
    labels = classifier.heads["intent"].labels
    lead = explain_lead(
        classifier, "intent", "fast", text, split_parts(text), labels.index("refund"), labels.index("fee"), 0.0
    )
    assert lead.ngrams[1] > 1 > 0.5 > abs(lead.ngrams[0])


@dataclass
class TwoWords:
    """Answers of a made-up model: `lost` and `stolen` say the same, `card` a little of its own."""

    asked: int = 0
    path: str = "fast"

    def logits(self, texts: list[str]) -> np.ndarray:
        self.asked += len(texts)
        rows = []
        for text in texts:
            words = text.split()
            support = np.logaddexp(5.0 * ("lost" in words), 4.0 * ("stolen" in words)) + 0.5 * ("card" in words)
            rows.append([support, 0.0])
        return np.array(rows)


def occluded(text: str, answers: object, **options: int) -> tuple[list[str], Search]:
    search = Search(answers, Question(0), text)  # type: ignore[arg-type]
    parts = split_parts(text)
    found = occlude(search, parts, **options)
    return [text[found.parts[number].start : found.parts[number].end] for number in found.order], search


def test_words_that_say_the_same_stand_together_before_what_matters_less() -> None:
    """Each alone is hardly missed: without `stolen`, `lost` says it still."""
    text = "my lost card was stolen"
    order, _ = occluded(text, TwoWords())
    assert order[:3] == ["lost", "stolen", "card"]
    alone, _ = occluded(text, TwoWords(), rounds=0)
    assert alone[:3] == ["lost", "card", "stolen"]


def test_a_text_of_ten_thousand_words_is_looked_at_in_stretches_around_what_matters() -> None:
    words = ["word"] * 10_000
    words[6_789] = "lost"
    answers = TwoWords()
    search = Search(answers, Question(0), text := " ".join(words))  # type: ignore[arg-type]
    found = occlude(search, split_parts(text))
    first = found.parts[found.order[0]]
    assert "lost" in text[first.start : first.end].split() and first.words < 10
    assert sum(part.words for part in found.parts) == 10_000
    assert len(found.parts) < 100 > SINGLE_PARTS and answers.asked < 1_000
    assert all(one.end <= other.start for one, other in itertools.pairwise(found.parts))


@pytest.mark.parametrize("threshold", [0.3, 1.0], ids=["fast", "full"])
def test_the_word_that_decides_stands_first_on_the_path_that_decided(threshold: float) -> None:
    classifier = classifier_with(with_threshold(threshold))
    explanation = explain(classifier, REFUND)
    assert explanation.path == ("fast" if threshold < 1 else "full")
    assert explanation.decision.label == "refund"
    assert explanation.part_text(explanation.occlusion.order[0]) == "refund"
    assert explanation.change is not None and explanation.change.label != "refund"
    assert explanation.faithfulness is not None
    assert explanation.faithfulness.comprehensiveness > 0.2 > explanation.faithfulness.sufficiency


def test_the_same_text_gives_the_same_bytes() -> None:
    classifier = classifier_with(with_threshold(1.0))
    once, again = (json.dumps(explain(classifier, REFUND).as_json()) for _ in range(2))
    assert once == again


def test_against_a_label_effects_are_those_on_the_lead_over_it() -> None:
    classifier = small_release().classifier
    text = "refund for the parcel that is late"
    plain = explain(classifier, text)
    rival = next(label for label in ("delivery", "refund") if label != plain.decision.label)
    against = explain(classifier, text, Order(against=rival))
    answers = Answers(classifier, "intent", "full")
    own, other = answers.labels.index(plain.decision.label), answers.labels.index(rival)
    whole, part = answers.logits([text, without(text, against.occlusion.parts, [0])])
    expected = (whole[own] - whole[other]) - (part[own] - part[other])
    assert against.occlusion.effects[0] == pytest.approx(expected)
    assert against.rival == rival and against.as_json()["against"] == rival


def test_a_head_of_ones_choice_is_explained() -> None:
    explanation = explain(small_release().classifier, "refund please now", Order(head="urgency"))
    assert explanation.head == "urgency" and explanation.decision.label in ("high", "low")


def test_a_deadline_cuts_and_says_so() -> None:
    looks = itertools.count()
    explanation = explain(small_release().classifier, REFUND, out_of_time=lambda: next(looks) >= 0)
    described = explanation.as_json()
    assert described["cut"] and described["comprehensiveness"] is None
    assert {part["effect"] for part in described["parts"]} == {None}
    later = itertools.count()
    partly = explain(small_release().classifier, REFUND, out_of_time=lambda: next(later) >= 1).as_json()
    assert partly["cut"] and all(part["effect"] is not None for part in partly["parts"])


@pytest.mark.parametrize(
    ("text", "order", "words"),
    [
        ("", Order(), "nothing to explain"),
        ("\u200b\n", Order(), "nothing to explain"),
        (REFUND, Order(against="delivry"), "did you mean delivery"),
        (REFUND, Order(against="refund"), "decided as 'refund'"),
        (REFUND, Order(head="mood"), "no head 'mood'"),
        (REFUND, Order(path="fast"), "no fast path"),
    ],
    ids=["empty", "nothing to be seen", "a mistyped label", "the label itself", "a head", "a path"],
)
def test_what_cannot_be_explained_is_said_in_one_line(text: str, order: Order, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        explain(classifier_with(None), text, order)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["refund", "😀😀", "退款", "?" * 3_000, "a\ud800b \0 c"])
def test_odd_texts_are_explained(text: str) -> None:
    explanation = explain(small_release().classifier, text)
    assert not explanation.is_cut and np.isfinite(explanation.occlusion.effects).all()


def test_measures_tell_a_good_order_from_a_bad_one() -> None:
    classifier = classifier_with(None)
    good = explain(classifier, REFUND)
    answers = Answers(classifier, "intent", "full")
    column = answers.labels.index("refund")
    parts, order = good.occlusion.parts, good.occlusion.order
    worst = measure(answers, REFUND, parts, order[::-1], column)
    assert good.faithfulness is not None
    assert good.faithfulness.comprehensiveness > worst.comprehensiveness + 0.2
    assert good.faithfulness.sufficiency < worst.sufficiency - 0.2


def test_agreement_is_one_of_the_same_order_and_minus_one_of_the_reverse() -> None:
    values = np.array([3.0, 1.0, 2.0])
    assert agreement(values, 2 * values).kendall == 1 and agreement(values, -values).spearman == -1
    assert agreement(values, np.zeros(3)).kendall is None


def by_library(classifier: Classifier, method: str) -> Explanation:
    return explain(classifier, REFUND, Order(methods=(method, "occlusion"), samples=200))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["lime", "shap"])
def test_libraries_find_the_word_that_decides_and_repeat_themselves(method: str) -> None:
    classifier = classifier_with(with_threshold(0.3))
    explanation = by_library(classifier, method)
    assert explanation.part_text(explanation.occlusion.order[0]) == "refund"
    (pair,) = explanation.agreements
    kendall = explanation.agreements[pair].kendall
    assert pair == (method, "occlusion") and kendall is not None and kendall > 0
    assert explanation.as_json() == by_library(classifier, method).as_json()


@pytest.mark.parametrize("weights", [lime_weights, shap_values], ids=["lime", "shap"])
def test_libraries_take_a_text_of_one_word(weights: type) -> None:
    answers = Answers(classifier_with(small_fast_path()), "intent", "fast")
    values = weights(answers, "refund", [Part(0, 6)], answers.labels.index("refund"), 50)
    assert values.shape == (1,) and values[0] > 0


def test_a_text_lies_nearest_to_itself() -> None:
    encoder, texts = small_release().classifier.encoder, [row.text for row in small_rows()]
    known = encoder.embed(texts)
    (row, cosine), *others = nearest(encoder.embed([texts[7]])[0], known, 5)
    assert texts[row] == texts[7] and cosine == pytest.approx(1.0) and len(others) == 4
    assert all(cosine >= other for _, other in others)
