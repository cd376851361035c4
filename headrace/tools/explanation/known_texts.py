"""The texts that a release knows, with their embeddings: for what lies near a text, and for the map."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from connectors.ports import ReleaseRegistry
from connectors.private_folders import make_private
from models.bundle import parse_manifest
from models.classifier import Classifier
from models.encoder.encoder import Encoder
from models.errors import ConfigError
from models.heads import Floats
from retrain.data import Columns, Row, read_labelled_csv
from retrain.file_columns import FileColumns
from retrain.progress import Progress
from retrain.training_data import ROLE, of_release

_AT_ONCE: Final = 256  # texts between two steps of the bar


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """A file of labelled texts and its columns. text_column, label_column, title_column: None: as of the file that the
    release was trained on (`FileColumns.in_file`)."""

    path: Path
    text_column: str | None = None
    label_column: str | None = None
    title_column: str | None = None


def known_rows(registry: ReleaseRegistry, classifier: Classifier, file: LabelledFile | None) -> tuple[Row, ...]:
    """The rows of the file; without one those that the release trained and tuned on. Raises ConfigError where it keeps
    none, TrainingDataError for a file of no use."""
    model, version = classifier.model, classifier.version
    manifest = registry.manifest(model, version)
    described = parse_manifest(manifest)
    if file is not None:
        return _rows_of(file, classifier, FileColumns.of_release(described))
    if ROLE not in described["files"]:
        raise ConfigError(
            f"{model}@{version} keeps none of the texts that it was trained on: give labelled ones with --data FILE"
        )
    rows = of_release(described, registry.blobs_of(manifest)).rows
    return tuple(row for row in rows if row.split != "test")


def _rows_of(file: LabelledFile, classifier: Classifier, known: FileColumns) -> tuple[Row, ...]:
    def columns(there: Sequence[str]) -> Columns:
        asked = {"text": file.text_column, "title": file.title_column, "label": file.label_column}
        found = known.in_file(there, **asked, by_head=True)
        return Columns.of(found, several=classifier.several)

    return read_labelled_csv(file.path, columns, trains=False).rows


def embed_kept(encoder: Encoder, texts: Sequence[str], folder: Path, progress: Progress) -> Floats:
    """The texts' embeddings, (texts, dimensions), float32; computed once and kept in a file of the folder."""
    digest = hashlib.sha256(encoder.sha256.encode())
    for text in texts:
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    path = folder / f"{digest.hexdigest()[:32]}.safetensors"
    kept = _read(path, (len(texts), encoder.dimensions))
    if kept is not None:
        return kept
    embeddings = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
    for start in range(0, len(texts), _AT_ONCE):
        some = list(texts[start : start + _AT_ONCE])
        embeddings[start : start + len(some)] = encoder.embed(some)
        progress("embedding texts", start + len(some), len(texts))
    make_private(folder)
    scratch = path.with_suffix(f".{os.getpid()}")
    scratch.write_bytes(save({"embeddings": embeddings}))
    scratch.replace(path)
    return embeddings


def _read(path: Path, shape: tuple[int, int]) -> Floats | None:
    """None where nothing is kept, or it is damaged: it can be computed again."""
    try:
        embeddings: Floats = load(path.read_bytes())["embeddings"]
    except (OSError, SafetensorError, KeyError):
        return None
    return embeddings if embeddings.shape == shape else None
