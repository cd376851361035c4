"""Adapters and prefixes in the encoder's graph: as the papers have them, in every precision and in slots."""

import math
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from small_bert import CONFIG, TEXTS, VOCABULARY, small_tokenizer_json, small_weights

from models.encoder.graph import build_encoder_graph, linear_layers
from models.encoder.parts import parts_of
from models.encoder.precision import build_half_graph, count_layers
from models.encoder.quantization import quantize_encoder
from models.encoder.slots import SLOTS, slot_inputs, with_slots
from models.errors import ModelError

IDS = np.random.default_rng(3).integers(5, len(VOCABULARY), (3, 9)).astype(np.int32)
Weights = dict[str, NDArray[np.float32]]


def adapters(seed: int = 5, width: int = 6) -> Weights:
    random, weights = np.random.default_rng(seed), {}
    for layer in range(2):
        for module in ("attention.output", "output"):
            name = f"encoder.layer.{layer}.{module}.adapter"
            for part, shape in (("down", (width, 32)), ("up", (32, width))):
                weights[f"{name}.{part}.weight"] = random.normal(0, 0.3, shape).astype(np.float32)
                weights[f"{name}.{part}.bias"] = random.normal(0, 0.1, shape[0]).astype(np.float32)
    return weights


def prefix(seed: int = 6, tokens: int = 3) -> Weights:
    random = np.random.default_rng(seed)
    return {
        f"encoder.layer.{layer}.attention.self.prefix.{part}": random.normal(0, 1, (tokens, 32)).astype(np.float32)
        for layer in range(2)
        for part in ("keys", "values")
    }


PARTS = {"adapter": adapters(), "prefix": prefix(), "both": adapters() | prefix()}


def session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(content: bytes, **inputs: Any) -> NDArray[np.float32]:
    (embedding,) = session(content).run(["embedding"], inputs)
    return np.asarray(embedding, dtype=np.float32)


def fp32(weights: Weights) -> bytes:
    content: bytes = build_encoder_graph(weights, CONFIG).SerializeToString()
    return content


def int8(weights: Weights) -> bytes:
    return quantize_encoder(weights, CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32)


def in_numpy(ids: NDArray[np.int32], weights: Weights) -> NDArray[np.float64]:
    """The encoder with its parts, from the papers, in float64; one text's unit embedding."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    gelu = np.vectorize(lambda value: value * 0.5 * (1 + math.erf(value / math.sqrt(2))))

    def linear(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(value @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"])

    def norm(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = value - value.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return np.asarray(scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"])

    def adapted(module: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if f"{module}.adapter.down.weight" not in tensors:
            return value
        return np.asarray(value + linear(f"{module}.adapter.up", gelu(linear(f"{module}.adapter.down", value))))

    def heads(value: NDArray[np.float64]) -> NDArray[np.float64]:
        return value.reshape(len(value), 4, 8).transpose(1, 0, 2)

    def attention(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        query, key, content = (linear(f"{name}.{part}", value) for part in ("query", "key", "value"))
        if f"{name}.prefix.keys" in tensors:
            key = np.concatenate([tensors[f"{name}.prefix.keys"], key])
            content = np.concatenate([tensors[f"{name}.prefix.values"], content])
        scores = np.exp(heads(query) @ heads(key).transpose(0, 2, 1) / math.sqrt(8))
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.asarray((scores @ heads(content)).transpose(1, 0, 2).reshape(len(ids), 32))

    hidden = tensors["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = norm("embeddings.LayerNorm", hidden + tensors["embeddings.token_type_embeddings.weight"][0])
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        attended = linear(f"{name}.attention.output.dense", attention(f"{name}.attention.self", hidden))
        hidden = norm(f"{name}.attention.output.LayerNorm", adapted(f"{name}.attention.output", attended) + hidden)
        raised = gelu(linear(f"{name}.intermediate.dense", hidden))
        lowered = adapted(f"{name}.output", linear(f"{name}.output.dense", raised))
        hidden = norm(f"{name}.output.LayerNorm", lowered + hidden)
    mean = hidden.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean))


@pytest.mark.parametrize("part", list(PARTS))
def test_graph_computes_adapters_and_prefixes_and_they_matter(part: str) -> None:
    weights = small_weights() | PARTS[part]
    found = run(fp32(weights), input_ids=IDS)
    np.testing.assert_allclose(found, np.stack([in_numpy(row, weights) for row in IDS]), atol=1e-5)
    assert np.abs(found - run(fp32(small_weights()), input_ids=IDS)).max() > 0.01


@pytest.mark.parametrize("part", list(PARTS))
def test_int8_is_close_to_fp32_and_computes_the_adapters_in_integers(part: str) -> None:
    weights = small_weights() | PARTS[part]
    exact, served = run(fp32(weights), input_ids=IDS), run(int8(weights), input_ids=IDS)
    assert (exact * served).sum(axis=1).min() >= 0.98
    adapted = {name for name in linear_layers(weights, CONFIG) if "adapter" in name}
    assert len(adapted) == (0 if part == "prefix" else 8)


@pytest.mark.parametrize("part", list(PARTS))
@pytest.mark.parametrize("precision", [fp32, int8])
def test_texts_of_several_lengths_are_computed_together_as_alone(part: str, precision: Any) -> None:
    released = precision(small_weights() | PARTS[part])
    random = np.random.default_rng(0)
    for sizes in ([(1, 5)], [(2, 3), (1, 7), (4, 9)], [(1, length) for length in range(1, SLOTS + 1)]):
        groups = [random.integers(5, len(VOCABULARY), size, dtype=np.int32) for size in sizes]
        (together,) = session(with_slots(released)).run(["embedding"], slot_inputs([list(one) for one in groups]))
        alone = np.concatenate([run(released, input_ids=one) for one in groups])
        np.testing.assert_allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("part", list(PARTS))
def test_fp16_leaves_out_what_is_padded(part: str) -> None:
    weights = small_weights() | PARTS[part]
    half, lengths = build_half_graph(weights, CONFIG), np.array([9, 4, 7], dtype=np.int32)
    assert count_layers(half) == 2
    padded = run(half, input_ids=IDS, lengths=lengths)
    for row, length in enumerate(lengths):
        exact = run(fp32(weights), input_ids=IDS[row : row + 1, :length])
        assert float((padded[row] * exact[0]).sum()) >= 0.999


def test_weights_say_which_parts_they_have() -> None:
    assert parts_of(small_weights()) == ()
    assert parts_of(small_weights() | adapters()) == ("adapter",)
    assert parts_of(small_weights() | prefix() | adapters()) == ("adapter", "prefix")


@pytest.mark.parametrize("part", ["adapter.up.bias", "prefix.values"])
def test_half_a_part_is_refused(part: str) -> None:
    weights = {name: value for name, value in (small_weights() | PARTS["both"]).items() if not name.endswith(part)}
    with pytest.raises(ModelError, match="train the release again"):
        build_encoder_graph(weights, CONFIG)
