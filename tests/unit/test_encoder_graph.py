"""The graph builder: what it takes, what it refuses, and that it computes BERT (against numpy; torch: tests/train)."""

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from small_bert import CONFIG, VOCABULARY, dense_layer, small_weights

from models.encoder.graph import build_encoder_graph, linear_layers
from models.errors import ModelError

IDS = np.random.default_rng(3).integers(5, len(VOCABULARY), (3, 9)).astype(np.int32)


def run(model: onnx.ModelProto, ids: NDArray[np.int32]) -> NDArray[np.float32]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (embedding,) = session.run(["embedding"], {"input_ids": ids})
    return np.asarray(embedding, dtype=np.float32)


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)


def bert_in_numpy(ids: NDArray[np.int32]) -> NDArray[np.float64]:
    """The same encoder written from the paper (Devlin et al., 2019) in float64; ids (tokens,), result (tokens,
    hidden)."""
    tensors = {name: tensor.astype(np.float64) for name, tensor in small_weights().items()}

    def linear(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(value @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"])

    def norm(name: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        centred = value - value.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return np.asarray(scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"])

    def attention(prefix: str, value: NDArray[np.float64]) -> NDArray[np.float64]:
        query, key, content = (
            linear(f"{prefix}.attention.self.{part}", value).reshape(len(ids), 4, 8).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.transpose(0, 2, 1) / math.sqrt(8))
        scores /= scores.sum(axis=-1, keepdims=True)
        return np.asarray((scores @ content).transpose(1, 0, 2).reshape(len(ids), 32))

    erf = np.vectorize(math.erf)
    hidden = tensors["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + tensors["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = norm("embeddings.LayerNorm", hidden + tensors["embeddings.token_type_embeddings.weight"][0])
    for layer in range(2):
        prefix = f"encoder.layer.{layer}"
        projected = linear(f"{prefix}.attention.output.dense", attention(prefix, hidden))
        hidden = norm(f"{prefix}.attention.output.LayerNorm", projected + hidden)
        raised = linear(f"{prefix}.intermediate.dense", hidden)
        lowered = linear(f"{prefix}.output.dense", raised * 0.5 * (1 + erf(raised / math.sqrt(2))))
        hidden = norm(f"{prefix}.output.LayerNorm", lowered + hidden)
    return np.asarray(hidden)


def test_graph_computes_bert_with_mean_pooling_and_unit_length() -> None:
    expected = np.stack([unit(bert_in_numpy(row).mean(axis=0)) for row in IDS])
    np.testing.assert_allclose(run(build_encoder_graph(small_weights(), CONFIG), IDS), expected, atol=1e-5)


def test_graph_pools_by_the_first_token_where_the_encoder_does() -> None:
    expected = np.stack([unit(bert_in_numpy(row)[0]) for row in IDS])
    graph = build_encoder_graph(small_weights(), CONFIG | {"pooling": "cls"})
    np.testing.assert_allclose(run(graph, IDS), expected, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_graph_ends_with_the_encoder_s_dense_layer(pooling: str, activation: str) -> None:
    weights = small_weights() | dense_layer(12)
    graph = build_encoder_graph(weights, CONFIG | {"pooling": pooling, "dense": activation})
    tokens = [bert_in_numpy(row) for row in IDS]
    pooled = np.stack([row[0] if pooling == "cls" else row.mean(axis=0) for row in tokens])
    through = pooled @ weights["dense.weight"].astype(np.float64).T + weights["dense.bias"]
    expected = np.stack([unit(row) for row in (np.tanh(through) if activation == "tanh" else through)])
    assert expected.shape == (3, 12)
    np.testing.assert_allclose(run(graph, IDS), expected, atol=1e-5)


@pytest.mark.parametrize("ending", [{"pooling": "max"}, {"dense": "relu"}])
def test_an_ending_that_cannot_be_built_is_refused(ending: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="mean and cls can be built"):
        build_encoder_graph(small_weights() | dense_layer(12), CONFIG | ending)


def test_graph_passes_onnx_checks_and_names_its_ends() -> None:
    model = build_encoder_graph(small_weights(), CONFIG)
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["input_ids"]
    assert [value.name for value in model.graph.output] == ["embedding"]


def test_same_weights_give_the_same_bytes() -> None:
    first, second = (build_encoder_graph(small_weights(), CONFIG).SerializeToString() for _ in range(2))
    assert first == second


def test_weights_of_a_task_model_are_read_with_their_prefix() -> None:
    prefixed = {f"bert.{name}": tensor for name, tensor in small_weights().items()}
    plain = run(build_encoder_graph(small_weights(), CONFIG), IDS)
    np.testing.assert_array_equal(run(build_encoder_graph(prefixed, CONFIG), IDS), plain)


def test_taps_give_out_every_linear_layers_input() -> None:
    model = build_encoder_graph(small_weights(), CONFIG, taps=True)
    names = {value.name for value in model.graph.output} - {"embedding"}
    assert names == {f"{name}.input" for name in linear_layers(small_weights(), CONFIG)}


@pytest.mark.parametrize(
    ("key", "value"),
    [("model_type", "roberta"), ("hidden_act", "relu"), ("position_embedding_type", "relative_key")],
    ids=["other architecture", "other activation", "relative positions"],
)
def test_what_the_builder_would_get_wrong_is_refused(key: str, value: str) -> None:
    with pytest.raises(ModelError, match=value):
        build_encoder_graph(small_weights(), {**CONFIG, key: value})


def test_missing_tensor_is_named() -> None:
    weights = small_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        build_encoder_graph(weights, CONFIG)


def test_missing_size_in_the_config_is_named() -> None:
    config = {key: value for key, value in CONFIG.items() if key != "hidden_size"}
    with pytest.raises(ModelError, match="hidden_size"):
        build_encoder_graph(small_weights(), config)
