"""INT8: fixed scales, no saturation on old processors, outliers and mean errors dealt with."""

import numpy as np
import pytest
from small_bert import CONFIG, TEXTS, VOCABULARY, small_tokenizer_json, small_weights

from models.encoder.graph import QuantizedParts, linear_layers
from models.encoder.quantization import QuantizationPolicy, integer_inputs, quantize_encoder, quantize_parts
from models.errors import ModelError

BATCHES = [np.random.default_rng(seed).integers(5, len(VOCABULARY), (4, 7)).astype(np.int32) for seed in range(6)]


@pytest.fixture(scope="module")
def parts() -> QuantizedParts:
    return quantize_parts(small_weights(), CONFIG, BATCHES, QuantizationPolicy())


def test_every_linear_layer_is_quantized(parts: QuantizedParts) -> None:
    assert set(parts.linears) == set(linear_layers(small_weights(), CONFIG))


def test_seven_bit_weights_never_saturate_sixteen_bit_sums(parts: QuantizedParts) -> None:
    for linear in parts.linears.values():
        assert linear.weight.dtype == np.int8
        assert 2 * 255 * int(np.abs(linear.weight.astype(np.int32)).max()) <= 32767


def test_integers_stand_for_the_weights_within_half_a_step(parts: QuantizedParts) -> None:
    for name, (weight, _) in linear_layers(small_weights(), CONFIG).items():
        linear = parts.linears[name]
        restored = linear.weight * linear.weight_scale
        if linear.multiplier is not None:
            restored = restored * linear.multiplier[:, None]
        assert (np.abs(restored - weight) <= 0.51 * linear.weight_scale).all()


def test_outlier_channel_is_scaled_down_and_the_usual_ones_are_not(parts: QuantizedParts) -> None:
    multiplier = parts.linears["layer0.qkv"].multiplier
    assert multiplier is not None
    assert multiplier.argmin() == 7  # the channel that small_weights makes ten times larger
    assert np.count_nonzero(multiplier == 1.0) > 0.9 * len(multiplier)


def test_zero_stands_for_zero(parts: QuantizedParts) -> None:
    for linear in parts.linears.values():
        zeros = np.zeros((1, linear.weight.shape[0]), dtype=np.float32)
        assert (integer_inputs(zeros, linear) == linear.input_zero).all()


def test_word_table_is_restored_within_half_a_step(parts: QuantizedParts) -> None:
    words = small_weights()["embeddings.word_embeddings.weight"]
    assert parts.words is not None
    assert (np.abs(parts.words.rows * parts.words.scale - words) <= 0.51 * parts.words.scale).all()


def test_same_texts_give_the_same_file() -> None:
    first, second = (
        quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32) for _ in range(2)
    )
    assert first == second


def test_order_of_calibration_texts_changes_no_scale() -> None:
    forward, backward = (
        quantize_parts(small_weights(), CONFIG, batches, QuantizationPolicy()) for batches in (BATCHES, BATCHES[::-1])
    )
    for name, linear in forward.linears.items():
        assert linear.input_scale == backward.linears[name].input_scale
        assert np.array_equal(linear.weight, backward.linears[name].weight)


def test_no_calibration_text_is_refused() -> None:
    with pytest.raises(ModelError, match="calibration"):
        quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), [], max_tokens=32)
