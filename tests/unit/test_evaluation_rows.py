"""Which rows of a file `headrace evaluate` scores."""

from pathlib import Path

import pytest

from headrace.training.from_file import evaluation_rows
from models.errors import TrainingDataError
from retrain.text_keys import key_hash

FILE = "text,intent\nWhere is order 1?,a\nwhere is order 2?,a\nrefund,b\nlogin,b\n"


def scored(folder: Path, content: str, *trained_on: str) -> tuple[list[str], int]:
    file = folder / "data.csv"
    file.write_text(content, encoding="utf-8")
    known = frozenset(map(key_hash, trained_on))
    dataset, left_out = evaluation_rows(file, ["intent"], "text", None, "split", trained_on=known)
    return [row.text for row in dataset.rows], left_out


def test_texts_that_the_release_was_trained_on_are_left_out_and_counted(tmp_path: Path) -> None:
    """A file without split column was scored with the training texts in it, though the release carries them."""
    assert scored(tmp_path, FILE, "where is order 77?", "REFUND") == (["login"], 3)
    texts, left_out = scored(tmp_path, FILE)
    assert (len(texts), left_out) == (4, 0)


def test_a_file_with_splits_is_scored_on_its_test_rows(tmp_path: Path) -> None:
    content = "text,intent,split\nx,a,train\ny,b,train\nz,a,test\n"
    assert scored(tmp_path, content, "x") == (["z"], 0)


def test_a_file_with_nothing_but_test_rows_is_scored(tmp_path: Path) -> None:
    """It was refused, as it had no row to train on."""
    content = "text,intent,split\ny,b,test\nz,a,test\n"
    assert scored(tmp_path, content) == (["y", "z"], 0)


def test_a_file_of_training_texts_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="trained on all 4 texts"):
        scored(tmp_path, FILE, "where is order 1?", "refund", "login")
