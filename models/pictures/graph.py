"""The picture network's ONNX graph, built from its weights with onnx's own builder: pixels in, logits and an embedding
out. Serving needs no torch.

A small residual network (He et al. 2016, "Deep residual learning for image recognition"): a convolution, three stages
of one block each, the mean over all places, a linear layer. Batch normalisation is folded into the convolutions before
the weights come here (`retrain.pictures.network`).

One input, `pixels` (pictures, 3, size, size), float32 in [0, 1]. Outputs: `logits` (pictures, labels), and `embedding`
(pictures, dimensions), unit length, both float32.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Weights = Mapping[str, NDArray[np.float32]]

STAGES: Final = 3
_OPSET: Final = 17
_LEAST_LENGTH: Final = 1e-12  # of an embedding that is divided by its length


def stem_stride(size: int) -> int:
    """Large pictures are halved at once: details of a pixel say little there."""
    return 1 if size < 64 else 2


def stage_stride(stage: int) -> int:
    """stage: from 0."""
    return 1 if stage == 0 else 2


def build_picture_graph(weights: Weights, size: int) -> bytes:
    """The serialised graph.

    weights: float32. `mean`, `scale` (1, 3, 1, 1): a pixel becomes (pixel - mean) * scale. `stem.weight`, `stem.bias`;
    for stages 0 to 2 `stage.N.first`, `stage.N.second` and, where the block changes width or side, `stage.N.shortcut`,
    each with `.weight` (out, in, rows, columns) and `.bias`; `head.weight` (labels, dimensions), `head.bias`.
    """
    graph = _Graph(weights)
    value = graph.node("Mul", graph.node("Sub", "pixels", "mean"), "scale")
    value = graph.node("Relu", graph.convolution(value, "stem", stem_stride(size)))
    for stage in range(STAGES):
        name, stride = f"stage.{stage}", stage_stride(stage)
        inner = graph.node("Relu", graph.convolution(value, f"{name}.first", stride))
        inner = graph.convolution(inner, f"{name}.second", 1)
        if f"{name}.shortcut.weight" in weights:
            value = graph.convolution(value, f"{name}.shortcut", stride)
        value = graph.node("Relu", graph.node("Add", inner, value))
    pooled = graph.node("Flatten", graph.node("GlobalAveragePool", value), axis=1)
    graph.add("Gemm", [pooled, "head.weight", "head.bias"], "logits", transB=1)
    length = graph.node("ReduceL2", pooled, axes=[1], keepdims=1)
    graph.constant("least_length", np.array(_LEAST_LENGTH, dtype=np.float32))
    graph.add("Div", [pooled, graph.node("Max", length, "least_length")], "embedding")
    return graph.serialized(size)


class _Graph:
    def __init__(self, weights: Weights) -> None:
        self._weights, self._nodes = weights, list[onnx.NodeProto]()
        self._constants: dict[str, onnx.TensorProto] = {}
        for name, value in weights.items():
            self.constant(name, value)

    def constant(self, name: str, value: NDArray[np.float32]) -> None:
        self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name)

    def add(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.add(operator, list(inputs), f"{operator.lower()}.{len(self._nodes)}", **attributes)

    def convolution(self, value: str, name: str, stride: int) -> str:
        side = self._weights[f"{name}.weight"].shape[2]
        return self.node(
            "Conv",
            value,
            f"{name}.weight",
            f"{name}.bias",
            strides=[stride, stride],
            pads=[side // 2] * 4,
            kernel_shape=[side, side],
        )

    def serialized(self, size: int) -> bytes:
        labels, dimensions = self._weights["head.weight"].shape
        graph = helper.make_graph(
            self._nodes,
            "pictures",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["pictures", 3, size, size])],
            [
                helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["pictures", labels]),
                helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["pictures", dimensions]),
            ],
            list(self._constants.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
