"""From an FP16 or FP32 graph back to the weights that it was built from: what a release carries of a fine-tuned encoder
is its graph alone, and making it smaller starts from weights.

The names are those of `build_encoder_graph`. Segment 0's embedding stands in the position table, where the graph has it
(`token_type_embeddings` comes back as zeros). FP16 weights come back as rounded as they are: half a thousandth.
"""

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.encoder.graph import ACTIVATIONS, DENSE, FIRST_TOKEN, HEADS_BY_LAYER, POSITIONS
from models.errors import ModelError

_PARTS: Final = ("query", "key", "value")
_NORMS: Final = ("attention.output.LayerNorm", "output.LayerNorm")


def weights_of_graph(content: bytes) -> tuple[dict[str, NDArray[np.float32]], dict[str, object]]:
    """(weights, config) as `build_encoder_graph` takes them, of a graph that it or `half_graph` made.

    Raises ModelError for another graph, such as an INT8 one, whose weights are gone.
    """
    try:
        graph = onnx.load_model_from_string(content).graph
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        attention = [node for node in graph.node if node.op_type == "Attention"]
        heads = [_attribute(node, "num_heads") for node in attention]
        hidden = constants[POSITIONS].shape[1]
        weights = _embeddings(constants)
        for layer in range(len(attention)):
            weights |= _layer(constants, layer)
        # the size of a head is the same everywhere, so the whole width holds as many as fit
        whole = hidden * heads[0] // len(weights["encoder.layer.0.attention.self.query.bias"])
        config = _config(graph, constants, heads, hidden, whole)
    except (KeyError, IndexError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"only an FP16 or FP32 graph that Headrace built gives its weights back: {error!r}") from error
    if config["dense"] is not None:
        weights[f"{DENSE}.weight"] = constants[f"{DENSE}.weight"].T
        weights[f"{DENSE}.bias"] = constants[f"{DENSE}.bias"]
    return {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in weights.items()}, config


def _embeddings(constants: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    position = constants[POSITIONS]
    return {
        "embeddings.word_embeddings.weight": constants["embeddings.word"],
        "embeddings.position_embeddings.weight": position,
        "embeddings.token_type_embeddings.weight": np.zeros((1, position.shape[1]), dtype=np.float32),
    } | _norm(constants, "embeddings.LayerNorm")


def _layer(constants: dict[str, NDArray[np.float32]], layer: int) -> dict[str, NDArray[np.float32]]:
    prefix, short = f"encoder.layer.{layer}", f"layer{layer}"
    weight, bias = constants[f"{short}.qkv.weight"], constants[f"{short}.qkv.bias"]
    weights: dict[str, NDArray[np.float32]] = {}
    for part, columns, values in zip(_PARTS, np.split(weight, 3, axis=1), np.split(bias, 3), strict=True):
        weights[f"{prefix}.attention.self.{part}.weight"] = columns.T
        weights[f"{prefix}.attention.self.{part}.bias"] = values
    for graph_name, name in (
        ("attention_output", "attention.output.dense"),
        ("up", "intermediate.dense"),
        ("down", "output.dense"),
    ):
        weights[f"{prefix}.{name}.weight"] = constants[f"{short}.{graph_name}.weight"].T
        weights[f"{prefix}.{name}.bias"] = constants[f"{short}.{graph_name}.bias"]
    for norm in _NORMS:
        weights |= _norm(constants, f"{prefix}.{norm}")
    return weights


def _norm(constants: dict[str, NDArray[np.float32]], name: str) -> dict[str, NDArray[np.float32]]:
    return {f"{name}.weight": constants[f"{name}.gamma"], f"{name}.bias": constants[f"{name}.beta"]}


def _config(
    graph: onnx.GraphProto,
    constants: dict[str, NDArray[np.float32]],
    heads: list[int],
    hidden: int,
    whole: int,
) -> dict[str, object]:
    norm = next(node for node in graph.node if node.op_type == "LayerNormalization")
    outputs = {node.output[0] for node in graph.node}
    dense = None
    if f"{DENSE}.weight" in constants:
        after = {operator: name for name, operator in ACTIVATIONS.items()}
        tail = [node.op_type for node in graph.node if node.output[0] == f"{DENSE}.activated"]
        dense = after[tail[0] if tail else None]
    return {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": hidden,
        "num_hidden_layers": len(heads),
        "num_attention_heads": whole,
        "intermediate_size": max(constants[f"layer{layer}.up.bias"].shape[0] for layer in range(len(heads))),
        "layer_norm_eps": next(attribute.f for attribute in norm.attribute if attribute.name == "epsilon"),
        "vocab_size": constants["embeddings.word"].shape[0],
        "max_position_embeddings": constants[POSITIONS].shape[0],
        "type_vocab_size": 1,
        "pooling": "cls" if FIRST_TOKEN in outputs else "mean",
        "dense": dense,
    } | ({} if set(heads) == {whole} else {HEADS_BY_LAYER: heads})


def _attribute(node: onnx.NodeProto, name: str) -> int:
    return next(int(attribute.i) for attribute in node.attribute if attribute.name == name)
