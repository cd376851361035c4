"""The encoder that serves: any text in, one embedding out, whatever stands beside it."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_bert import CONFIG, TEXTS, VOCABULARY, small_tokenizer_json, small_weights

from models.encoder.encoder import Encoder
from models.encoder.graph import build_encoder_graph
from models.encoder.length_batches import split_by_length, split_by_tokens, split_evenly
from models.encoder.quantization import quantize_encoder
from models.errors import ModelError

INT8 = quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32)
ENCODER = Encoder.from_bytes(INT8, small_tokenizer_json(), max_tokens=32, threads=1)
TWO_THREADS = Encoder.from_bytes(INT8, small_tokenizer_json(), max_tokens=32, threads=2)

some_texts = st.lists(
    st.one_of(
        st.lists(st.sampled_from(VOCABULARY[5:]), max_size=12).map(" ".join),
        st.text(st.characters(exclude_categories=[]), max_size=30),  # surrogates and NUL included
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(some_texts)
def test_embedding_does_not_depend_on_batch_neighbours(texts: list[str]) -> None:
    together = ENCODER.embed(texts)
    alone = np.concatenate([ENCODER.embed([text]) for text in texts])
    assert np.abs(together - alone).max() <= 1e-5
    assert np.array_equal(together.argmax(axis=1), alone.argmax(axis=1))


@settings(max_examples=30, deadline=None)
@given(some_texts)
def test_two_threads_give_what_one_gives(texts: list[str]) -> None:
    assert np.abs(TWO_THREADS.embed(texts) - ENCODER.embed(texts)).max() <= 1e-5


@given(st.lists(st.integers(2, 40), max_size=200), st.integers(1, 20))
def test_batches_hold_equal_lengths_and_every_row_once(lengths: list[int], limit: int) -> None:
    batches = split_by_length(lengths, limit=limit)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(len(batch) <= limit and len({lengths[row] for row in batch}) == 1 for batch in batches)


@given(st.lists(st.integers(2, 40), max_size=200), st.integers(1, 300), st.integers(1, 9))
def test_calls_hold_every_row_once_and_few_lengths_and_end_with_the_row_that_makes_enough(
    lengths: list[int], enough: int, max_lengths: int
) -> None:
    calls = split_by_tokens(lengths, enough=enough, max_lengths=max_lengths)
    assert sorted(row for call in calls for group in call for row in group) == list(range(len(lengths)))
    for call in calls:
        assert 0 < len(call) <= max_lengths
        assert all(len({lengths[row] for row in group}) == 1 for group in call)
        tokens = [lengths[row] for group in call for row in group]
        assert sum(tokens) - tokens[-1] < enough


def test_texts_of_one_length_that_are_enough_are_not_mixed_with_others() -> None:
    calls = split_by_tokens([5] * 3 + [4] * 20 + [3] * 3, enough=40, max_lengths=8)
    assert [[len(group) for group in call] for call in calls] == [[10], [10], [3, 3]]


@given(st.lists(st.integers(2, 40), max_size=60), st.integers(1, 8), st.integers(1, 9))
def test_even_calls_hold_every_row_once_and_none_has_a_row_too_many(
    lengths: list[int], calls: int, max_lengths: int
) -> None:
    even = split_evenly(lengths, calls=calls, max_lengths=max_lengths, work=float)
    if not even and lengths:
        assert len(set(lengths)) > max_lengths
        return
    assert sorted(row for call in even for group in call for row in group) == list(range(len(lengths)))
    assert len(even) <= calls
    assert all(len(call) <= max_lengths for call in even)
    assert all(len({lengths[row] for row in group}) == 1 for call in even for group in call)
    load = [sum(lengths[row] for group in call for row in group) for call in even]
    assert load == sorted(load, reverse=True)
    if len(set(lengths)) <= max_lengths and len(even) == calls:
        shortest = [min(lengths[row] for group in call for row in group) for call in even]
        assert all(one - last <= min(load) for one, last in zip(load, shortest, strict=True))


def test_a_text_of_two_windows_keeps_no_lane_waiting_for_both() -> None:
    """Its title, two windows, and what is shown of a name: by tokens alone both windows would be one call."""
    lengths = [24, 256, 256, 40, 6]
    even = split_evenly(lengths, calls=2, max_lengths=8, work=float)
    assert [sum(lengths[row] for group in call for row in group) for call in even] == [296, 286]
    by_tokens = split_by_tokens(lengths, enough=291, max_lengths=8)
    assert max(sum(lengths[row] for group in call for row in group) for call in by_tokens) == 512


def test_embeddings_have_unit_length_and_keep_the_order() -> None:
    embeddings = ENCODER.embed([*TEXTS, *reversed(TEXTS)])
    assert embeddings.shape == (2 * len(TEXTS), ENCODER.dimensions)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(embeddings[: len(TEXTS)], embeddings[len(TEXTS) :][::-1], atol=1e-5)


def test_no_texts_give_no_rows() -> None:
    assert ENCODER.embed([]).shape == (0, ENCODER.dimensions)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\x00",
        "my\x00 card",
        "\ud800",
        "card \udfff arrived",
        "\ud83d\ude00",
        "x" * 1_000_000,
        " " * 1_000_000,
        "退款",
    ],
    ids=[
        "empty",
        "nul",
        "nul inside",
        "high surrogate",
        "low surrogate",
        "split pair",
        "one huge word",
        "spaces",
        "chinese",
    ],
)
def test_awkward_text_gets_a_finite_embedding(text: str) -> None:
    (tokenized,) = ENCODER.tokenize([text])
    assert 2 <= len(tokenized.ids) <= ENCODER.max_tokens
    assert tokenized.characters == len(text)
    assert np.isfinite(ENCODER.embed([text])).all()


def test_lone_surrogate_does_not_change_the_words_around_it() -> None:
    with_surrogate, without = ENCODER.tokenize(["my card\ud800", "my card"])
    assert with_surrogate.ids.tolist() == without.ids.tolist()


def test_words_behind_a_megabyte_of_spaces_are_still_read() -> None:
    hidden, plain = ENCODER.tokenize([" " * 1500 + "my card" + " " * 5000, "my card"])
    assert hidden.ids.tolist() == plain.ids.tolist()


def test_long_text_is_cut_to_max_tokens() -> None:
    (tokenized,) = ENCODER.tokenize(["my card " * 100])
    assert len(tokenized.ids) == 32


def test_padding_and_limit_written_in_tokenizer_json_are_not_used() -> None:
    short, long = ENCODER.tokenize(["my card", "my card has not arrived where is the money refund please"])
    assert len(short.ids) == 4
    assert len(long.ids) == 13


def test_unknown_share_counts_words_outside_the_vocabulary() -> None:
    known, half, none, empty = ENCODER.tokenize(["my card", "my kartoffel", "退 款", ""])
    assert (known.unknown_share, half.unknown_share, none.unknown_share, empty.unknown_share) == (0.0, 0.5, 1.0, 0.0)


def test_encoder_is_rebuilt_from_its_bytes() -> None:
    again = Encoder.from_bytes(ENCODER.model_bytes(), ENCODER.tokenizer_json, max_tokens=ENCODER.max_tokens, threads=1)
    assert again.sha256 == ENCODER.sha256
    np.testing.assert_allclose(again.embed(TEXTS), ENCODER.embed(TEXTS), atol=1e-6)


def test_altered_file_is_refused_with_a_clear_error() -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        Encoder.from_bytes(INT8[: len(INT8) // 2], small_tokenizer_json())


@pytest.mark.parametrize(("threads", "lanes", "expected"), [(4, None, 4), (4, 1, 1), (1, None, 1), (1, 2, 2)])
def test_threads_are_divided_into_lanes(threads: int, lanes: int | None, expected: int) -> None:
    encoder = Encoder.from_bytes(INT8, small_tokenizer_json(), max_tokens=32, threads=threads, lanes=lanes)
    assert encoder.lanes == expected
    assert np.abs(encoder.embed(TEXTS) - ENCODER.embed(TEXTS)).max() <= 1e-5


def test_closed_encoder_leaves_no_thread_behind() -> None:
    encoder = Encoder.from_bytes(INT8, small_tokenizer_json(), max_tokens=32, threads=3)
    before = set(threading.enumerate())
    encoder.embed(TEXTS)
    started = set(threading.enumerate()) - before
    encoder.close()
    assert started
    assert not started & set(threading.enumerate())


def test_broken_tokenizer_is_refused_with_a_clear_error() -> None:
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Encoder.from_bytes(INT8, "{}")


def test_missing_gpu_runtime_is_named_and_the_cpu_serves(caplog: pytest.LogCaptureFixture) -> None:
    encoder = Encoder.from_bytes(INT8, small_tokenizer_json(), max_tokens=32, threads=1, device="cuda")
    assert "onnxruntime-gpu" in caplog.text
    assert np.array_equal(encoder.embed(TEXTS), ENCODER.embed(TEXTS))


def test_float_and_integer_graphs_agree() -> None:
    content = build_encoder_graph(small_weights(), CONFIG).SerializeToString()
    exact = Encoder.from_bytes(content, small_tokenizer_json(), max_tokens=32, threads=1)
    cosines = (exact.embed(TEXTS) * ENCODER.embed(TEXTS)).sum(axis=1)
    assert cosines.min() > 0.99
