"""What a picture's label comes from is found where it is, adds up, and is the same each time."""

import importlib.util

import numpy as np
import pytest
from small_pictures import parcel, small_picture_classifier

from models.pictures.explaining import explain_picture, superpixels

needs_shap = pytest.mark.skipif(importlib.util.find_spec("shap") is None, reason="the library shap is not installed")


def with_a_spot(size: int = 32) -> np.ndarray:  # type: ignore[type-arg]
    pixels = np.full((size, size, 3), 150, dtype=np.uint8)
    pixels[4:12, 18:26] = (20, 10, 10)
    return pixels


def dark_share(pictures: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """A network that looks for dark pixels and for nothing else; columns: clean, spotted."""
    dark = (pictures.max(axis=3) < 60).mean(axis=(1, 2))
    spotted = np.minimum(dark * 10, 1)
    return np.stack([1 - spotted, spotted], axis=1).astype(np.float32)


@needs_shap
def test_what_was_seen_is_where_it_is() -> None:
    pixels = with_a_spot()
    found = explain_picture(dark_share, pixels)
    assert found.column == 1 and found.probability > 0.6 and found.base == 0
    assert found.shares.sum() == pytest.approx(found.probability - found.base, abs=1e-6)
    on_the_spot = np.unique(found.parts[4:12, 18:26])
    assert found.shares[on_the_spot].sum() > 0.95 * found.shares.sum()
    assert found.without_strongest < found.probability / 2


@needs_shap
def test_the_other_label_is_spoken_against_by_the_same_places() -> None:
    spotted, clean = (explain_picture(dark_share, with_a_spot(), column) for column in (1, 0))
    assert clean.shares == pytest.approx(-spotted.shares, abs=1e-6)


@needs_shap
def test_the_same_picture_has_the_same_answer_and_nobodys_draws_change() -> None:
    classifier = small_picture_classifier(size=32)
    pixels = np.asarray(parcel(np.random.default_rng(0), damaged=True).resize((32, 32)))
    np.random.seed(5)
    expected = np.random.random()
    np.random.seed(5)
    first = explain_picture(classifier.probabilities, pixels, samples=200)
    assert np.random.random() == expected
    assert (explain_picture(classifier.probabilities, pixels, samples=200).shares == first.shares).all()


@pytest.mark.parametrize("size", [16, 32, 64, 224])
def test_superpixels_cover_the_picture_and_keep_to_edges(size: int) -> None:
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[:, size * 5 // 8 :] = 255
    parts = superpixels(pixels)
    assert parts.shape == (size, size) and set(np.unique(parts)) == set(range(parts.max() + 1))
    assert 12 <= parts.max() + 1 <= 36
    mixed = [len(np.unique(pixels[parts == part])) > 1 for part in range(parts.max() + 1)]
    assert sum(mixed) == 0, "none lies on both sides of an edge"
    assert superpixels(np.zeros((size, size, 3), dtype=np.uint8)).max() >= 15, (
        "a picture of one colour has some as well"
    )
