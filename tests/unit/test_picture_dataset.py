"""Labelled pictures: what cannot train is told, and no picture stands on two sides."""

from collections.abc import Iterator

import numpy as np
import pytest
from small_pictures import encoded, parcel

from models.errors import PictureFault, TrainingDataError
from retrain.pictures.dataset import GivenPicture, PictureSet, read_pictures


def parcels(count: int, labels: tuple[str, ...] = ("damaged", "intact"), seed: int = 0) -> Iterator[GivenPicture]:
    rng = np.random.default_rng(seed)
    for number in range(count):
        for label in labels:
            content = encoded(parcel(rng, damaged=label == "damaged"))
            yield GivenPicture(f"{label}/{number}.png", label, content)


def parts_by_picture(pictures: PictureSet) -> dict[bytes, str]:
    return {pixels.tobytes(): str(part) for pixels, part in zip(pictures.pixels, pictures.parts, strict=True)}


def test_every_label_has_pictures_on_every_side() -> None:
    pictures = read_pictures(parcels(40), 16)
    assert pictures.labels == ("damaged", "intact") and sum(pictures.counts().values()) == 80
    assert 8 <= pictures.counts()["test"] <= 26 and 4 <= pictures.counts()["valid"] <= 20
    few = read_pictures(parcels(8), 16)
    for label in range(2):
        sides = few.parts[few.targets == label].tolist()
        assert sides.count("test") == 2 and 1 <= sides.count("valid") <= 2 and sides.count("train") >= 4


def test_a_pictures_side_depends_on_what_it_shows_and_the_seed_alone() -> None:
    given = list(parcels(30))
    first = read_pictures(given, 16, seed=4)
    renamed = [GivenPicture(f"x{number}", one.label, one.content) for number, one in enumerate(reversed(given))]
    assert parts_by_picture(read_pictures(renamed, 16, seed=4)) == parts_by_picture(first)
    assert read_pictures(renamed, 16, seed=4).fingerprint == first.fingerprint
    assert parts_by_picture(read_pictures(given, 16, seed=5)) != parts_by_picture(first)
    grown = parts_by_picture(read_pictures([*given, *parcels(30, seed=9)], 16, seed=4))
    tested = [picture for picture, part in parts_by_picture(first).items() if part == "test"]
    assert all(grown[picture] == "test" for picture in tested), "one that tested never trains"


def test_copies_count_once_and_the_same_picture_under_two_labels_trains_nobody() -> None:
    given = list(parcels(30))
    copy = GivenPicture("damaged/copy.png", "damaged", given[0].content)
    other = GivenPicture("intact/other.png", "intact", given[2].content)
    pictures = read_pictures([*given, copy, other], 16)
    assert pictures.dropped_duplicates == 1 and len(pictures.pixels) == 59
    assert {one.name for one in pictures.rejected} == {"damaged/1.png", "intact/other.png"}
    assert {one.reason for one in pictures.rejected} == {"picture_conflict"}


def test_a_file_that_is_no_picture_is_left_out_and_named() -> None:
    broken = GivenPicture("intact/notes.png", "intact", b"no picture")
    unread = GivenPicture("intact/big.png", "intact", PictureFault("picture_too_large", "9 bytes"))
    pictures = read_pictures([*parcels(20), broken, unread], 16)
    assert [(one.name, one.reason) for one in pictures.rejected] == [
        ("intact/notes.png", "picture_type"),
        ("intact/big.png", "picture_too_large"),
    ]
    assert len(pictures.pixels) == 40


def test_a_folder_of_files_that_are_none_is_refused() -> None:
    broken = [GivenPicture(f"intact/{number}.png", "intact", b"no picture") for number in range(6)]
    with pytest.raises(TrainingDataError, match=r"6 of 46 files cannot be used, more than 10 %; the first is intact/0"):
        read_pictures([*parcels(20), *broken], 16)


REFUSED = {
    "nothing": ([], "the folder has no picture"),
    "one label": (list(parcels(20, ("intact",))), "the folder has one label, 'intact'"),
    "two pictures a label": (list(parcels(2)), "label 'damaged' has 2 different pictures; a label needs 8"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_train_says_what_is_missing(given: list[GivenPicture], words: str) -> None:
    with pytest.raises(TrainingDataError, match=words):
        read_pictures(given, 16)


def test_pictures_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrain.pictures.dataset.MOST_BYTES", 10 * 16 * 16 * 3)
    with pytest.raises(TrainingDataError, match="more than 10 pictures of 16 by 16 pixels do not fit into memory"):
        read_pictures(parcels(20), 16)
