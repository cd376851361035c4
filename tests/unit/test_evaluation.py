"""Figures that can be checked by hand."""

import numpy as np
import pytest
from small_fast_path import classifier_with, small_fast_path, with_threshold
from small_release import small_dataset, small_release, small_rows

from models.decision import HeadDecision
from models.errors import TrainingDataError
from retrain.data import Row
from retrain.evaluation import evaluate, expected_calibration_error, score_head, slices_of, wilson_interval


def decided(*labels: str, scores: tuple[float, ...] = (), threshold: float = 0.5) -> list[HeadDecision]:
    given = scores or (0.0,) * len(labels)
    return [HeadDecision(label, 0.9, score, score > threshold) for label, score in zip(labels, given, strict=True)]


def rows(*labels: str) -> list[Row]:
    return [Row(f"text {number}", {"intent": label}) for number, label in enumerate(labels)]


def test_accuracy_and_f1_are_those_of_the_field() -> None:
    found = score_head("intent", rows("a", "a", "b", "b"), decided("a", "b", "b", "b"), range(4), None)
    assert found.accuracy == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found.per_label["a"] == pytest.approx({"precision": 1, "recall": 0.5, "f1": 2 / 3, "texts": 2})
    assert found.oos is None


def test_rejected_in_scope_text_counts_as_an_error() -> None:
    found = score_head(
        "intent",
        rows("a", "a", "b", "b", "oos", "oos"),
        decided("a", "a", "b", "a", "a", "b", scores=(0.1, 0.9, 0.2, 0.3, 0.8, 0.4)),
        range(6),
        "oos",
    )
    assert found.accuracy == 0.75 and found.texts == 4
    assert found.oos is not None
    assert found.oos.in_scope_accuracy == 0.5
    assert found.oos.in_scope_accuracy_before_rejection == 0.75
    assert (found.oos.recall, found.oos.rejected_in_scope) == (0.5, 0.25)
    assert found.oos.auroc == pytest.approx(6 / 8)
    assert found.as_json()["oos"]["recall"] == 0.5


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
    found = slices_of(
        [
            Row("x" * 10, {}, slices={"domain": "bank"}),
            Row("x" * 100, {}),
            Row("x" * 300, {}, slices={"domain": "bank"}),
        ]
    )
    assert {name: member.tolist() for name, member in found.items()} == {
        "domain=bank": [True, False, True],
        "length=41 to 120 characters": [False, True, False],
        "length=over 120 characters": [False, False, True],
        "length=up to 40 characters": [True, False, False],
    }


def test_evaluation_is_label_for_label_what_the_classifier_says() -> None:
    release = small_release()
    tested = small_dataset().part("test")
    found = evaluate(release.classifier, tested)["intent"]
    said = [each.heads["intent"].label for each in release.classifier.classify_texts([row.text for row in tested])]
    assert found.right.tolist() == [label == row.labels["intent"] for label, row in zip(said, tested, strict=True)]
    assert found.accuracy == pytest.approx(release.report["accuracy"], abs=1e-4)


def test_head_is_scored_on_the_rows_that_have_its_label() -> None:
    tested = small_dataset().part("test")
    found = evaluate(small_release().classifier, tested)["urgency"]
    assert found.texts == sum("urgency" in row.labels for row in tested) < len(tested)
    assert all("urgency" in tested[row].labels for row in found.rows)


def test_rows_without_any_label_of_the_heads_are_an_error() -> None:
    with pytest.raises(TrainingDataError, match="intent, urgency"):
        evaluate(small_release().classifier, [Row("text", {"topic": "x"})])
    with pytest.raises(TrainingDataError, match="out of scope"):
        evaluate(small_release().classifier, rows("oos", "oos"), oos_label="oos")


def test_release_with_a_fast_path_is_scored_as_served_and_both_ways_are_told() -> None:
    texts, classifier = small_rows(), classifier_with(small_fast_path())
    found = evaluate(classifier, texts)["intent"]
    served = classifier.classify_texts([row.text for row in texts])
    full = classifier.classify_texts([row.text for row in texts], fast=False)
    assert found.fast_path is not None
    assert found.fast_path.coverage == np.mean([each.path == "fast" for each in served])
    assert 0 < found.fast_path.coverage < 1
    wanted = [row.labels["intent"] for row in texts]
    assert (
        found.accuracy
        == found.fast_path.accuracy
        == np.mean([each.heads["intent"].label == label for each, label in zip(served, wanted, strict=True)])
    )
    assert found.fast_path.accuracy_full == np.mean(
        [each.heads["intent"].label == label for each, label in zip(full, wanted, strict=True)]
    )
    assert found.as_json()["fast_path"]["oos_coverage"] is None
    assert evaluate(classifier_with(None), texts)["intent"].fast_path is None


def test_out_of_scope_text_that_the_fast_path_takes_counts_as_accepted() -> None:
    """All texts taken: nothing is rejected, whatever the full path would have done."""
    texts = small_rows()
    found = evaluate(classifier_with(with_threshold(0.0)), texts, oos_label="fee")["intent"]
    assert found.fast_path is not None and found.fast_path.oos_coverage == 1.0 and found.fast_path.coverage == 1.0
    assert found.oos is None  # no text has a score: there is nothing to rank
