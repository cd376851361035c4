"""The encoder's ONNX graph, built from BERT weights with onnx's own builder: token ids in, one embedding per text out.

Serving needs neither torch nor a graph optimiser: the operators are chosen here, fused ones (domain com.microsoft, part
of every ONNX Runtime) where they measured faster on a CPU, plain ones where those did (docs/encoder.md has the
figures). GELU is the exact one, with erf (FastGelu approximates). Pooling (the mean, or the first token), a dense layer
where the encoder has one, and normalisation are in the graph, as sentence-transformers does them.

Weights that a BERT has not make the graph longer (`models.encoder.parts`): adapters behind a layer's two outputs, and
a prefix of keys and values that every text's tokens look at as well.

One input, `input_ids` (texts, tokens), int32; one output, `embedding` (texts, dimensions), float32, unit length. All
texts of a call have the same number of tokens: there is no padding and no mask, so no text can change another's
arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.encoder.parts import ADAPTERS, PREFIX, Prefix, adapter_linears, prefix_of
from models.errors import ModelError

GRAPH_VERSION: Final = 3  # raise it whenever the same weights would give another graph: caches are keyed by it
_MICROSOFT: Final = "com.microsoft"
INTEGER_OPERATOR: Final = "MatMulIntegerToFloat"  # in every INT8 graph, in no other
_OPSET: Final = 17
FIRST_TOKEN: Final = "first"  # what the node is called that pools so
POSITIONS: Final = "embeddings.position"  # the constant of that name is (positions, hidden)
DENSE: Final = "dense"  # prefix of its weights, here and in the graph
HEADS_BY_LAYER: Final = "heads_by_layer"  # config key of a pruned encoder: heads that each layer has left
ACTIVATIONS: Final = {"identity": None, "tanh": "Tanh"}

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """The sizes of a BERT encoder, as its config.json states them. pooling: `mean` or `cls` (the first token). dense:
    activation of the dense layer behind it, a key of ACTIVATIONS; None without such a layer. sentence-transformers
    states both in files of their own; they stand in the config under the same names here. heads: of a layer from which
    none was taken; heads_by_layer: what is left in each (config key of that name), None where all have all. How many
    feed-forward units a layer has, its weights say."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    epsilon: float
    pooling: str = "mean"
    dense: str | None = None
    heads_by_layer: tuple[int, ...] | None = None

    @property
    def head_size(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden // self.heads

    def heads_of(self, layer: int) -> int:
        """Attention heads of a layer, from 0."""
        return self.heads if self.heads_by_layer is None else self.heads_by_layer[layer]

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> "EncoderShape":
        """Read the sizes. Raises ModelError for an architecture that this builder would get wrong."""
        for key, supported in (
            ("model_type", "bert"),
            ("hidden_act", "gelu"),
            ("position_embedding_type", "absolute"),
        ):
            if config.get(key, supported) != supported:
                raise ModelError(
                    f"encoder config has {key}={config[key]!r}; only {supported!r} can be built, choose a BERT encoder"
                )
        pooling, dense = str(config.get("pooling", "mean")), config.get("dense")
        if pooling not in ("mean", "cls") or (dense is not None and dense not in ACTIVATIONS):
            raise ModelError(f"encoder pools by {pooling!r} with dense layer {dense!r}; mean and cls can be built")
        by_layer = config.get(HEADS_BY_LAYER)
        heads = None if by_layer is None else tuple(int(str(count)) for count in cast("Sequence[object]", by_layer))
        try:
            shape = cls(
                hidden=int(str(config["hidden_size"])),
                layers=int(str(config["num_hidden_layers"])),
                heads=int(str(config["num_attention_heads"])),
                intermediate=int(str(config["intermediate_size"])),
                epsilon=float(str(config.get("layer_norm_eps", 1e-12))),
                pooling=pooling,
                dense=None if dense is None else str(dense),
                heads_by_layer=heads,
            )
        except KeyError as error:
            raise ModelError(f"encoder config lacks {error}; use the config.json that came with the weights") from error
        if heads is not None and len(heads) != shape.layers:
            raise ModelError(f"encoder config has {HEADS_BY_LAYER} of {len(heads)} layers, and {shape.layers} layers")
        return shape


@dataclass(frozen=True, slots=True)
class QuantizedLinear:
    """A linear layer in integers: y = (x * multiplier) quantised to uint8, times int8 weights, scaled back to float32.

    weight: int8 (inputs, outputs). weight_scale: float32 (outputs,). bias: float32 (outputs,).
    input_scale, input_zero: of the uint8 input. multiplier: float32 (inputs,), or None for all ones.
    """

    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    input_scale: float
    input_zero: int
    multiplier: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True)
