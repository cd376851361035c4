"""FOLDER/<label>/*.png: pictures that somebody has sorted by label."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from models.errors import ConfigError, PictureFault
from models.pictures.classifier import SIZES
from models.pictures.decoding import DEFAULT_LIMITS, PictureLimits, picture_sides, require_pillow
from retrain.data import Dataset
from retrain.pictures.beside_rows import Content, PicturesOfRows
from retrain.pictures.dataset import GivenPicture, PictureSet, read_pictures
from retrain.progress import Progress, no_progress

ENDINGS: Final = (".png", ".jpg", ".jpeg", ".webp")
_LOOKED_AT: Final = 200  # pictures that the size is chosen by
_SIZES: Final = ((20, 16), (48, 32))  # longer side of the typical picture up to, size
_LARGEST: Final = 64


@dataclass(frozen=True, slots=True)
class PictureOrder:
    """What to train on: a folder, or the pictures that a column of the labelled file names. size: side that the network
    looks at; None: by the pictures. mirror: see `PicturePlan`."""

    folder: Path | None
    size: int | None = None
    mirror: bool = False
    column: str | None = None


def read_picture_folder(
    order: PictureOrder, *, seed: int = 0, limits: PictureLimits = DEFAULT_LIMITS, progress: Progress = no_progress
) -> PictureSet:
    """Raises ConfigError where there is no such folder, Pillow is missing or the size is none that can be; and as
    `read_pictures`."""
    _check(order)
    assert order.folder is not None
    files = list(_files(order.folder))
    size = order.size or _size_for([path for path, _ in files], limits)
    given = _given(order.folder, files, limits)
    return read_pictures(given, size, total=len(files), seed=seed, limits=limits, progress=progress)


def read_pictures_of_rows(
    order: PictureOrder,
    dataset: Dataset,
    data: Path,
    *,
    oos_label: str | None = None,
    limits: PictureLimits = DEFAULT_LIMITS,
    progress: Progress = no_progress,
) -> PicturesOfRows:
    """data: the labelled file, beside which its pictures' paths begin. Raises as `read_picture_folder` and
    `PicturesOfRows.read`."""
    _check(order)
    content = content_of_rows(data, limits)
    size = order.size or _size_for([data.parent / row.picture for row in dataset.rows if row.picture], limits)
    return PicturesOfRows.read(dataset, content, size, oos_label=oos_label, limits=limits, progress=progress)


def content_of_rows(data: Path, limits: PictureLimits = DEFAULT_LIMITS) -> Content:
    """Reads what a row of a file names as its picture: a path, from the file's folder on."""
    return lambda picture: _content(data.parent / picture, limits)


def _check(order: PictureOrder) -> None:
    require_pillow()
    if order.size is not None and (not SIZES[0] <= order.size <= SIZES[1] or order.size % 8):
        raise ConfigError(f"--image-size {order.size}: give a multiple of 8 from {SIZES[0]} to {SIZES[1]}")


def labelled_pictures(folder: Path, limits: PictureLimits = DEFAULT_LIMITS) -> tuple[Iterator[GivenPicture], int]:
    """Every file of a folder of labels, read one by one as they are asked for, and how many there are. Raises
    ConfigError as `read_picture_folder`."""
    require_pillow()
    files = list(_files(folder))
    return _given(folder, files, limits), len(files)


def _given(folder: Path, files: list[tuple[Path, str]], limits: PictureLimits) -> Iterator[GivenPicture]:
    return (GivenPicture(_shown(path.relative_to(folder)), label, _content(path, limits)) for path, label in files)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file of a label's folder, and the label. What begins with a dot is nobody's picture."""
    try:
        labels = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        for label in labels:
            if _shown(label) != str(label):
                raise ConfigError(f"the folder {_shown(label)} has a name that is no UTF-8; a label needs one that is")
            for path in sorted(label.iterdir()):
                if not path.name.startswith("."):
                    yield path, label.name
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder} cannot be read ({error.strerror}); --images is a folder with a subfolder of "
            f"pictures for each label"
        ) from error


def _shown(path: Path) -> str:
    """Names of files may hold any bytes; what is written as JSON may not."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def _content(path: Path, limits: PictureLimits) -> bytes | PictureFault:
    if path.suffix.lower() not in ENDINGS:
        return PictureFault("picture_type", f"its name ends with none of {', '.join(ENDINGS)}")
    try:
        if not path.is_file():  # a pipe would have us wait for ever
            return PictureFault("picture_type", "it is no file")
        if (size := path.stat().st_size) > limits.max_bytes:
            return PictureFault("picture_too_large", f"it has {size} bytes, {limits.max_bytes} are read")
        return path.read_bytes()
    except OSError as error:
        return PictureFault("picture_broken", f"it cannot be read: {error.strerror or os.strerror(error.errno or 0)}")


def _size_for(paths: list[Path], limits: PictureLimits) -> int:
    """What keeps the details of a typical picture and costs no more than that."""
    sides = []
    for path in paths[:: max(1, len(paths) // _LOOKED_AT)]:
        content = _content(path, limits)
        if not isinstance(content, PictureFault):
            try:
                sides.append(max(picture_sides(content, limits)))
            except PictureFault:
                continue  # told of when all are read
    typical = median(sides) if sides else 0
    return next((size for most, size in _SIZES if typical <= most), _LARGEST)
