"""Taking out of an encoder what its embeddings need least: whole layers, attention heads, feed-forward units.

What is taken out is gone from the weights, so the graph built from them is smaller: nothing is multiplied by zero. What
is least needed is measured on calibration texts without labels; no torch. Layers are taken out one by one, each time
the one without which the embeddings change least. Heads and units are taken out by the error that is left in their
layer's output when the others make up for them as well as they can, and the weights of the others are then fitted to do
so. Sources: Hassibi and Stork, Optimal Brain Surgeon (1993), for that error; Kwon et al., A Fast Post-Training Pruning
Framework for Transformers (2022), for refitting what is left by least squares.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoder.graph import HEADS_BY_LAYER, EncoderShape, Weights, build_encoder_graph
from models.encoder.quantization import Batches, TappedEncoder
from models.errors import ConfigError

_LAYER: Final = re.compile(r"(?P<before>encoder\.layer\.)(?P<number>\d+)(?P<after>\..*)")
_KEPT_ALONE: Final = 0.25  # of a block's groups, when its errors are compared with other blocks'
_RIDGE: Final = 1e-4  # of the mean square of an input: calibration texts are few
UNIT_STEP: Final = 32  # a layer keeps a multiple of so many units: odd widths leave a processor's vectors half empty

Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pruned:
    """weights, config: as `weights_of_graph` gives them. layers: of the given encoder, that are left. heads, units:
    how many each of them has."""

    weights: dict[str, Matrix]
    config: dict[str, Any]
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    units: tuple[int, ...]


def sizes(weights: Weights, config: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Heads and feed-forward units by layer."""
    shape = EncoderShape.from_config(config)
    units = [weights[f"encoder.layer.{layer}.intermediate.dense.bias"] for layer in range(shape.layers)]
    return tuple(shape.heads_of(layer) for layer in range(shape.layers)), tuple(len(bias) for bias in units)


def take_layers(weights: Weights, config: Mapping[str, Any], layers: Sequence[int]) -> Pruned:
    """The encoder with these of its layers only, in their order. layers: numbers from 0, rising."""
    place = {layer: number for number, layer in enumerate(layers)}
    taken: dict[str, Matrix] = {}
    for name, tensor in weights.items():
        found = _LAYER.fullmatch(name)
        if found is None:
            taken[name] = np.asarray(tensor, dtype=np.float32)
        elif int(found["number"]) in place:
            taken[f"{found['before']}{place[int(found['number'])]}{found['after']}"] = tensor
    left: dict[str, Any] = {**config, "num_hidden_layers": len(layers)}
    if HEADS_BY_LAYER in config:
        left[HEADS_BY_LAYER] = [config[HEADS_BY_LAYER][layer] for layer in layers]
    return Pruned(taken, left, tuple(layers), *sizes(taken, left))


def every_other(layers: int, left: int) -> tuple[int, ...]:
    """`left` of so many layers, evenly, the last one among them: where a student starts."""
    return tuple(round((number + 1) * layers / left) - 1 for number in range(left))


def prune_layers(
    weights: Weights,
    config: Mapping[str, Any],
    batches: Batches,
    left: int,
    progress: Callable[[str, int, int], None],
) -> Pruned:
    """Take layers out until `left` are left. Raises ConfigError where the encoder has fewer."""
    layers = list(range(EncoderShape.from_config(config).layers))
    if not 1 <= left <= len(layers):
        raise ConfigError(f"the encoder has {len(layers)} layers; give --layers a number from 1 to {len(layers)}")
    wanted = _embed(weights, config, batches)
    total = sum(range(left + 1, len(layers) + 1))
    done = 0
    while len(layers) > left:
        cosines = []
        for layer in layers:
            pruned = take_layers(weights, config, [other for other in layers if other != layer])
            cosines.append(float((_embed(pruned.weights, pruned.config, batches) * wanted).sum(axis=1).mean()))
            done += 1
            progress("weighing layers", done, total)
        del layers[int(np.argmax(cosines))]
    return take_layers(weights, config, layers)


