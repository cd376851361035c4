"""INT8: from calibration texts to integer linear layers with fixed activation scales.

Fixed (static) scales are what makes an embedding independent of its batch neighbours: a dynamic scale is taken from
the whole batch. Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference (2018), sections 2.1 and 3. Every choice here was measured against others: docs/encoder.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoder.graph import (
    QuantizedLinear,
    QuantizedParts,
    QuantizedTable,
    Weights,
    build_encoder_graph,
    linear_layers,
)
from models.encoder.length_batches import split_by_length
from models.encoder.tokenization import TextTokenizer
from models.errors import ModelError

QUANTIZATION_VERSION: Final = 3  # raise it whenever the same weights and texts would give other integers

_TAP: Final = ".input"
_TINY: Final = 1e-12
_BATCH_TEXTS: Final = 16

Batches = Sequence[NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class QuantizationPolicy:
    """weight_bits: with 7, two products of an 8-bit input always fit the 16-bit sums of processors without VNNI, which
    saturate with 8: all processors then compute the same integers.
    outlier_percentile: input channels that reach further than this share of the channels are scaled down to it (and
    their weights up), because a few channels of a BERT are ten times larger than the rest and would take the range.
    outlier_ratio: a layer none of whose channels reaches so many times further is left as it is: not worth a
    multiplication. Source of the idea: Xiao et al., SmoothQuant (2023), section 4, here on outlier channels only.
    """

    weight_bits: int = 7
    outlier_percentile: float = 99.0
    outlier_ratio: float = 1.5


@dataclass(frozen=True, slots=True)
class InputRange:
    """What calibration saw of one linear layer's input. low, high: float32 (inputs,), per channel."""

    low: NDArray[np.float32]
    high: NDArray[np.float32]


def quantize_encoder(
    weights: Weights,
    config: Mapping[str, object],
    tokenizer_json: str,
    calibration: Sequence[str],
    *,
    max_tokens: int,
    policy: QuantizationPolicy | None = None,
) -> bytes:
    """The INT8 graph's ONNX file.

    weights, config: as for `build_encoder_graph` (the base encoder's or fine-tuned ones). calibration: some hundred
    texts like those to come. max_tokens: longer texts are cut. Raises ModelError when there is no calibration text.
    """
    tokenized = TextTokenizer(tokenizer_json, max_tokens=max_tokens).tokenize(calibration)
    if not tokenized:
        raise ModelError("INT8 needs calibration texts and got none; give some hundred texts like those to come")
    rows = split_by_length([len(text.ids) for text in tokenized], limit=_BATCH_TEXTS)
    batches = [np.stack([tokenized[row].ids for row in batch]) for batch in rows]
    parts = quantize_parts(weights, config, batches, policy or QuantizationPolicy())
    content: bytes = build_encoder_graph(weights, config, parts).SerializeToString()
    return content


def quantize_parts(
    weights: Weights, config: Mapping[str, object], batches: Batches, policy: QuantizationPolicy
) -> QuantizedParts:
    """All linear layers and the word table in integers. batches: token ids int32 (texts, tokens), equal lengths
    each."""
    tapped = _TappedEncoder(weights, config)
    ranges = tapped.input_ranges(batches)
    layers = linear_layers(weights, config)
    linears = {name: _quantize_linear(*layers[name], ranges[name], policy) for name in layers}
    errors = tapped.mean_input_errors(batches, linears)
    words = next(tensor for name, tensor in weights.items() if name.endswith("embeddings.word_embeddings.weight"))
    return QuantizedParts(
        {name: _correct_bias(linears[name], *layers[name], errors[name]) for name in layers},
        _quantize_table(words),
    )


def integer_inputs(values: NDArray[np.float32], linear: QuantizedLinear) -> NDArray[np.uint8]:
    """What the graph's QuantizeLinear makes of a linear layer's input, (..., inputs) each."""
    if linear.multiplier is not None:
        values = values * linear.multiplier
    integers = np.rint(values / np.float32(linear.input_scale)) + linear.input_zero
    clipped: NDArray[np.uint8] = np.clip(integers, 0, 255).astype(np.uint8)
    return clipped


