"""The encoder in FP16, for GPUs: the FP32 graph of `models.encoder.graph`, rewritten for batches that are padded.

Every matrix and table becomes FP16. Pooling, where 256 tokens are summed, and what follows it stay FP32, and so does
what comes out. A second input says how many tokens each text has; what stands behind them counts neither in the
attention nor in the mean.

onnxruntime's own converter (onnxruntime.transformers.float16) is not used: it needs the types of all values, which
shape inference cannot give for the fused operators, to keep the pooling in FP32.

Inputs: `input_ids` int32 (texts, tokens), `lengths` int32 (texts,). Output: `embedding` float32 (texts, hidden), unit
length.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.encoder.graph import DENSE, FIRST_TOKEN, Weights, build_encoder_graph
from models.encoder.parts import PREFIX
from models.errors import ModelError

HALF_VERSION: Final = 1  # raise it whenever the same FP32 graph would give another FP16 graph: caches are keyed by it
_LARGEST: Final = float(np.finfo(np.float16).max)


def build_half_graph(weights: Weights, config: Mapping[str, object]) -> bytes:
    """The FP16 graph's file, from weights and config as `build_encoder_graph` takes them. Raises ModelError."""
    content: bytes = half_graph(build_encoder_graph(weights, config)).SerializeToString()
    return content


def half_graph(exact: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite an FP32 graph that `build_encoder_graph` built; `exact` is left as it is.

    Raises ModelError for a weight that FP16 cannot hold, and for another graph than that one.
    """
    model = onnx.ModelProto()
    model.CopyFrom(exact)
    graph = model.graph
    _count_the_prefix(graph)
    pools = [at for at, node in enumerate(graph.node) if node.output[0] in ("mean", FIRST_TOKEN)]
    if len(pools) != 1 or graph.node[-1].op_type != "LpNormalization":
        raise ModelError(
            "only an FP32 encoder graph that Headrace built can be made FP16; build it from the encoder's weights"
        )
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and not tensor.name.startswith(f"{DENSE}."):
            tensor.CopyFrom(_half(tensor))
    for node in graph.node:
        if node.op_type == "Attention":
            node.input.append("lengths")  # its mask, in the form "so many tokens, from the left"
        elif node.op_type == "MultiHeadAttention":
            node.input.extend(["", f"{PREFIX}.lengths"])  # no bias; its mask, in the same form
    graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["texts"]))
    pool, tail = graph.node[pools[0]], list(graph.node[pools[0] + 1 :])
    pooling = _first_token(pool) if pool.output[0] == FIRST_TOKEN else _mean(pool, is_scaled=len(tail) > 1)
    del graph.node[pools[0] :]
    graph.node.extend([*pooling, *tail])
    if pool.output[0] != FIRST_TOKEN:
        graph.initializer.extend(
            [
                numpy_helper.from_array(np.array(0, dtype=np.int32), "pool.zero"),
                numpy_helper.from_array(np.array(1, dtype=np.int32), "pool.one"),
                numpy_helper.from_array(np.array([0], dtype=np.int64), "pool.scalar"),
                numpy_helper.from_array(np.array([1], dtype=np.int64), "pool.axis"),
                numpy_helper.from_array(np.array([2], dtype=np.int64), "pool.last"),
            ]
        )
    return model


def count_layers(half: bytes) -> int:
    """Layers of an FP16 graph. Raises ModelError when it is none."""
    try:
        graph = onnx.load_model_from_string(half).graph
    except Exception as error:  # protobuf's own error, which onnx does not wrap
        raise ModelError(f"the FP16 encoder cannot be read: {error}") from error
    return sum(node.op_type in ("Attention", "MultiHeadAttention") for node in graph.node)


def _count_the_prefix(graph: onnx.GraphProto) -> None:
    """How many keys each text's tokens look at: its own, and those of the prefix, where there is one."""
    sizes = [numpy_helper.to_array(one)[0] for one in graph.initializer if one.name.endswith(f".{PREFIX}.size")]
    if sizes:
        size = np.array(sizes[0], dtype=np.int32)
        graph.initializer.append(numpy_helper.from_array(size, f"{PREFIX}.tokens"))
        graph.node.insert(0, _node("Add", ["lengths", f"{PREFIX}.tokens"], f"{PREFIX}.lengths"))


def _half(tensor: onnx.TensorProto) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= _LARGEST:
        raise ModelError(
            f"weight {tensor.name!r} reaches {largest:g} and FP16 ends at {_LARGEST:g}; use device 'cpu' for this "
            f"encoder"
        )
    return numpy_helper.from_array(values.astype(np.float16), tensor.name)


def _node(operator: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, inputs, [output], **attributes)


def _first_token(pool: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A text's first token, in FP32."""
    half = onnx.NodeProto()
    half.CopyFrom(pool)
    half.output[0] = "pool.first"
    return [half, _node("Cast", ["pool.first"], FIRST_TOKEN, to=TensorProto.FLOAT)]


def _mean(pool: onnx.NodeProto, *, is_scaled: bool) -> list[onnx.NodeProto]:
    """The mean over a text's own tokens, in FP32. is_scaled: whether more than its direction is wanted of it; else the
    sum, which points there as well, stands for it."""
    result = "pool.sum" if is_scaled else pool.output[0]
    nodes = [
        _node("Squeeze", ["embeddings.tokens", "pool.scalar"], "pool.tokens"),
        _node("Cast", ["pool.tokens"], "pool.tokens32", to=TensorProto.INT32),
        _node("Range", ["pool.zero", "pool.tokens32", "pool.one"], "pool.positions"),
        _node("Unsqueeze", ["lengths", "pool.axis"], "pool.lengths"),
        _node("Less", ["pool.positions", "pool.lengths"], "pool.own"),
        _node("Cast", ["pool.own"], "pool.weights", to=TensorProto.FLOAT),
        _node("Unsqueeze", ["pool.weights", "pool.last"], "pool.mask"),
        _node("Cast", [pool.input[0]], "pool.hidden", to=TensorProto.FLOAT),
        _node("Mul", ["pool.hidden", "pool.mask"], "pool.masked"),
        _node("ReduceSum", ["pool.masked", "pool.axis"], result, keepdims=0),
    ]
    if is_scaled:
        nodes += [
            _node("Cast", ["pool.lengths"], "pool.counts", to=TensorProto.FLOAT),
            _node("Div", ["pool.sum", "pool.counts"], pool.output[0]),
        ]
    return nodes
