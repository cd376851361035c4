"""Real `quick` releases on what a stream may train on, and what they say of each text that is shown."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import models
import retrain
from bench.drift.encoding import RememberingEncoder
from bench.drift.texts import LabelledSet, Rows, at_most
from models.bundle import Notes, pack, read_reference, unpack
from models.classifier import Classifier
from models.decision import Classification
from retrain.data import Dataset, Row
from retrain.strategies.quick import train_quick
from streams.wire.signals import MonitorSignal, signal_record
from streams.wire.source_records import SourceText

HEAD: Final = "label"
VERSION: Final = "1"
MOST_TRAINING: Final = 5_000  # texts of a release: minutes of training, not tens of them
_TUNING: Final = ("val", "valid", "dev")
_AT_ONCE: Final = 2_048

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Release:
    """A trained release. arrays: its reference, as a monitor reads it."""

    classifier: Classifier
    arrays: Mapping[str, NDArray[Any]]


class Releases:
    """Trains releases and keeps them in a folder: the same rows and the same code give the same release."""

    def __init__(self, encoder: RememberingEncoder, folder: Path, progress: Progress) -> None:
        """folder: of releases and embeddings."""
        self.encoder, self._progress = encoder, progress
        self._folder = folder / "releases"
        (self._folder / "blobs").mkdir(parents=True, exist_ok=True)

    def train(self, texts: LabelledSet, training: Rows, seed: int = 0) -> Release:
        """A release that has seen these rows, or a random 5,000 of them. Those that their set calls validation rows
        tune it."""
        rows = [
            Row(
                texts.texts[row],
                {HEAD: texts.labels[row]},
                "valid" if texts.splits and texts.splits[row] in _TUNING else "train",
            )
            for row in at_most(training, MOST_TRAINING, seed=0).tolist()
        ]
        return self.train_rows(texts.name, rows, seed)

    def train_rows(self, name: str, rows: Sequence[Row], seed: int = 0) -> Release:
        """The same for rows as `retrain` takes them."""
        dataset = Dataset((HEAD,), tuple(rows))
        key = f"{dataset.fingerprint[:16]}-{seed}-{self.encoder.sha256[:8]}-{_code()}"
        path = self._folder / f"{name}-{key}.json"
        if not path.exists():
            trained = train_quick(self.encoder, dataset, seed=seed, progress=self._progress)
            classifier = Classifier(
                name, VERSION, trained.encoder, trained.vocabulary, trained.heads, trained.fast_path
            )
            manifest, blobs = pack(classifier, trained.reference, Notes())
            for digest, content in blobs.items():
                _write(self._folder / "blobs" / digest, content)
            _write(path, json.dumps(manifest).encode())
        manifest_bytes = path.read_bytes()
        classifier = unpack(manifest_bytes, self._blob, version=VERSION, encoder=self.encoder)
        return Release(classifier, read_reference(manifest_bytes, self._blob))

    def _blob(self, digest: str) -> bytes:
        return (self._folder / "blobs" / digest).read_bytes()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a release says of texts, one of each. signals: as the monitor would get them, of a text that the encoder
    saw. unseen: the same without what the encoder says, where the fast path decides the text; None of all others.
    labels: those that the texts have; decided: those that the release gives. confidence: (texts,). embeddings:
    (texts, dimensions), of all texts."""

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    signals: tuple[MonitorSignal, ...]
    unseen: tuple[MonitorSignal | None, ...]
    decided: tuple[str, ...]
    confidence: NDArray[np.float32]
    embeddings: NDArray[np.float32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the release gives each text its label."""
        right: NDArray[np.bool_] = np.array(self.labels) == np.array(self.decided)
        return right

    @property
    def fast_share(self) -> float:
        """Share of the texts that the fast path decides."""
        return float(np.mean([signal is not None for signal in self.unseen]))


def show(release: Release, texts: Sequence[str], labels: Sequence[str], *, fast_path: bool = True) -> Shown:
    """fast_path: whether the application lets the release's fast path decide."""
    answers: list[Classification] = []
    for start in range(0, len(texts), _AT_ONCE):
        some = texts[start : start + _AT_ONCE]
        prepared = release.classifier.tokenize(some, fast=fast_path, audited=[True] * len(some))
        answers += release.classifier.classify(prepared)
    signals = tuple(_signal(text, answer) for text, answer in zip(texts, answers, strict=True))
    unseen = tuple(
        signal.model_copy(update={"embedding": None}) if answer.path == "fast" else None
        for signal, answer in zip(signals, answers, strict=True)
    )
    heads = [answer.heads[HEAD] for answer in answers]
    return Shown(
        tuple(texts),
        tuple(labels),
        signals,
        unseen,
        tuple(head.label for head in heads),
        np.array([head.probability for head in heads], np.float32),
        np.array([answer.embedding for answer in answers], np.float32),
    )


def _signal(text: str, answer: Classification) -> MonitorSignal:
    """As it comes out of the topic."""
    record = signal_record("", "", VERSION, answer, SourceText(text, None, 0))
    return MonitorSignal.model_validate(record)


@cache
def _code() -> str:
    """A name for the code that trains: another one trains another release."""
    files = sorted(file for package in (retrain, models) for file in Path(package.__path__[0]).rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_bytes(content)
    beside.replace(path)
