"""Figures that can be checked by hand."""

import numpy as np
import pytest
from small_fast_path import classifier_with, small_fast_path, with_threshold
from small_release import small_dataset, small_release, small_rows

from models.decision import HeadDecision
from models.errors import TrainingDataError
from models.shares import wilson_interval
from retrain.data import Row
from retrain.evaluation.reliability import expected_calibration_error
from retrain.evaluation.scoring import evaluate, score_head
from retrain.evaluation.slices import slices_of


def decided(*labels: str, scores: tuple[float, ...] = (), threshold: float = 0.5) -> list[HeadDecision]:
    given = scores or (0.0,) * len(labels)
    return [HeadDecision(label, 0.9, score, score > threshold) for label, score in zip(labels, given, strict=True)]


def rows(*labels: str) -> list[Row]:
    return [Row(f"text {number}", {"intent": label}) for number, label in enumerate(labels)]


def test_accuracy_and_f1_are_those_of_the_field() -> None:
    scored = score_head("intent", rows("a", "a", "b", "b"), decided("a", "b", "b", "b"), range(4), None)
    assert scored.accuracy == 0.75
    assert scored.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert scored.per_label["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "texts": 2})
    assert scored.oos is None


def test_rejected_in_scope_text_counts_as_an_error() -> None:
    scored = score_head(
        "intent",
        rows("a", "a", "b", "b", "oos", "oos"),
        decided("a", "a", "b", "a", "a", "b", scores=(0.1, 0.9, 0.2, 0.3, 0.8, 0.4)),
        range(6),
        "oos",
    )
    assert scored.accuracy == 0.75 and scored.texts == 4
    assert scored.oos is not None
    assert scored.oos.in_scope_accuracy == 0.5
    assert scored.oos.in_scope_accuracy_before_rejection == 0.75
    assert (scored.oos.recall, scored.oos.rejected_in_scope) == (0.5, 0.25)
    assert scored.oos.auroc == pytest.approx(6 / 8)
    assert scored.as_json()["oos"]["recall"] == 0.5


def test_wilson_interval_is_the_published_one_and_stays_within_bounds() -> None:
    assert wilson_interval(81, 100) == pytest.approx((0.7222, 0.8749), abs=1e-3)
    assert wilson_interval(10, 10)[1] == 1.0
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_calibration_error_is_zero_for_honest_probabilities_and_the_gap_otherwise() -> None:
    right = np.array([True, True, True, False] * 30)
    assert expected_calibration_error(np.full(120, 0.75), right, bins=1) == pytest.approx(0)
    assert expected_calibration_error(np.full(120, 0.95), right, bins=1) == pytest.approx(0.2)


def test_slices_are_lengths_and_the_columns_of_the_data() -> None:
    slices = slices_of(
        [
            Row("x" * 10, {}, slices={"domain": "bank"}),
            Row("x" * 100, {}),
            Row("x" * 300, {}, slices={"domain": "bank"}),
        ]
    )
    assert {name: member.tolist() for name, member in slices.items()} == {
        "domain=bank": [True, False, True],
        "length=41 to 120 characters": [False, True, False],
        "length=over 120 characters": [False, False, True],
        "length=up to 40 characters": [True, False, False],
    }


def test_evaluation_is_label_for_label_what_the_classifier_says() -> None:
    release = small_release()
    tested = small_dataset().part("test")
    scored = evaluate(release.classifier, tested)["intent"]
    said = [
        decision.heads["intent"].label for decision in release.classifier.classify_texts([row.text for row in tested])
    ]
    assert scored.right.tolist() == [label == row.labels["intent"] for label, row in zip(said, tested, strict=True)]
    assert scored.accuracy == pytest.approx(release.report["accuracy"], abs=1e-4)


def test_head_is_scored_on_the_rows_that_have_its_label() -> None:
    tested = small_dataset().part("test")
    scored = evaluate(small_release().classifier, tested)["urgency"]
    assert scored.texts == sum("urgency" in row.labels for row in tested) < len(tested)
    assert all("urgency" in tested[row].labels for row in scored.rows)


def test_rows_without_any_label_of_the_heads_are_an_error() -> None:
    with pytest.raises(TrainingDataError, match="intent, urgency"):
        evaluate(small_release().classifier, [Row("text", {"topic": "x"})])
    with pytest.raises(TrainingDataError, match="out of scope"):
        evaluate(small_release().classifier, rows("oos", "oos"), oos_label="oos")


def test_release_with_a_fast_path_is_scored_as_served_and_both_ways_are_told() -> None:
    texts, classifier = small_rows(), classifier_with(small_fast_path())
    scored = evaluate(classifier, texts)["intent"]
    served = classifier.classify_texts([row.text for row in texts])
    full = classifier.classify_texts([row.text for row in texts], fast=False)
    assert scored.fast_path is not None
    assert scored.fast_path.coverage == np.mean([decision.path == "fast" for decision in served])
    assert 0 < scored.fast_path.coverage < 1
    wanted = [row.labels["intent"] for row in texts]
    assert (
        scored.accuracy
        == scored.fast_path.accuracy
        == np.mean([decision.heads["intent"].label == label for decision, label in zip(served, wanted, strict=True)])
    )
    assert scored.fast_path.accuracy_full == np.mean(
        [decision.heads["intent"].label == label for decision, label in zip(full, wanted, strict=True)]
    )
    assert scored.as_json()["fast_path"]["oos_coverage"] is None
    assert evaluate(classifier_with(None), texts)["intent"].fast_path is None


def test_out_of_scope_text_that_the_fast_path_takes_counts_as_accepted() -> None:
    """All texts taken: nothing is rejected, whatever the full path would have done."""
    texts = small_rows()
    scored = evaluate(classifier_with(with_threshold(0.0)), texts, oos_label="fee")["intent"]
    assert scored.fast_path is not None and scored.fast_path.oos_coverage == 1.0 and scored.fast_path.coverage == 1.0
    assert scored.oos is None  # no text has a score: there is nothing to rank
