"""The default encoder as it serves (INT8): independent of batch neighbours, for real texts and for any text."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from platformdirs import user_cache_path

from connectors.encoders.files import default_calibration_texts, load_encoder, locate_encoder
from connectors.errors import EncoderUnavailable
from models.encoder.encoder import Encoder

TEXTS = default_calibration_texts()


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    cache = user_cache_path("headrace")
    try:
        loaded = load_encoder(locate_encoder(cache=cache), cache=cache)
    except EncoderUnavailable as error:
        pytest.skip(f"the default encoder's files are not here: {error}")
    yield loaded
    loaded.close()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=60)), min_size=2, max_size=24))
def test_same_text_gets_the_same_answer_in_any_batch(encoder: Encoder, texts: list[str]) -> None:
    together = encoder.embed(texts)
    alone = np.concatenate([encoder.embed([text]) for text in texts])
    assert np.abs(together - alone).max() <= 1e-5
    labels = np.random.default_rng(0).normal(size=(encoder.dimensions, 77)).astype(np.float32)
    assert np.array_equal((together @ labels).argmax(axis=1), (alone @ labels).argmax(axis=1))


def test_like_texts_are_nearer_than_unlike_ones(encoder: Encoder) -> None:
    first, like, unlike = encoder.embed(
        ["My card has not arrived yet", "I am still waiting for my card", "The central bank raised interest rates"]
    )
    assert first @ like > 0.6 > first @ unlike


def test_int8_file_is_small_enough_to_ship_with_a_release(encoder: Encoder) -> None:
    assert len(encoder.model_bytes()) < 25_000_000