def _quantize_linear(
    weight: NDArray[np.float32], bias: NDArray[np.float32], seen: InputRange, policy: QuantizationPolicy
) -> QuantizedLinear:
    multiplier = _outlier_multiplier(seen, policy)
    scales = np.ones(len(seen.low), dtype=np.float32) if multiplier is None else multiplier
    low = min(float((seen.low * scales).min()), 0.0)
    high = max(float((seen.high * scales).max()), 0.0)
    input_scale = max(high - low, _TINY) / 255.0
    integers, weight_scale = _round_columns(weight / scales[:, None], policy.weight_bits)
    return QuantizedLinear(integers, weight_scale, bias, input_scale, round(-low / input_scale), multiplier)


def _outlier_multiplier(seen: InputRange, policy: QuantizationPolicy) -> NDArray[np.float32] | None:
    """Per input channel, what brings outliers down to the usual reach; None where there are none."""
    reach = np.maximum(np.abs(seen.low), np.abs(seen.high))
    usual = max(float(np.percentile(reach, policy.outlier_percentile, method="lower")), _TINY)
    if float(reach.max()) < policy.outlier_ratio * usual:
        return None
    return np.asarray(1.0 / np.maximum(1.0, reach / usual), dtype=np.float32)


def _round_columns(weight: NDArray[np.float32], bits: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Signed integers of so many bits and one scale a column."""
    limit = 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(weight).max(axis=0), _TINY).astype(np.float32) / np.float32(limit)
    return np.clip(np.rint(weight / scale), -limit, limit).astype(np.int8), scale


def _quantize_table(words: NDArray[np.float32]) -> QuantizedTable:
    integers, scale = _round_columns(words.T, bits=8)
    return QuantizedTable(np.ascontiguousarray(integers.T), scale[:, None])


def _correct_bias(
    linear: QuantizedLinear, weight: NDArray[np.float32], bias: NDArray[np.float32], means: "_InputMeans"
) -> QuantizedLinear:
    """Take the mean error that rounding makes on the calibration texts out of the output.

    Source: Nagel et al., Data-Free Quantization through Weight Equalization and Bias Correction (2019), section 4.2.
    """
    exact = means.exact @ weight
    rounded = ((means.integer - linear.input_zero) * linear.input_scale) @ (linear.weight * linear.weight_scale)
    corrected = (bias + exact - rounded).astype(np.float32)
    return QuantizedLinear(
        linear.weight,
        linear.weight_scale,
        corrected,
        linear.input_scale,
        linear.input_zero,
        linear.multiplier,
    )


@dataclass(frozen=True, slots=True)
class _InputMeans:
    """Means over all calibration tokens, float64 (inputs,): of the exact input and of its uint8 integers."""

    exact: NDArray[np.float64]
    integer: NDArray[np.float64]


class _TappedEncoder:
    """The FP32 graph with every linear layer's input given out."""

    def __init__(self, weights: Weights, config: Mapping[str, object]) -> None:
        model = build_encoder_graph(weights, config, taps=True)
        options = ort.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # training may run beside serving
        self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._names = [out.name for out in self._session.get_outputs() if out.name.endswith(_TAP)]

    def each_input(self, batches: Batches, use: Callable[[str, NDArray[np.float32]], None]) -> None:
        """Call `use(linear, input (tokens, inputs))` for every linear layer and batch."""
        for batch in batches:
            for name, values in zip(self._names, self._session.run(self._names, {"input_ids": batch}), strict=True):
                use(name.removesuffix(_TAP), values.reshape(-1, values.shape[-1]))

    def input_ranges(self, batches: Batches) -> dict[str, InputRange]:
        seen: dict[str, InputRange] = {}

        def widen(name: str, values: NDArray[np.float32]) -> None:
            low, high = values.min(axis=0), values.max(axis=0)
            known = seen.get(name)
            seen[name] = (
                InputRange(np.minimum(known.low, low), np.maximum(known.high, high)) if known else InputRange(low, high)
            )

        self.each_input(batches, widen)
        return seen

    def mean_input_errors(self, batches: Batches, linears: Mapping[str, QuantizedLinear]) -> dict[str, _InputMeans]:
        tokens = sum(batch.size for batch in batches)
        exact = {name: np.zeros(linear.weight.shape[0]) for name, linear in linears.items()}
        integer = {name: np.zeros(linear.weight.shape[0]) for name, linear in linears.items()}

        def add(name: str, values: NDArray[np.float32]) -> None:
            exact[name] += values.sum(axis=0, dtype=np.float64)
            integer[name] += integer_inputs(values, linears[name]).sum(axis=0, dtype=np.float64)

        self.each_input(batches, add)
        return {name: _InputMeans(exact[name] / tokens, integer[name] / tokens) for name in linears}
