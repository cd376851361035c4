"""A label of which people have labelled a few texts is not held for rare."""

import numpy as np
import pytest
from scipy import sparse
from small_release import small_dataset, small_encoder

from retrain.class_balance import offsets_of_new_labels
from retrain.crossfit import Features, Task
from retrain.data import Dataset, Row
from retrain.fitting.linear import LinearPolicy
from retrain.strategies.quick import train_quick


def test_a_new_label_with_few_texts_counts_as_an_average_known_one() -> None:
    targets = np.array([0] * 30 + [1] * 10 + [2] * 5 + [3] * 40)
    offsets = offsets_of_new_labels(targets, np.array([False, False, True, True, True]))
    assert offsets == pytest.approx([0.0, 0.0, np.log(20 / 5), 0.0, 0.0])
    assert not offsets_of_new_labels(targets, np.zeros(5, bool)).any()
    assert not offsets_of_new_labels(targets, np.ones(5, bool)).any(), "nothing says what is usual"


def overlapping(random: np.random.Generator, known: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Two labels whose texts lie near each other."""
    targets = np.array([0] * known + [1] * new)
    places = np.array([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0]])[targets] + 0.35 * random.standard_normal((known + new, 3))
    return (places / np.linalg.norm(places, axis=1, keepdims=True)).astype(np.float32), targets


def test_texts_of_a_new_label_are_recognised_though_few_were_labelled() -> None:
    """A retrained release gave every fifth text of a new subject a known label: five texts of each had been labelled,
    and forty of each known one."""
    random = np.random.default_rng(0)
    embeddings, targets = overlapping(random, 120, 8)
    shown, truth = overlapping(random, 300, 300)
    rows = np.arange(len(targets))
    features = Features(embeddings, sparse.csr_array((len(rows), 0), dtype=np.float32), 0, None)
    policy = LinearPolicy(words=0.0, characters=0.0, epochs=40)
    right = {}
    for is_new in (None, np.array([False, True])):
        task = Task("intent", ("known", "new"), targets, rows, rows % 5, rows[:0], is_new=is_new)
        decided = task.fit(features, rows, policy, 0).logits(shown, sparse.csr_array((600, 0))).argmax(axis=1)
        right[is_new is not None] = [float((decided[truth == label] == label).mean()) for label in (0, 1)]
    assert right[False][1] < 0.5 < right[True][1] and sum(right[True]) > sum(right[False]) + 0.2


def test_a_corpus_trains_as_before_and_only_labels_that_people_brought_are_raised() -> None:
    rows = small_dataset().rows
    brought = tuple(Row(f"my scooter is recalled {word}", {"intent": "recall"}, origin="feedback") for word in "abcde")
    plain = train_quick(small_encoder(), Dataset(("intent",), rows))
    again = train_quick(small_encoder(), Dataset(("intent",), (*rows, *brought)))
    as_corpus = train_quick(
        small_encoder(), Dataset(("intent",), (*rows, *(Row(one.text, one.labels) for one in brought)))
    )
    column = again.heads[0].labels.index("recall")
    raised = again.heads[0].bias - as_corpus.heads[0].bias
    assert plain.heads[0].labels == tuple(label for label in again.heads[0].labels if label != "recall")
    assert raised[column] > 0.5 and np.delete(raised, column) == pytest.approx(0.0, abs=1e-6)
