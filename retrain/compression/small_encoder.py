"""From an encoder's weights to a smaller encoder that serves: prune, teach, quantise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder.encoder import Encoder
from models.encoder.graph import EncoderShape, Weights, build_encoder_graph
from models.encoder.precision import build_half_graph
from models.encoder.quantization import equal_length_batches, quantize_encoder
from models.errors import ConfigError, TrainingDataError
from retrain.compression.distillation import distil
from retrain.compression.plan import QUANTIZATIONS, CompressionPlan
from retrain.compression.pruning import Pruned, every_other, prune_layers, prune_widths, sizes, take_layers
from retrain.progress import Progress, no_progress

CALIBRATION_TEXTS: Final = 256
HELD_OUT_TEXTS: Final = 256  # at most; they choose the epoch and the INT8 variant
HELD_OUT_SHARE: Final = 0.05
_EMBED_TEXTS: Final = 512

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SmallEncoder:
    """encoder: in INT8, as it serves, with its FP16 graph beside it. how: what was done and measured, for manifest and
    report."""

    encoder: Encoder
    how: dict[str, Any]


def compress_encoder(
    weights: Weights,
    config: Mapping[str, Any],
    tokenizer_json: str,
    texts: Sequence[str],
    plan: CompressionPlan,
    *,
    max_tokens: int,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> SmallEncoder:
    """Make the encoder smaller by the plan.

    weights, config: as `weights_of_graph` gives them. texts: the user's, without labels; some hundred at least, of
    which a few are held out to choose on. Raises ConfigError, TrainingDataError.
    """
    if len(texts) < 2:
        raise TrainingDataError(f"{len(texts)} text(s) are too few to compress an encoder on; give some hundred")
    order = np.random.default_rng(seed).permutation(len(texts)).tolist()
    count = max(1, min(HELD_OUT_TEXTS, int(len(texts) * HELD_OUT_SHARE)))
    held_out, learnt = [texts[row] for row in order[:count]], [texts[row] for row in order[count:]]
    teacher = _exact(weights, config, tokenizer_json, max_tokens, threads)
    pruned = _pruned(weights, config, teacher, learnt[:CALIBRATION_TEXTS], plan, progress)
    how: dict[str, Any] = {
        "layers": list(pruned.layers),
        "heads": list(pruned.heads),
        "feed_forward_units": list(pruned.units),
        "texts": len(learnt),
        "held_out_texts": len(held_out),
    }
    small, wanted = pruned.weights, teacher.embed(held_out)
    if plan.distillation is not None:
        done = distil(
            small,
            pruned.config,
            [text.ids for text in teacher.tokenize(learnt)],
            _embed(teacher, learnt, progress),
            [text.ids for text in teacher.tokenize(held_out)],
            wanted,
            plan=plan.distillation,
            seed=seed,
            threads=threads,
            progress=progress,
        )
        small = done.weights
        how["distillation"] = {"epochs": plan.distillation.epochs, "cosines": [round(one, 4) for one in done.cosines]}
    int8, chosen = _quantized(
        small, pruned.config, tokenizer_json, learnt[:CALIBRATION_TEXTS], held_out, plan, max_tokens, threads, progress
    )
    half = build_half_graph(small, pruned.config)
    encoder = Encoder.from_bytes(int8, tokenizer_json, max_tokens=max_tokens, threads=threads, half=lambda: half)
    how |= chosen | {"cosine": round(_cosine(encoder.embed(held_out), wanted), 4)}
    return SmallEncoder(encoder, how)


def _pruned(
    weights: Weights,
    config: Mapping[str, Any],
    encoder: Encoder,
    texts: Sequence[str],
    plan: CompressionPlan,
    progress: Progress,
) -> Pruned:
    whole = EncoderShape.from_config(config).layers
    left = plan.layers or (max(1, whole // 2) if plan.distillation is not None else whole)
    if left > whole:
        raise ConfigError(f"the encoder has {whole} layers; give --layers a number from 1 to {whole}")
    batches = equal_length_batches([text.ids for text in encoder.tokenize(texts)])
    if plan.distillation is not None:
        pruned = take_layers(weights, config, every_other(whole, left))
    else:
        pruned = prune_layers(weights, config, batches, left, progress)
    if plan.heads == 1 and plan.units == 1:
        return pruned
    narrow = prune_widths(pruned.weights, pruned.config, batches, heads=plan.heads, units=plan.units)
    return Pruned(narrow.weights, narrow.config, pruned.layers, *sizes(narrow.weights, narrow.config))


def _quantized(
    weights: Weights,
    config: Mapping[str, Any],
    tokenizer_json: str,
    calibration: Sequence[str],
    held_out: Sequence[str],
    plan: CompressionPlan,
    max_tokens: int,
    threads: int | None,
    progress: Progress,
) -> tuple[bytes, dict[str, Any]]:
    """The INT8 file, and which variant it is with the cosines to the exact embeddings that it was chosen by."""
    names = list(QUANTIZATIONS) if plan.quantization == "auto" else [plan.quantization]
    exact = _exact(weights, config, tokenizer_json, max_tokens, threads).embed(held_out)
    files, cosines = {}, {}
    for number, name in enumerate(names):
        progress("calibrating INT8", number, len(names))
        files[name] = quantize_encoder(
            weights, config, tokenizer_json, calibration, max_tokens=max_tokens, policy=QUANTIZATIONS[name]
        )
        encoder = Encoder.from_bytes(files[name], tokenizer_json, max_tokens=max_tokens, threads=threads)
        cosines[name] = _cosine(encoder.embed(held_out), exact)
        encoder.close()
    progress("calibrating INT8", len(names), len(names))
    best = max(cosines, key=lambda name: cosines[name])
    rounded = {name: round(cosine, 5) for name, cosine in cosines.items()}
    return files[best], {"quantization": best, "int8_cosines": rounded}


def _exact(
    weights: Weights, config: Mapping[str, Any], tokenizer_json: str, max_tokens: int, threads: int | None
) -> Encoder:
    content = build_encoder_graph(weights, config).SerializeToString()
    return Encoder.from_bytes(content, tokenizer_json, max_tokens=max_tokens, threads=threads)


def _embed(encoder: Encoder, texts: Sequence[str], progress: Callable[[str, int, int], None]) -> Embeddings:
    parts = []
    for start in range(0, len(texts), _EMBED_TEXTS):
        parts.append(encoder.embed(texts[start : start + _EMBED_TEXTS]))
        progress("asking the teacher", min(start + _EMBED_TEXTS, len(texts)), len(texts))
    return np.concatenate(parts)


def _cosine(first: Embeddings, second: Embeddings) -> float:
    return float((first * second).sum(axis=1).mean())
