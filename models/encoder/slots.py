"""The encoder's graph rewritten for serving on a CPU: one call computes texts of several lengths, without padding.

Every call reads the weights, so texts of ten lengths cost less in one call than in ten (docs/encoder.md has the
figures). Linear layers, normalisations and GELU see each token alone: they run over all tokens of a call, one row each.
Attention and pooling see a whole text: each length has a slot there, in which the texts of that length stand as a batch
of their own. Texts that the released graph would compute as one batch get the same embeddings to the bit
(docs/encoder.md). In FP32 the first linear layer is part of the attention, so it runs once for each slot: slower, and
as exact.

Inputs: `input_ids` int32 (tokens,), the texts one behind the other, grouped by length. `positions` int32 (tokens,), of
each token in its text. `slots` int64 (SLOTS, 2), texts and tokens a text of each slot; unused ones come last and have
no text. `alone` bool (), only the first slot is used. Output: `embedding` float32 (texts, hidden), unit length, in the
order of the texts. Two more, under the names that they have in the graph: each token's state behind half of the layers
and behind the last one, float32 (tokens, hidden), in the order of `input_ids`. They are computed anyway: a call that
does not fetch them computes what it would without. Names are found better by the former, and what is said of them is
read in the latter by an encoder that was tuned to (docs/models/entities.md). With one layer both are the same output.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from models.encoder.graph import FIRST_TOKEN, POSITIONS
from models.errors import ModelError

SLOTS: Final = 8
_COUNTS: Final = "slots.tokens"
_ATTENTION: Final = {"Attention", "MultiHeadAttention"}
_LAYER: Final = re.compile(r"encoder\.layer\.\d+\.output\.LayerNorm\.output")  # what a layer gives out
_ONCE: Final = ("Shape", "Slice")
_OF_A_PREFIX: Final = {"Shape", "Concat", "Expand"}  # between an attention's Split and itself
_BY_TOKEN: Final = {
    "Add",
    "Cast",
    "Gather",
    "Gelu",
    "LayerNormalization",
    "LpNormalization",
    "MatMul",
    "MatMulIntegerToFloat",
    "Mul",
    "QuantizeLinear",
    "Tanh",
}


def slot_inputs(groups: Sequence[Sequence[NDArray[np.int32]]]) -> dict[str, NDArray[Any]]:
    """What the rewritten graph takes. groups: at most SLOTS, each of token ids int32 (tokens,) of equal length."""
    slots = np.zeros((SLOTS, 2), dtype=np.int64)
    slots[:, 1] = 1
    for row, group in enumerate(groups):
        slots[row] = len(group), len(group[0])
    return {
        "input_ids": np.concatenate([ids for group in groups for ids in group]),
        "positions": np.concatenate(
            [np.tile(np.arange(len(group[0]), dtype=np.int32), len(group)) for group in groups]
        ),
        "slots": slots,
        "alone": np.array(len(groups) == 1),
    }


def with_slots(released: bytes) -> bytes:
    """Rewrite the file of a graph that `build_encoder_graph` built, INT8 or FP32. Raises ModelError for another graph
    (one with other operators), protobuf's DecodeError for what is none."""
    model = onnx.load_model_from_string(released)
    graph = model.graph
    if not _is_ours(graph.node):
        raise ModelError("only an encoder graph that Headrace built can serve; build it from the encoder's weights")
    hidden = next(tensor.dims[1] for tensor in graph.initializer if tensor.name == POSITIONS)
    widths = {tensor.name: tensor.dims[-1] for tensor in graph.initializer if tensor.dims}
    rewriter = _Rewriter(hidden=hidden, widths_of=widths)
    rewriter.rewrite(graph.node)
    for name in _states(graph.node):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", hidden]))
    del graph.node[:], graph.input[:]
    graph.node.extend(rewriter.nodes)
    graph.input.extend(
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["tokens"]),
            helper.make_tensor_value_info("positions", TensorProto.INT32, ["tokens"]),
            helper.make_tensor_value_info("slots", TensorProto.INT64, [SLOTS, 2]),
            helper.make_tensor_value_info("alone", TensorProto.BOOL, []),
        ]
    )
    for index in reversed([index for index, tensor in enumerate(graph.initializer) if tensor.name in rewriter.unused]):
        del graph.initializer[index]  # or onnxruntime warns of it
    graph.initializer.extend(rewriter.constants)
    content: bytes = model.SerializeToString()
    return content


