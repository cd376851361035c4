"""FOLDER/<label>/*.png, as people keep it: with notes, hidden files, links and folders among the pictures."""

import os
from pathlib import Path

import numpy as np
import pytest
from small_pictures import encoded, parcel

from headrace.training.pictures.folder import PictureOrder, read_picture_folder
from models.errors import ConfigError
from models.pictures.decoding import PictureLimits
from retrain.pictures.dataset import PictureSet


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for label in ("damaged", "intact"):
        (tmp_path / label).mkdir()
        for number in range(20):
            (tmp_path / label / f"{number}.png").write_bytes(encoded(parcel(rng, damaged=label == "damaged")))
    return tmp_path


def read(folder: Path, size: int | None = 16, **options: object) -> PictureSet:
    return read_picture_folder(PictureOrder(folder, size), **options)  # type: ignore[arg-type]


def test_what_is_no_picture_is_named_and_hidden_files_are_nobodys(folder: Path) -> None:
    (folder / "intact" / ".DS_Store").write_bytes(b"x")
    (folder / ".git").mkdir()
    (folder / "readme.txt").write_text("beside the labels")
    (folder / "intact" / "notes.txt").write_text("a note")
    (folder / "intact" / "old").mkdir()
    (folder / "damaged" / "cut.png").write_bytes((folder / "damaged" / "1.png").read_bytes()[:300])
    os.mkfifo(folder / "damaged" / "pipe.png")
    pictures = read(folder)
    assert len(pictures.pixels) == 40 and pictures.labels == ("damaged", "intact")
    assert [(one.name, one.reason) for one in pictures.rejected] == [
        ("damaged/cut.png", "picture_broken"),
        ("damaged/pipe.png", "picture_type"),
        ("intact/notes.txt", "picture_type"),
        ("intact/old", "picture_type"),
    ]


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with (folder / "intact" / "huge.png").open("wb") as file:
        file.truncate(2**40)  # no disk holds it
    (rejected,) = read(folder).rejected
    assert rejected.name == "intact/huge.png" and rejected.reason == "picture_too_large"
    with pytest.raises(Exception, match="41 of 41 files cannot be used"):
        read(folder, limits=PictureLimits(max_bytes=100))


def test_the_size_is_chosen_by_the_pictures(folder: Path) -> None:
    assert read(folder, size=None).size == 32, "48 pixels a side"
    assert read(folder, size=24).size == 24


@pytest.mark.parametrize("size", [8, 20, 232])
def test_a_size_that_cannot_be_is_refused(folder: Path, size: int) -> None:
    with pytest.raises(ConfigError, match="a multiple of 8 from 16 to 224"):
        read(folder, size=size)


def test_names_that_are_no_utf8_are_shown_and_are_no_labels(folder: Path) -> None:
    with open(os.fsencode(folder / "intact") + b"/caf\xe9.png", "wb") as file:
        file.write(b"no picture")
    (rejected,) = read(folder).rejected
    assert rejected.name == "intact/caf?.png"
    os.mkdir(os.fsencode(folder) + b"/caf\xe9")
    with pytest.raises(ConfigError, match=r"caf\? has a name that is no UTF-8"):
        read(folder)
