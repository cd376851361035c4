"""The pictures that stand beside the rows of a labelled file: what a network learns from, in the rows' own parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.errors import PictureFault, TrainingDataError
from models.pictures.classifier import PictureClassifier
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits
from retrain.data import Dataset, Row
from retrain.pictures.dataset import GivenPicture, PictureSet, read_pictures
from retrain.pictures.paired_rows import PairedRows
from retrain.progress import Progress, no_progress

Content = Callable[[str], bytes | PictureFault]  # of the file that a row names


@dataclass(frozen=True, slots=True)
class PicturesOfRows:
    """pictures: of rows in scope that have one, under their label for the dataset's first head. rows: numbers of the
    dataset's rows whose picture is among them. at: which picture that is."""

    pictures: PictureSet
    rows: NDArray[np.int64]
    at: NDArray[np.int64]

    @classmethod
    def read(
        cls,
        dataset: Dataset,
        content: Content,
        size: int,
        *,
        oos_label: str | None = None,
        limits: PictureLimits = DEFAULT_LIMITS,
        progress: Progress = no_progress,
    ) -> Self:
        """dataset: with tuning rows. Raises TrainingDataError where the pictures have other labels than the texts, and
        as `read_pictures`."""
        head = dataset.heads[0]
        seen = [number for number, row in enumerate(dataset.rows) if _label(row, head, oos_label) and row.picture]
        if not seen:
            raise TrainingDataError("no row names a picture; give --image-column the column with their files' paths")

        def given() -> Iterator[GivenPicture]:
            for number in seen:
                row = dataset.rows[number]
                yield GivenPicture(name_of(row), row.labels[head], content(row.picture), row.split)

        _require_the_same_labels(dataset, seen, oos_label)
        pictures = read_pictures(given(), size, total=len(seen), limits=limits, progress=progress)
        rows = [number for number in seen if name_of(dataset.rows[number]) in pictures.places]
        at = [pictures.places[name_of(dataset.rows[number])] for number in rows]
        return cls(pictures, np.array(rows, dtype=np.int64), np.array(at, dtype=np.int64))

    def paired(self, dataset: Dataset, network: PictureClassifier) -> PairedRows:
        """What the network says beside the rows that tune and test. A picture that stands beside rows of several parts
        goes with the strictest, and the other rows are left out."""
        head = dataset.heads[0]
        splits = np.array([dataset.rows[row].split for row in self.rows.tolist()])
        chosen = np.flatnonzero((splits == self.pictures.parts[self.at]) & (splits != "train"))
        rows = [dataset.rows[row] for row in self.rows[chosen].tolist()]
        return PairedRows(
            head,
            network.labels,
            tuple(row.text for row in rows),
            tuple(row.labels[head] for row in rows),
            splits[chosen] == "test",
            network.probabilities(self.pictures.pixels[self.at[chosen]]),
        )


def name_of(row: Row) -> str:
    """How people find a row's picture."""
    return f"line {row.line}, {row.picture}"


def _label(row: Row, head: str, oos_label: str | None) -> str | None:
    label = row.labels.get(head)
    return None if label == oos_label else label


def _require_the_same_labels(dataset: Dataset, seen: list[int], oos_label: str | None) -> None:
    """A label that only the texts know could never be decided by both."""
    head = dataset.heads[0]
    of_texts = {_label(row, head, oos_label) for row in dataset.part("train")} - {None}
    of_pictures = {dataset.rows[number].labels[head] for number in seen}
    if missing := sorted(str(label) for label in of_texts - of_pictures):
        raise TrainingDataError(
            f"text and picture decide together only between the same labels: no picture stands beside a row labelled "
            f"{', '.join(map(repr, missing[:5]))}; give each label pictures, or train texts and pictures apart by "
            f"--images FOLDER"
        )
    if unknown := sorted(str(label) for label in of_pictures - of_texts):
        raise TrainingDataError(
            f"text and picture decide together only between the same labels: no training text has the label "
            f"{', '.join(map(repr, unknown[:5]))}, which pictures have; add texts of it or leave its rows out"
        )
