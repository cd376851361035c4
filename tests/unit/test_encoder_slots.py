"""The graph that serves: texts of several lengths in one call, each computed as the released graph computes it."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper
from small_bert import CONFIG, TEXTS, VOCABULARY, dense_layer, small_tokenizer_json, small_weights

from models.encoder.graph import build_encoder_graph
from models.encoder.quantization import quantize_encoder
from models.encoder.slots import SLOTS, slot_inputs, with_slots
from models.errors import ModelError


def session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


FIRST = CONFIG | {"pooling": "cls"}
DENSE = FIRST | {"dense": "tanh"}
WEIGHTS = small_weights() | dense_layer(12)
FILES = {
    "int8": quantize_encoder(small_weights(), CONFIG, small_tokenizer_json(), TEXTS, max_tokens=32),
    "fp32": build_encoder_graph(small_weights(), CONFIG).SerializeToString(),
    "int8, first token": quantize_encoder(small_weights(), FIRST, small_tokenizer_json(), TEXTS, max_tokens=32),
    "fp32, first token, dense layer": build_encoder_graph(WEIGHTS, DENSE).SerializeToString(),
}
RELEASED = {name: session(content) for name, content in FILES.items()}
SERVING = {name: session(with_slots(content)) for name, content in FILES.items()}

some_groups = st.lists(
    st.tuples(st.integers(1, 6), st.integers(1, 20)), min_size=1, max_size=SLOTS, unique_by=lambda pair: pair[1]
)


def token_ids(groups: list[tuple[int, int]], seed: int) -> list[NDArray[np.int32]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, len(VOCABULARY), size, dtype=np.int32) for size in groups]


@pytest.mark.parametrize("precision", list(FILES))
@settings(max_examples=60, deadline=None)
@given(groups=some_groups, seed=st.integers(0, 2**32 - 1))
def test_each_text_is_computed_as_the_released_graph_computes_it(
    precision: str, groups: list[tuple[int, int]], seed: int
) -> None:
    ids = token_ids(groups, seed)
    (together,) = SERVING[precision].run(["embedding"], slot_inputs([list(text) for text in ids]))
    apart = [RELEASED[precision].run(["embedding"], {"input_ids": text})[0] for text in ids]
    np.testing.assert_allclose(together, np.concatenate(apart), atol=1e-6)


@pytest.mark.parametrize("precision", list(FILES))
def test_states_of_tokens_change_no_bit_of_an_embedding_and_are_the_same_alone(precision: str) -> None:
    serving, ids = SERVING[precision], token_ids([(3, 5), (1, 9), (2, 12)], 0)
    states_name = serving.get_outputs()[1].name
    assert states_name.startswith("encoder.layer.0.")  # of two layers the first
    inputs = slot_inputs([list(group) for group in ids])
    (alone,), both = serving.run(["embedding"], inputs), serving.run(["embedding", states_name], inputs)
    assert np.array_equal(alone, both[0])
    start = 0
    for group in ids:
        (states,) = serving.run([states_name], slot_inputs([list(group)]))
        np.testing.assert_allclose(states, both[1][start : start + len(states)], atol=1e-6)
        start += len(states)
    assert start == len(both[1])


def test_a_call_takes_as_many_lengths_as_there_are_slots() -> None:
    with pytest.raises(IndexError):
        slot_inputs([[np.zeros(length, dtype=np.int32)] for length in range(1, SLOTS + 2)])


def test_a_released_file_is_left_as_it_is() -> None:
    before = bytes(FILES["int8"])
    with_slots(FILES["int8"])
    assert FILES["int8"] == before


@pytest.mark.parametrize(
    ("operator", "number"),
    [("Attention", 0), ("ReduceMean", 0), ("ReduceMean", 2), ("Split", 1)],
    ids=["no attention", "no pooling", "two poolings", "a split alone"],
)
def test_another_graph_is_refused_with_what_to_do(operator: str, number: int) -> None:
    model = build_encoder_graph(small_weights(), CONFIG)
    others = [node for node in model.graph.node if node.op_type != operator]
    some = helper.make_node(operator, ["word"], ["other"])
    del model.graph.node[:]
    model.graph.node.extend([some] * number + others)
    with pytest.raises(ModelError, match="build it from the encoder's weights"):
        with_slots(model.SerializeToString())
