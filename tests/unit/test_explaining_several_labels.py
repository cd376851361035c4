"""Why a text got one of several labels: of which words, and what would take that label away."""

import numpy as np
import pytest
from small_release import small_release
from small_sets import sets_release

from models.errors import ConfigError
from models.explanation.explaining import Order, explain, orders_of

TEXT = "where is my parcel . what is this fee"
CLASSIFIER = sets_release().classifier


def test_each_label_that_a_text_has_is_explained_by_its_own_words() -> None:
    orders = orders_of(CLASSIFIER, TEXT, Order())
    found = {order.label: explain(CLASSIFIER, TEXT, order) for order in orders}
    assert set(found) == {"delivery", "fee"}
    for label, words in (("delivery", "where is my parcel"), ("fee", "what is this fee")):
        one = found[label]
        effects = {one.part_text(number): effect for number, effect in enumerate(one.occlusion.effects.tolist())}
        assert max(effects, key=lambda part: effects[part]) in words.split(), effects
        assert (one.decision.label, one.rival, one.whole) == (label, f"not {label}", "delivery|fee")
        assert one.change is not None and one.change.label == f"not {label}"
        (given,) = CLASSIFIER.classify_texts([TEXT])
        own = {answer.label: answer.probability for answer in given.heads["topics"].labels or ()}
        assert one.probabilities[0] == pytest.approx(own[label], abs=1e-5) and sum(one.probabilities) == pytest.approx(
            1
        )
        odds = np.log(own[label] / (1 - own[label]))
        assert one.lead.total == pytest.approx(odds, abs=1e-3)
        assert one.as_json()["set"] == "delivery|fee"


def test_a_label_that_the_text_does_not_have_is_explained_when_asked_for() -> None:
    one = explain(CLASSIFIER, TEXT, Order(label="refund"))
    assert (one.decision.label, one.rival) == ("not refund", "refund")
    assert one.lead.total == pytest.approx(np.log(one.probabilities[0] / one.probabilities[1]), abs=1e-3)
    (nothing,) = orders_of(CLASSIFIER, "hello thanks", Order())
    assert explain(CLASSIFIER, "hello thanks", nothing).decision.label.startswith("not ")


def test_what_cannot_be_asked_is_said() -> None:
    with pytest.raises(ConfigError, match="leave --against out"):
        explain(CLASSIFIER, TEXT, Order(against="fee"))
    with pytest.raises(ConfigError, match="no label 'fees'; did you mean fee"):
        explain(CLASSIFIER, TEXT, Order(label="fees"))
    with pytest.raises(ConfigError, match="leave --label out"):
        explain(small_release().classifier, "refund please", Order(label="refund"))
    assert "set" not in explain(small_release().classifier, "refund please").as_json()
    assert orders_of(small_release().classifier, "refund please", Order()) == [Order()]
