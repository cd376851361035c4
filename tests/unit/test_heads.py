"""Heads: probabilities, out-of-scope scores, and rows that never meet."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from small_release import small_release

from models.errors import ReleaseCorrupt
from models.heads import (
    Head,
    OutOfScope,
    centroid_distances,
    label_probabilities,
    multiply_rows,
    unit_centroids,
)

LABELS = ("a", "b", "c")


def some_head(labels: int = 3, dimensions: int = 24, ngrams: int = 50, threshold: float = 0.5) -> Head:
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    centroids = draw(labels, dimensions)
    centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
    names = tuple(f"label {number}" for number in range(labels))
    scorer = OutOfScope(centroids, -1.0, 0.5, 0.3, 0.1, threshold)
    return Head("intent", names, draw(dimensions, labels), draw(ngrams, labels), draw(labels), 0.7, scorer)


def some_texts(
    count: int, dimensions: int = 24, ngrams: int = 50, seed: int = 1
) -> tuple[np.ndarray, sparse.csr_array]:
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(count, dimensions)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    weights = random.random((count, ngrams)).astype(np.float32) * (random.random((count, ngrams)) < 0.2)
    return embeddings, sparse.csr_array(weights)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(0, 59), st.integers(1, 40), st.sampled_from([2, 3, 20, 77, 151]))
def test_decision_has_the_same_bits_whatever_the_batch(count: int, start: int, size: int, labels: int) -> None:
    head = some_head(labels, 384, 300)
    embeddings, ngrams = some_texts(count, 384, 300)
    rows = slice(min(start, count - 1), start + size)
    assert np.array_equal(head.logits(embeddings, ngrams)[rows], head.logits(embeddings[rows], ngrams[rows]))
    assert head.decide(embeddings, ngrams)[rows] == head.decide(embeddings[rows], ngrams[rows])


@given(
    st.lists(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=3), min_size=1, max_size=20),
    st.floats(0.05, 20),
)
def test_probabilities_of_a_text_sum_to_one(logits: list[list[float]], temperature: float) -> None:
    probabilities = label_probabilities(np.array(logits, dtype=np.float32), temperature)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities >= 0).all()


def test_decision_names_the_most_probable_label() -> None:
    head, (embeddings, ngrams) = some_head(), some_texts(10)
    probabilities = head.predict(embeddings, ngrams)
    for row, decision in enumerate(head.decide(embeddings, ngrams)):
        assert decision.label == head.labels[probabilities[row].argmax()]
        assert decision.probability == pytest.approx(probabilities[row].max())


def test_text_beyond_the_threshold_is_rejected() -> None:
    embeddings, ngrams = some_texts(30)
    for decision in some_head(threshold=0.5).decide(embeddings, ngrams):
        assert decision.oos_score is not None
        assert decision.rejected == (decision.oos_score > 0.5)


def test_text_that_is_decided_less_surely_than_a_release_asks_for_is_rejected_whatever_its_score() -> None:
    head, (embeddings, ngrams) = some_head(threshold=1e6), some_texts(30)
    assert head.out_of_scope is not None
    surest = head.predict(embeddings, ngrams).max(axis=1)
    least = float(np.median(surest))
    asking = replace(head, out_of_scope=replace(head.out_of_scope, least_probability=least))
    assert [one.rejected for one in asking.decide(embeddings, ngrams)] == (surest < least).tolist()
    assert not any(one.rejected for one in head.decide(embeddings, ngrams))
    again = Head.from_parts(asking.describe(), asking.to_bytes()).out_of_scope
    assert again is not None and again.least_probability == least


def test_text_far_from_every_centroid_scores_higher() -> None:
    head = some_head()
    assert head.out_of_scope is not None
    near = head.out_of_scope.centroids[:1]
    logits = np.zeros((1, 3), dtype=np.float32)
    assert head.out_of_scope.scores(-near, logits)[0] > head.out_of_scope.scores(near, logits)[0]
    assert centroid_distances(near, head.out_of_scope.centroids)[0] == pytest.approx(0, abs=1e-6)


def test_head_without_out_of_scope_score_says_none() -> None:
    described = {key: value for key, value in some_head().describe().items() if key != "out_of_scope"}
    decisions = Head.from_parts(described, some_head().to_bytes()).decide(*some_texts(3))
    assert [(decision.oos_score, decision.rejected) for decision in decisions] == [(None, False)] * 3


def test_centroid_is_the_mean_direction_and_zero_for_a_label_without_texts() -> None:
    embeddings = np.array([[1, 0], [0, 1], [1, 0]], dtype=np.float32)
    centroids = unit_centroids(embeddings, np.array([0, 0, 2]), 3)
    assert np.allclose(centroids, [[np.sqrt(0.5)] * 2, [0, 0], [1, 0]])


def test_multiplying_row_by_row_gives_the_product() -> None:
    embeddings, _ = some_texts(7)
    assert np.allclose(multiply_rows(embeddings, some_head().dense), embeddings @ some_head().dense, atol=1e-5)


def test_head_survives_its_bytes_within_half_precision() -> None:
    head, texts = some_head(), some_texts(20)
    again = Head.from_parts(head.describe(), head.to_bytes())
    assert np.allclose(again.logits(*texts), head.logits(*texts), atol=0.02)
    assert again.to_bytes() == head.rounded().to_bytes() == head.to_bytes()
    assert again.describe() == head.describe()


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        ({}, b"nonsense"),
        ({"labels": ["only one"]}, None),
        ({"temperature": "warm"}, None),
        ({"out_of_scope": {"x": 1}}, None),
    ],
    ids=["no safetensors", "other labels", "no number", "unknown field"],
)
def test_head_that_does_not_fit_its_description_is_refused(changes: dict[str, object], weights: bytes | None) -> None:
    head = some_head()
    with pytest.raises(ReleaseCorrupt, match="publish"):
        Head.from_parts(head.describe() | changes, weights or head.to_bytes())


def test_the_runner_up_is_the_most_probable_label_beside_the_best() -> None:
    release = small_release()
    (answer,) = release.classifier.classify_texts(["where is my refund parcel"], fast=False)
    head = answer.heads["intent"]
    assert head.runner_up is not None and head.runner_up.label in release.classifier.heads["intent"].labels
    assert head.runner_up.label != head.label
    assert 0 <= head.runner_up.probability <= min(head.probability, 1 - head.probability) + 1e-6