def _states(nodes: Sequence[NodeProto]) -> tuple[str, ...]:
    """The names of what half of the layers give out, and all of them."""
    layers: list[str] = [node.output[0] for node in nodes if _LAYER.fullmatch(node.output[0])]
    return tuple(dict.fromkeys((layers[(len(layers) - 1) // 2], layers[-1])))


def _is_ours(nodes: Sequence[NodeProto]) -> bool:
    blocks = [
        range(index, _end_of_attention(nodes, index)) for index, node in enumerate(nodes) if node.op_type == "Split"
    ]
    followed = all(len(block) > 1 for block in blocks)
    inside = {index for block in blocks for index in block[1:-1]}
    operators = [node.op_type for index, node in enumerate(nodes) if index not in inside]
    once = all(operators.count(operator) == 1 for operator in _ONCE)
    pools_once = sum(_is_pooling(node) for node in nodes) == 1
    known = set(operators) <= {*_BY_TOKEN, *_ATTENTION, *_ONCE, "ReduceMean", "Split"}
    has_all = once and pools_once and followed and bool(set(operators) & _ATTENTION)
    return known and has_all and operators[-1] == "LpNormalization"


def _end_of_attention(nodes: Sequence[NodeProto], split: int) -> int:
    """Where the attention that begins at this Split ends; `split` itself where none follows."""
    for index in range(split + 1, len(nodes)):
        if nodes[index].op_type == "MultiHeadAttention":
            return index + 1
        if nodes[index].op_type not in _OF_A_PREFIX:
            break
    return split


def _is_pooling(node: NodeProto) -> bool:
    return node.op_type == "ReduceMean" or (node.op_type == "Gather" and node.output[0] == FIRST_TOKEN)


@dataclass(slots=True)
class _Rewriter:
    """hidden: the encoder's width. widths_of: last dimension of every constant. nodes, constants: the rewritten ones.
    widths: for which the slots' shapes are there. unused: constants of the released graph that are not needed any
    more."""

    hidden: int
    widths_of: dict[str, int]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)
    widths: set[int] = field(default_factory=set)
    unused: set[str] = field(default_factory=set)

    def rewrite(self, released: Sequence[NodeProto]) -> None:
        self.nodes.append(helper.make_node("ReduceProd", ["slots"], [_COUNTS], axes=[1], keepdims=0))
        done = 0
        for index, node in enumerate(released):
            if index < done:
                continue
            match node.op_type:
                case "Shape":
                    continue  # told how many positions to slice
                case "Slice":
                    self.unused.update(node.input[1:])
                    self.nodes.append(helper.make_node("Gather", [node.input[0], "positions"], node.output))
                case "Split":
                    # behind the linear layer that gives query, key and value of the heads that this layer has
                    done = _end_of_attention(released, index)
                    self.attend(released[index:done], self.widths_of[released[index - 1].input[1]])
                case "Attention":
                    self.attend([node], self.hidden)
                case _ if _is_pooling(node):
                    self.nodes.extend(self.each_slot([node], self.hidden, range(SLOTS), flatten=False))
                case _:
                    self.nodes.append(node)

    def attend(self, block: Sequence[NodeProto], width: int) -> None:
        """Attention within each text. A call of one length, as they are where much waits, is spared the copies that
        slots need."""
        output = block[-1].output[0]
        branches = {}
        for branch, slots in (("then", range(1)), ("else", range(SLOTS))):
            nodes = self.each_slot(block, width, slots, flatten=True, suffix=f".{branch}")
            value = helper.make_tensor_value_info(f"{output}.{branch}", TensorProto.FLOAT, None)
            branches[f"{branch}_branch"] = helper.make_graph(nodes, f"{output}.{branch}", [], [value])
        self.nodes.append(helper.make_node("If", ["alone"], [output], **branches))

    def each_slot(
        self, block: Sequence[NodeProto], width: int, slots: range, *, flatten: bool, suffix: str = ""
    ) -> list[NodeProto]:
        """The block once for each slot: rows (tokens, width) in, as texts (texts, tokens, width) through it, joined
        again. flatten: it gives tokens, not texts."""
        value, output = block[0].input[0], block[-1].output[0] + suffix
        parts = [f"{output}.rows.{slot}" for slot in slots] if len(slots) > 1 else [value]
        nodes = [helper.make_node("Split", [value, _COUNTS], parts, axis=0)] if len(slots) > 1 else []
        results = [f"{output}.{slot}" for slot in slots] if len(slots) > 1 else [output]
        for slot, part, result in zip(slots, parts, results, strict=True):
            names = {value: f"{output}.texts.{slot}"}
            nodes.append(helper.make_node("Reshape", [part, self.shape(slot, width)], [names[value]], allowzero=1))
            for node in block:
                names |= {name: f"{output}.{name}.{slot}" for name in node.output}
                copy = NodeProto()
                copy.CopyFrom(node)
                copy.name = ""
                copy.input[:] = [names.get(name, name) for name in node.input]
                copy.output[:] = [names[name] for name in node.output]
                nodes.append(copy)
            if flatten:
                nodes.append(helper.make_node("Flatten", [names[block[-1].output[0]]], [result], axis=2))
            else:
                nodes[-1].output[0] = result
        return [*nodes, helper.make_node("Concat", results, [output], axis=0)] if len(slots) > 1 else nodes

    def shape(self, slot: int, width: int) -> str:
        """Name of a slot's shape (texts, tokens, width)."""
        if width not in self.widths:
            self.widths.add(width)
            self.constants.append(
                numpy_helper.from_array(np.array([[width]] * SLOTS, dtype=np.int64), f"slots.width.{width}")
            )
            self.nodes.append(
                helper.make_node("Concat", ["slots", f"slots.width.{width}"], [f"slots.shapes.{width}"], axis=1)
            )
            for number in range(SLOTS):
                self.constants.append(
                    numpy_helper.from_array(np.array(number, dtype=np.int64), f"slots.number.{width}.{number}")
                )
                row = [f"slots.shapes.{width}", f"slots.number.{width}.{number}"]
                self.nodes.append(helper.make_node("Gather", row, [f"slots.shape.{width}.{number}"], axis=0))
        return f"slots.shape.{width}.{slot}"
