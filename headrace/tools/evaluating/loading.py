"""A release to be scored, and the rows that it is scored on."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.ports import ReleaseRegistry
from headrace.releases.announcing import hash_to_compare
from headrace.releases.names import split_name
from headrace.terminal import say, say_rejected
from headrace.training.from_file import evaluation_rows
from headrace.wiring import Wiring
from models.classifier import Classifier
from models.figures import number_of
from retrain.data import Dataset
from retrain.file_columns import FileColumns
from retrain.pictures.release import known_pictures
from retrain.training_data import served_bytes, trained_texts
from streams.classify.release_loading import load_release


@dataclass(frozen=True, slots=True)
class LoadedRelease:
    """A proved, warm release. trained_on: key hashes of its training texts. known_pictures: keys of its training
    pictures. oos_label: what it was trained with. blob: gives its files by their sha256."""

    model: str
    version: str
    classifier: Classifier
    described: dict[str, Any]
    trained_on: Collection[str]
    blob: Callable[[str], bytes]
    known_pictures: Collection[str] = frozenset()

    @property
    def name(self) -> str:
        """NAME@VERSION."""
        return f"{self.model}@{self.version}"

    @property
    def oos_label(self) -> str | None:
        """The label of out-of-scope texts that it was trained with."""
        label: str | None = self.described.get("training", {}).get("oos_label")
        return label

    @property
    def columns(self) -> FileColumns:
        """Of the file that it was trained on."""
        return FileColumns.of_release(self.described)

    @property
    def served_bytes(self) -> int:
        """Of the files that serve."""
        return served_bytes(self.described)


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """Where the rows to score are. text_column, label_column, title_column None: those of the file that the release was
    trained on (`FileColumns.in_file`). picture_column: of the pictures' paths; None: nobody asks for pictures."""

    path: Path
    text_column: str | None = None
    label_column: str | None = None
    split_column: str = "split"
    slice_columns: tuple[str, ...] = ()
    picture_column: str | None = None
    title_column: str | None = None


def load(wiring: Wiring, registry: ReleaseRegistry, name: str) -> LoadedRelease:
    """name: NAME or NAME@VERSION. Raises ConfigError, ReleaseCorrupt."""
    model, version = split_name(name, registry)
    announced = hash_to_compare(wiring, model, version)
    classifier = load_release(registry, model, version, announced, threads=wiring.settings.threads)
    manifest = registry.manifest(model, version)
    described, blob = json.loads(manifest), registry.blobs_of(manifest)
    known = trained_texts(manifest, blob)
    return LoadedRelease(model, version, classifier, described, known, blob, known_pictures(described, blob))


def read_rows(
    file: LabelledFile,
    heads: list[str],
    trained_on: Collection[str],
    several: frozenset[str] = frozenset(),
    columns: FileColumns | None = None,
) -> tuple[Dataset, int]:
    """See `evaluation_rows`; tells on stderr which rows were not taken. columns: of the release."""
    dataset, known = evaluation_rows(
        file.path,
        heads,
        file.text_column,
        file.label_column,
        file.split_column,
        known=columns,
        trained_on=trained_on,
        slice_columns=file.slice_columns,
        picture_column=file.picture_column,
        title_column=file.title_column,
        several=several,
    )
    say_rejected(dataset.rejected)
    if known:
        say(f"{number_of(known, 'row')} left out: the release was trained on their texts", error=True)
    return dataset, known
