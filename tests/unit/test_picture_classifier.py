"""A release's picture network: the same answer always, and none from a file that is another one."""

import numpy as np
import pytest
from small_pictures import parcel, random_weights, small_picture_classifier

from models.errors import ModelError, ReleaseCorrupt
from models.pictures.classifier import PictureClassifier, golden_pictures
from models.pictures.graph import build_picture_graph


def pixels(count: int, size: int = 16) -> np.ndarray:  # type: ignore[type-arg]
    rng = np.random.default_rng(0)
    return np.stack([np.asarray(parcel(rng, damaged=bool(n % 2)).resize((size, size))) for n in range(count)])


def test_a_picture_has_the_same_answer_alone_and_among_others() -> None:
    classifier, pictures = small_picture_classifier(), pixels(9)
    together = classifier.logits(pictures)
    for row in range(9):
        alone = classifier.logits(pictures[row : row + 1])
        assert (alone[0][0] == together[0][row]).all() and (alone[1][0] == together[1][row]).all()


def test_an_answer_is_a_label_with_its_probability_and_an_embedding_of_unit_length() -> None:
    classifier = small_picture_classifier()
    answers = classifier.classify(pixels(4))
    for answer, row in zip(answers, classifier.probabilities(pixels(4)), strict=True):
        assert answer.decision.label == classifier.labels[int(row.argmax())]
        assert answer.decision.probability == pytest.approx(float(row.max())) and row.sum() == pytest.approx(1)
        assert np.linalg.norm(answer.embedding) == pytest.approx(1, abs=1e-5)
    assert classifier.classify(np.empty((0, 16, 16, 3), np.uint8)) == []


@pytest.mark.parametrize("size", [16, 32, 64, 96])
def test_the_graph_takes_pictures_of_its_size(size: int) -> None:
    classifier = small_picture_classifier(size=size)
    assert len(classifier.classify(golden_pictures(size))) == 5
    with pytest.raises(ModelError):
        classifier.logits(golden_pictures(size + 8))


def test_a_release_proves_its_network_when_it_is_loaded() -> None:
    classifier = small_picture_classifier()
    described = classifier.describe()
    again = PictureClassifier.from_parts(described, classifier.model)
    assert (again.logits(pixels(3))[0] == classifier.logits(pixels(3))[0]).all()
    other = build_picture_graph(random_weights(3, seed=1), 16)
    with pytest.raises(ReleaseCorrupt, match="golden pictures"):
        PictureClassifier.from_parts(described, other)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["a", "b"]},
        {"size": 32},
        {"size": 100_000},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"golden": []},
        {"golden": "text"},
    ],
    ids=str,
)
def test_a_manifest_that_does_not_fit_its_network_is_refused(change: dict[str, object]) -> None:
    classifier = small_picture_classifier()
    with pytest.raises(ReleaseCorrupt):
        PictureClassifier.from_parts(classifier.describe() | change, classifier.model)


def test_bytes_that_are_no_network_are_refused() -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        PictureClassifier(b"no network", ("a", "b"), 16)
