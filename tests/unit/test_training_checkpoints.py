import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest

from headrace.training.run.checkpoints import KEPT_DAYS, FolderCheckpoints

TENSORS = {"now/weight": np.arange(6, dtype=np.float32).reshape(2, 3), "adam.0/step": np.array(7.0, dtype=np.float32)}
STATE = {"step": 7, "scores": [0.5, 0.75]}


def test_what_was_kept_last_comes_back_and_no_other_file_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "trainings"
    FolderCheckpoints(folder).save("a", {"old": np.zeros(1, dtype=np.float32)}, {"step": 1})
    FolderCheckpoints(folder).save("a", TENSORS, STATE)
    kept = FolderCheckpoints(folder).load("a")
    assert kept is not None
    tensors, state = kept
    assert state == STATE
    assert tensors.keys() == TENSORS.keys()
    assert all(np.array_equal(tensors[name], value) for name, value in TENSORS.items())
    assert [path.name for path in folder.iterdir()] == ["a.safetensors"]
    assert FolderCheckpoints(folder).load("b") is None


@pytest.mark.parametrize(
    "raw", [b"", b"\xff" * 100, b"\x08\0\0\0\0\0\0\0{}      "], ids=["empty", "garbage", "no state"]
)
def test_a_file_that_cannot_be_read_means_a_training_from_the_start(
    tmp_path: Path, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.safetensors").write_bytes(raw)
    with caplog.at_level(logging.WARNING):
        assert FolderCheckpoints(tmp_path).load("a") is None
    assert "the training starts anew" in caplog.text


def test_a_folder_that_cannot_be_written_does_not_end_the_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        FolderCheckpoints(tmp_path / "file" / "inside").save("a", TENSORS, STATE)
    assert "no checkpoint can be written" in caplog.text


def test_a_disk_that_fills_up_leaves_the_checkpoint_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FolderCheckpoints(tmp_path).save("a", TENSORS, STATE)

    def full(tensors: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headrace.training.run.checkpoints.save_file", full)
    FolderCheckpoints(tmp_path).save("a", TENSORS, STATE | {"step": 8})
    kept = FolderCheckpoints(tmp_path).load("a")
    assert kept is not None
    assert kept[1] == STATE
    assert len(list(tmp_path.iterdir())) == 1


def test_trainings_that_are_over_and_trainings_long_given_up_leave_nothing(tmp_path: Path) -> None:
    checkpoints = FolderCheckpoints(tmp_path)
    checkpoints.save("mine", TENSORS, STATE)
    FolderCheckpoints(tmp_path).save("another", TENSORS, STATE)
    FolderCheckpoints(tmp_path).save("old", TENSORS, STATE)
    long_ago = time.time() - (KEPT_DAYS + 1) * 86_400
    os.utime(tmp_path / "old.safetensors", (long_ago, long_ago))
    FolderCheckpoints(tmp_path)
    checkpoints.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["another.safetensors"]
