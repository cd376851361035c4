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
from models.encoder.input_ranges import Histogram, RangeBy, choose_range
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
    smoothing: every channel instead, as that paper has it: its strength, 0 to 1; None for outliers only.
    range_by: how the range of a layer's input is chosen (`models.encoder.input_ranges`): all that calibration saw, or
    less. percentile: of `percentile`, in per cent.
    """

    weight_bits: int = 7
    outlier_percentile: float = 99.0
    outlier_ratio: float = 1.5
    smoothing: float | None = None
    range_by: RangeBy = "min-max"
    percentile: float = 99.999


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
    batches = equal_length_batches([text.ids for text in tokenized])
    parts = quantize_parts(weights, config, batches, policy or QuantizationPolicy())
    content: bytes = build_encoder_graph(weights, config, parts).SerializeToString()
    return content


def equal_length_batches(tokens: Sequence[NDArray[np.int32]]) -> list[NDArray[np.int32]]:
    """Token ids of texts, (texts, tokens) each, of texts of one length."""
    rows = split_by_length([len(ids) for ids in tokens], limit=_BATCH_TEXTS)
    return [np.stack([tokens[row] for row in batch]) for batch in rows]


def quantize_parts(
    weights: Weights, config: Mapping[str, object], batches: Batches, policy: QuantizationPolicy
) -> QuantizedParts:
    """All linear layers and the word table in integers. batches: token ids int32 (texts, tokens), equal lengths
    each."""
    tapped = TappedEncoder(weights, config)
    ranges = tapped.input_ranges(batches)
    layers = linear_layers(weights, config)
    multipliers = {name: _multiplier(layers[name][0], ranges[name], policy) for name in layers}
    whole = {name: _whole_range(ranges[name], multipliers[name]) for name in layers}
    reach = whole if policy.range_by == "min-max" else _narrowed(tapped, batches, multipliers, whole, policy)
    linears = {
        name: _quantize_linear(*layers[name], multipliers[name], reach[name], policy.weight_bits) for name in layers
    }
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
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    multiplier: NDArray[np.float32] | None,
    reach: tuple[float, float],
    bits: int,
) -> QuantizedLinear:
    """reach: lowest and highest input that the integers stand for, around 0."""
    low, high = reach
    input_scale = max(high - low, _TINY) / 255.0
    integers, weight_scale = _round_columns(weight if multiplier is None else weight / multiplier[:, None], bits)
    return QuantizedLinear(integers, weight_scale, bias, input_scale, round(-low / input_scale), multiplier)


def _whole_range(seen: InputRange, multiplier: NDArray[np.float32] | None) -> tuple[float, float]:
    scales = np.ones(len(seen.low), dtype=np.float32) if multiplier is None else multiplier
    return min(float((seen.low * scales).min()), 0.0), max(float((seen.high * scales).max()), 0.0)


def _narrowed(
    tapped: "TappedEncoder",
    batches: Batches,
    multipliers: Mapping[str, NDArray[np.float32] | None],
    whole: Mapping[str, tuple[float, float]],
    policy: QuantizationPolicy,
) -> dict[str, tuple[float, float]]:
    """By layer, the range that the policy chooses within the whole one."""
    histograms = {name: Histogram(*reach) for name, reach in whole.items()}

    def count(name: str, values: NDArray[np.float32]) -> None:
        multiplier = multipliers[name]
        histograms[name].add(values if multiplier is None else values * multiplier)

    tapped.each_input(batches, count)
    return {name: choose_range(one, policy.range_by, policy.percentile) for name, one in histograms.items()}


def _multiplier(
    weight: NDArray[np.float32], seen: InputRange, policy: QuantizationPolicy
) -> NDArray[np.float32] | None:
    return _outlier_multiplier(seen, policy) if policy.smoothing is None else _smoothed(weight, seen, policy.smoothing)


def _smoothed(weight: NDArray[np.float32], seen: InputRange, strength: float) -> NDArray[np.float32]:
    """Per input channel, what shares its reach between input and weights."""
    reach = np.maximum(np.maximum(np.abs(seen.low), np.abs(seen.high)), _TINY)
    weights = np.maximum(np.abs(weight).max(axis=1), _TINY)
    return np.asarray(weights ** (1 - strength) / reach**strength, dtype=np.float32)


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


class TappedEncoder:
    """The FP32 graph with every linear layer's input given out."""

    def __init__(self, weights: Weights, config: Mapping[str, object]) -> None:
        """As for `build_encoder_graph`."""
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