def prune_widths(
    weights: Weights, config: Mapping[str, Any], batches: Batches, *, heads: float = 1.0, units: float = 1.0
) -> Pruned:
    """Take out attention heads and feed-forward units: the given shares, in (0, 1], are left over all layers. Each
    layer keeps at least one head and UNIT_STEP units."""
    shape = EncoderShape.from_config(config)
    moments = _Moments.of(weights, config, batches)
    taken = {name: np.asarray(tensor, dtype=np.float32) for name, tensor in weights.items()}
    readers = [f"attention.self.{part}" for part in ("query", "key", "value")]
    head_blocks, unit_blocks = [], []
    for layer in range(shape.layers):
        attention, down = moments.attention[layer], moments.down[layer]
        head_blocks.append(_Block(layer, "attention.output.dense", attention, readers, shape.head_size, 1))
        unit_blocks.append(_Block(layer, "output.dense", down, ["intermediate.dense"], 1, UNIT_STEP))
    for blocks, share in ((head_blocks, heads), (unit_blocks, units)):
        if share < 1:
            errors = _comparable_errors(taken, config, batches, blocks)
            for block, kept in zip(blocks, _choose(errors, blocks, share), strict=True):
                block.cut(taken, kept)
    left: dict[str, Any] = dict(config)
    counts, widths = (
        tuple(len(taken[f"encoder.layer.{layer}.{name}.bias"]) // size for layer in range(shape.layers))
        for name, size in (("attention.self.query", shape.head_size), ("intermediate.dense", 1))
    )
    left |= {HEADS_BY_LAYER: list(counts), "intermediate_size": max(widths)}
    return Pruned(taken, left, tuple(range(shape.layers)), counts, widths)


@dataclass(frozen=True, slots=True)
class _Block:
    """What a linear layer reads, in groups that go together: a head's dimensions, or one unit.

    layer: its number. output: the linear layer that reads. moment: (inputs + 1, inputs + 1), mean products of
    its inputs, the last one a constant 1 for the bias. writers: the linear layers whose outputs those inputs are.
    group: inputs of a group. step: how many groups are kept or go at a time.
    """

    layer: int
    output: str
    moment: Floats
    writers: Sequence[str]
    group: int
    step: int

    def errors(self, weights: Mapping[str, Matrix]) -> Floats:
        """By group, the mean squared error of the output without it, once the others make up for it; as a share of the
        output's mean square."""
        weight = weights[f"encoder.layer.{self.layer}.{self.output}.weight"].astype(np.float64).T
        inputs = len(weight)
        inverse = np.linalg.inv(_ridged(self.moment))[:inputs, :inputs]
        energy = max(float(np.trace(weight.T @ self.moment[:inputs, :inputs] @ weight)), 1e-12)
        errors = []
        for start in range(0, inputs, self.group):
            rows = slice(start, start + self.group)
            errors.append(float(np.trace(weight[rows].T @ np.linalg.inv(inverse[rows, rows]) @ weight[rows])))
        return np.array(errors) / energy

    def cut(self, weights: dict[str, Matrix], kept: NDArray[np.int64]) -> None:
        """Keep these groups, and fit the reader's weights and bias so that its output stays what it was."""
        rows = (kept[:, None] * self.group + np.arange(self.group)).ravel()
        name = f"encoder.layer.{self.layer}.{self.output}"
        whole = np.concatenate([weights[f"{name}.weight"].T, weights[f"{name}.bias"][None]]).astype(np.float64)
        left = np.append(rows, len(whole) - 1)
        moment = _ridged(self.moment)
        fitted = np.linalg.solve(moment[np.ix_(left, left)], moment[left] @ whole)
        weights[f"{name}.weight"] = np.ascontiguousarray(fitted[:-1].T, dtype=np.float32)
        weights[f"{name}.bias"] = fitted[-1].astype(np.float32)
        for writer in self.writers:
            for part in ("weight", "bias"):
                weights[f"encoder.layer.{self.layer}.{writer}.{part}"] = weights[
                    f"encoder.layer.{self.layer}.{writer}.{part}"
                ][rows]


def _comparable_errors(
    weights: Mapping[str, Matrix], config: Mapping[str, Any], batches: Batches, blocks: Sequence[_Block]
) -> list[Floats]:
    """Errors by block and group, in units of what they do to the embeddings: each block's are scaled by how far the
    embeddings move when most of that block alone goes. An error of one layer's output says little beside another's."""
    wanted, comparable = _embed(weights, config, batches), []
    for block in blocks:
        errors = block.errors(weights)
        order = np.argsort(-errors, kind="stable")
        kept = np.sort(order[: max(1, int(len(order) * _KEPT_ALONE))])
        trial = dict(weights)
        block.cut(trial, kept)
        heads = _heads(trial, EncoderShape.from_config(config))
        moved = 1 - float((_embed(trial, {**config, HEADS_BY_LAYER: heads}, batches) * wanted).sum(axis=1).mean())
        lost = float(errors.sum() - errors[kept].sum())
        comparable.append(errors * (max(moved, 1e-9) / max(lost, 1e-9)))
    return comparable


def _heads(weights: Mapping[str, Matrix], shape: EncoderShape) -> list[int]:
    names = (f"encoder.layer.{layer}.attention.self.query.bias" for layer in range(shape.layers))
    return [len(weights[name]) // shape.head_size for name in names]


def _choose(errors: Sequence[Floats], blocks: Sequence[_Block], share: float) -> list[NDArray[np.int64]]:
    """The groups that each block keeps, rising: the worst to lose over all blocks, in whole steps of a block."""
    steps, total = [], 0
    for number, (block, of_block) in enumerate(zip(blocks, errors, strict=True)):
        order = np.argsort(-of_block, kind="stable")
        total += len(order)
        for start in range(0, len(order), block.step):
            chosen = order[start : start + block.step]
            # the first step of a block always stays
            steps.append((np.inf if start == 0 else float(of_block[chosen].sum()) / len(chosen), number, chosen))
    kept: list[list[NDArray[np.int64]]] = [[] for _ in blocks]
    count = 0
    for worth, number, chosen in sorted(steps, key=lambda step: -step[0]):
        if count >= share * total and worth != np.inf:
            break
        kept[number].append(chosen)
        count += len(chosen)
    return [np.sort(np.concatenate(parts)) for parts in kept]


def _ridged(moment: Floats) -> Floats:
    return moment + np.eye(len(moment)) * (_RIDGE * float(np.trace(moment)) / len(moment))


@dataclass(frozen=True, slots=True)
class _Moments:
    """By layer, mean products of what the attention's output layer and the second feed-forward layer read, with a
    constant 1 behind."""

    attention: list[Floats]
    down: list[Floats]

    @classmethod
    def of(cls, weights: Weights, config: Mapping[str, Any], batches: Batches) -> "_Moments":
        layers = EncoderShape.from_config(config).layers
        sums: dict[str, Floats] = {}

        def add(name: str, values: Matrix) -> None:
            if not name.endswith((".attention_output", ".down")):
                return
            with_one = np.concatenate([values, np.ones((len(values), 1), dtype=np.float32)], axis=1)
            product = (with_one.T @ with_one).astype(np.float64)
            sums[name] = sums[name] + product if name in sums else product

        TappedEncoder(weights, config).each_input(batches, add)
        tokens = sum(batch.size for batch in batches)
        return cls(
            [sums[f"layer{layer}.attention_output"] / tokens for layer in range(layers)],
            [sums[f"layer{layer}.down"] / tokens for layer in range(layers)],
        )


def _embed(weights: Weights, config: Mapping[str, Any], batches: Batches) -> Matrix:
    options = ort.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = build_encoder_graph(weights, config).SerializeToString()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["embedding"], {"input_ids": batch})[0] for batch in batches])