class QuantizedTable:
    """A word embedding table in integers, one scale a word. rows: int8 (words, hidden). scale: float32 (words, 1)."""

    rows: NDArray[np.int8]
    scale: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class QuantizedParts:
    """What is computed in integers: linear layers by the names of `linear_layers`, and the word embeddings."""

    linears: Mapping[str, QuantizedLinear] = field(default_factory=dict)
    words: QuantizedTable | None = None


def linear_layers(
    weights: Weights, config: Mapping[str, object]
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Every linear layer's (weight (inputs, outputs), bias (outputs,)), by the name that the graph gives it."""
    shape = EncoderShape.from_config(config)
    tensors = _Tensors(weights)
    linears = {}
    for layer in range(shape.layers):
        prefix = f"encoder.layer.{layer}"
        query, key, value = (tensors.linear(f"{prefix}.attention.self.{part}") for part in ("query", "key", "value"))
        linears[f"layer{layer}.qkv"] = (
            np.concatenate([query[0], key[0], value[0]], axis=1),
            np.concatenate([query[1], key[1], value[1]]),
        )
        linears[f"layer{layer}.attention_output"] = tensors.linear(f"{prefix}.attention.output.dense")
        linears[f"layer{layer}.up"] = tensors.linear(f"{prefix}.intermediate.dense")
        linears[f"layer{layer}.down"] = tensors.linear(f"{prefix}.output.dense")
        linears |= adapter_linears(weights, layer)
    return linears


def build_encoder_graph(
    weights: Weights,
    config: Mapping[str, object],
    quantized: QuantizedParts | None = None,
    *,
    taps: bool = False,
) -> onnx.ModelProto:
    """Build the graph: token ids to unit-length embeddings (see the module's docstring for input and output).

    weights: tensors by their names in model.safetensors, float32. config: the parsed config.json.
    quantized: what to compute in integers; the rest stays float32.
    taps: also give out every linear layer's input, as output `<name>.input`, for calibration.
    Raises ModelError when a tensor is missing or the architecture is not a BERT.
    """
    shape = EncoderShape.from_config(config)
    builder = _Builder(shape, _Tensors(weights), linear_layers(weights, config), quantized or QuantizedParts(), taps)
    return builder.build()


@dataclass(frozen=True, slots=True)
class _Tensors:
    """Weights by name, with or without the `bert.` that task models put in front."""

    weights: Weights

    def get(self, name: str) -> NDArray[np.float32]:
        for candidate in (name, f"bert.{name}"):
            if candidate in self.weights:
                return np.asarray(self.weights[candidate], dtype=np.float32)
        raise ModelError(f"encoder weights lack {name!r}; use a model.safetensors of a BERT encoder")

    def linear(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(weight (inputs, outputs), bias (outputs,)): torch stores the transpose."""
        return np.ascontiguousarray(self.get(f"{name}.weight").T), self.get(f"{name}.bias")


@dataclass(slots=True)
class _Builder:
    shape: EncoderShape
    tensors: _Tensors
    linears: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]]
    quantized: QuantizedParts
    taps: bool
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)
    tapped: list[onnx.ValueInfoProto] = field(default_factory=list)

    def build(self) -> onnx.ModelProto:
        hidden = self.embed()
        for layer in range(self.shape.layers):
            hidden = self.layer(layer, hidden)
        dimensions = self.pool(hidden)
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["texts", "tokens"])
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["texts", dimensions])
        graph = helper.make_graph(
            self.nodes, "encoder", [ids], [embedding, *self.tapped], list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="headrace")

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(value.copy(order="C"), name))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        output: str,
        domain: str = "",
        **attributes: Any,
    ) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], output, domain=domain, **attributes))
        return output

    def embed(self) -> str:
        """Word plus position (plus the embedding of segment 0, where every token is), normalised."""
        words = self.words()
        position = self.tensors.get("embeddings.position_embeddings.weight")
        position = position + self.tensors.get("embeddings.token_type_embeddings.weight")[0]
        start = self.constant("embeddings.start", np.array([0], dtype=np.int64))
        self.nodes.append(helper.make_node("Shape", ["input_ids"], ["embeddings.tokens"], start=1, end=2))
        table = self.constant(POSITIONS, position)
        positions = self.node("Slice", [table, start, "embeddings.tokens", start], "embeddings.positions")
        return self.add_and_norm("embeddings.LayerNorm", words, positions)

    def words(self) -> str:
        table = self.quantized.words
        if table is None:
            words = self.constant("embeddings.word", self.tensors.get("embeddings.word_embeddings.weight"))
            return self.node("Gather", [words, "input_ids"], "embeddings.words")
        rows = self.node("Gather", [self.constant("embeddings.word", table.rows), "input_ids"], "embeddings.rows")
        scale = self.node("Gather", [self.constant("embeddings.scale", table.scale), "input_ids"], "embeddings.scales")
        integers = self.node("Cast", [rows], "embeddings.integers", to=TensorProto.FLOAT)
        return self.node("Mul", [integers, scale], "embeddings.words")

    def norm(self, name: str) -> tuple[str, str]:
        return (
            self.constant(f"{name}.gamma", self.tensors.get(f"{name}.weight")),
            self.constant(f"{name}.beta", self.tensors.get(f"{name}.bias")),
        )

    def layer(self, layer: int, hidden: str) -> str:
        prefix = f"encoder.layer.{layer}"
        attended = self.attention(
            f"layer{layer}", hidden, self.shape.heads_of(layer), prefix_of(self.tensors.weights, layer)
        )
        projected = self.adapted(f"layer{layer}.{ADAPTERS[0]}", self.linear(f"layer{layer}.attention_output", attended))
        normed = self.add_and_norm(f"{prefix}.attention.output.LayerNorm", projected, hidden)
        raised = self.linear(f"layer{layer}.up", normed)
        activated = self.node("Gelu", [raised], f"layer{layer}.gelu", domain=_MICROSOFT)
        lowered = self.adapted(f"layer{layer}.{ADAPTERS[1]}", self.linear(f"layer{layer}.down", activated))
        return self.add_and_norm(f"{prefix}.output.LayerNorm", lowered, normed)

    def adapted(self, name: str, value: str) -> str:
        """What a layer gives out, with what its adapter adds; as it is where there is none."""
        if f"{name}.down" not in self.linears:
            return value
        narrow = self.linear(f"{name}.down", value)
        activated = self.node("Gelu", [narrow], f"{name}.gelu", domain=_MICROSOFT)
        return self.node("Add", [value, self.linear(f"{name}.up", activated)], f"{name}.sum")

    def attention(self, name: str, hidden: str, heads: int, prefix: Prefix | None) -> str:
        if prefix is None and f"{name}.qkv" not in self.quantized.linears:
            self.tap(f"{name}.qkv", hidden)
            weight = self.constant(f"{name}.qkv.weight", self.linears[f"{name}.qkv"][0])
            inputs = [hidden, weight, self.bias(f"{name}.qkv")]
            width = heads * self.shape.head_size
            sizes = {} if width == self.shape.hidden else {"qkv_hidden_sizes": [width] * 3}
            return self.node("Attention", inputs, f"{name}.attended", domain=_MICROSOFT, num_heads=heads, **sizes)
        mixed = self.linear(f"{name}.qkv", hidden)
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self.nodes.append(helper.make_node("Split", [mixed], parts, f"{name}.split", axis=-1))
        if prefix is not None:
            self.nodes.append(helper.make_node("Shape", [parts[0]], [f"{name}.{PREFIX}.texts"], start=0, end=1))
            parts[1] = self.prefixed(f"{name}.{PREFIX}", parts[1], prefix.keys)
            parts[2] = self.prefixed(f"{name}.{PREFIX}", parts[2], prefix.values)
        return self.node("MultiHeadAttention", parts, f"{name}.attended", domain=_MICROSOFT, num_heads=heads)

    def prefixed(self, name: str, value: str, prefix: NDArray[np.float32]) -> str:
        """The keys or values of a text's tokens behind those of the prefix, which are the same for each text."""
        one = self.constant(f"{value}.{PREFIX}", prefix[None])
        size = self.constant(f"{name}.size", np.array(prefix.shape, dtype=np.int64))
        shape = self.node("Concat", [f"{name}.texts", size], f"{value}.{PREFIX}.shape", axis=0)
        each = self.node("Expand", [one, shape], f"{value}.{PREFIX}.each")
        return self.node("Concat", [each, value], f"{value}.prefixed", axis=1)

    def add_and_norm(self, name: str, value: str, skip: str) -> str:
        """Add and LayerNormalization, not the fused SkipLayerNormalization, whose CPU kernel takes five times as
        long."""
        total = self.node("Add", [value, skip], f"{name}.sum")
        inputs = [total, *self.norm(name)]
        return self.node("LayerNormalization", inputs, f"{name}.output", axis=-1, epsilon=self.shape.epsilon)

    def bias(self, linear: str) -> str:
        planned = self.quantized.linears.get(linear)
        return self.constant(f"{linear}.bias", self.linears[linear][1] if planned is None else planned.bias)

    def tap(self, linear: str, value: str) -> None:
        if self.taps:
            self.node("Identity", [value], f"{linear}.input")
            width = self.linears[linear][0].shape[0]
            self.tapped.append(
                helper.make_tensor_value_info(f"{linear}.input", TensorProto.FLOAT, ["texts", "tokens", width])
            )

    def linear(self, name: str, value: str) -> str:
        self.tap(name, value)
        planned = self.quantized.linears.get(name)
        if planned is not None:
            return self.integer_linear(name, value, planned)
        weight = self.constant(f"{name}.weight", self.linears[name][0])
        product = self.node("MatMul", [value, weight], f"{name}.product")
        return self.node("Add", [product, self.bias(name)], f"{name}.output")

    def integer_linear(self, name: str, value: str, planned: QuantizedLinear) -> str:
        if planned.multiplier is not None:
            multiplier = self.constant(f"{name}.multiplier", planned.multiplier)
            value = self.node("Mul", [value, multiplier], f"{name}.smoothed")
        scale = self.constant(f"{name}.input_scale", np.array(planned.input_scale, dtype=np.float32))
        zero = self.constant(f"{name}.input_zero", np.array(planned.input_zero, dtype=np.uint8))
        integers = self.node("QuantizeLinear", [value, scale, zero], f"{name}.integers")
        weight = self.constant(f"{name}.weight", planned.weight)
        weight_scale = self.constant(f"{name}.weight_scale", planned.weight_scale)
        inputs = [integers, weight, scale, weight_scale, zero, "", self.bias(name)]
        return self.node(INTEGER_OPERATOR, inputs, f"{name}.output", domain=_MICROSOFT)

    def pool(self, hidden: str) -> int:
        """From tokens to one embedding of unit length; returns its dimensions."""
        if self.shape.pooling == "cls":
            zero = self.constant("first.index", np.array(0, dtype=np.int64))
            pooled = self.node("Gather", [hidden, zero], FIRST_TOKEN, axis=1)
        else:
            pooled = self.node("ReduceMean", [hidden], "mean", axes=[1], keepdims=0)
        dimensions = self.shape.hidden
        if self.shape.dense is not None:
            weight, bias = self.tensors.linear(DENSE)
            dimensions = weight.shape[1]
            product = self.node("MatMul", [pooled, self.constant(f"{DENSE}.weight", weight)], f"{DENSE}.product")
            pooled = self.node("Add", [product, self.constant(f"{DENSE}.bias", bias)], f"{DENSE}.output")
            if (operator := ACTIVATIONS[self.shape.dense]) is not None:
                pooled = self.node(operator, [pooled], f"{DENSE}.activated")
        self.node("LpNormalization", [pooled], "embedding", axis=-1, p=2)
        return dimensions
