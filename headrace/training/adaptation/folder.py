"""An adapted encoder as a folder of files: safetensors and JSON, as sentence-transformers and `encoder = "./folder"`
read them. It is written whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from models.encoder.graph import DENSE
from models.errors import ConfigError

_OWN_KEYS = ("dense", "dense_sha256")  # of the ending, which stands in files of its own


def new_folder(path: Path) -> Path:
    """A folder that is not there yet, or is empty, in one that can be written. Raises ConfigError, before any work."""
    if path.is_symlink() or path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise ConfigError(f"{path} exists already and is left as it is; give --out a new folder")
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder {path.parent} to write {path.name} into")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--out {path} cannot be written: {path.parent} may not be written to")
    return path


def write_encoder(
    path: Path,
    weights: Mapping[str, NDArray[np.float32]],
    config: Mapping[str, Any],
    tokenizer_json: str,
    card: str,
) -> None:
    """weights, config: as `build_encoder_graph` takes them. card: README.md. Raises ConfigError where the disk is full
    or somebody took the name meanwhile; nothing is left then."""
    try:
        scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new"))
        try:
            _write(scratch, weights, config, tokenizer_json, card)
            scratch.chmod(0o755)
            scratch.rename(path)  # onto nothing or an empty folder; one with files stays
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        what = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path} cannot be written: {what}; nothing was written") from error


def _write(
    folder: Path,
    weights: Mapping[str, NDArray[np.float32]],
    config: Mapping[str, Any],
    tokenizer_json: str,
    card: str,
) -> None:
    own = {name: value for name, value in weights.items() if not name.startswith(f"{DENSE}.")}
    modules = [("", "Transformer"), ("1_Pooling", "Pooling")]
    save_file({name: np.ascontiguousarray(value) for name, value in own.items()}, folder / "model.safetensors")
    is_first = config.get("pooling") == "cls"
    modes = {"pooling_mode_cls_token": is_first, "pooling_mode_mean_tokens": not is_first}
    _json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": config["hidden_size"]} | modes)
    if config.get("dense") is not None:
        modules.append(("2_Dense", "Dense"))
        _write_dense(folder / "2_Dense", weights, str(config["dense"]))
    modules.append((f"{len(modules)}_Normalize", "Normalize"))
    (folder / modules[-1][0]).mkdir()
    _json(folder / "config.json", {name: value for name, value in config.items() if name not in _OWN_KEYS})
    listed = [
        {"idx": number, "name": str(number), "path": part, "type": f"sentence_transformers.models.{kind}"}
        for number, (part, kind) in enumerate(modules)
    ]
    _json(folder / "modules.json", listed)
    (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    (folder / "README.md").write_text(card, encoding="utf-8")
    for file in folder.rglob("*.*"):
        with file.open("rb+") as written:
            os.fsync(written.fileno())


def _write_dense(folder: Path, weights: Mapping[str, NDArray[np.float32]], activation: str) -> None:
    weight, bias = (np.ascontiguousarray(weights[f"{DENSE}.{part}"]) for part in ("weight", "bias"))
    names = {"tanh": "torch.nn.modules.activation.Tanh", "identity": "torch.nn.modules.linear.Identity"}
    described = {
        "in_features": weight.shape[1],
        "out_features": weight.shape[0],
        "bias": True,
        "activation_function": names[activation],
    }
    _json(folder / "config.json", described)
    save_file({"linear.weight": weight, "linear.bias": bias}, folder / "model.safetensors")


def _json(path: Path, content: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
