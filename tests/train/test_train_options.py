"""`headrace train` with a strategy that tunes the encoder: options from a file, figures, and going on after a kill."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from safetensors.numpy import save_file
from small_bert import CONFIG, small_tokenizer_json, small_weights
from small_release import small_rows
from typer.testing import CliRunner

from headrace.cli import app as cli
from headrace.training.run.checkpoints import FolderCheckpoints

pytestmark = pytest.mark.train
KILLS_ITSELF = """
import os, signal, sys
from headrace.cli import app
from headrace.training.run.checkpoints import FolderCheckpoints

save = FolderCheckpoints.save

def saved_and_killed(*arguments):
    save(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)

FolderCheckpoints.save = saved_and_killed
app(sys.argv[1:])
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an encoder, labelled texts and a home; settings point there."""
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    (encoder / "config.json").write_text(json.dumps(CONFIG))
    (encoder / "tokenizer.json").write_text(small_tokenizer_json())
    save_file(dict(small_weights()), encoder / "model.safetensors")
    lines = [
        {"text": f"{row.text} {copy}", "intent": row.labels["intent"], "urgency": row.labels.get("urgency", "low")}
        for copy in "abc"
        for row in small_rows()
    ]
    (tmp_path / "tickets.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    settings = {"ENCODER": encoder, "HOME": tmp_path / "home", "CACHE": tmp_path / "cache", "THREADS": 1}
    for name, value in settings.items():
        monkeypatch.setenv(f"HEADRACE_{name}", str(value))
    monkeypatch.setenv("HEADRACE_REGISTRY", str(tmp_path / "registry"))
    return tmp_path


def order(world: Path, options: str) -> list[str]:
    (world / "plan.toml").write_text(options)
    data, plan = str(world / "tickets.jsonl"), str(world / "plan.toml")
    return ["train", "support", "--data", data, "--strategy", "full", "--config", plan]


def checkpoints(world: Path) -> list[Path]:
    return list((world / "home" / "trainings").glob("*.safetensors"))


def figures(board: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(board))
    events.Reload()
    return events


def test_options_stand_in_a_file_and_figures_are_written_for_tensorboard(world: Path) -> None:
    board = world / "board"
    options = "[full]\nsteps = 6\nevaluations = 2\nbatch_texts = 16\n"
    done = CliRunner().invoke(cli, [*order(world, options), "--tensorboard", str(board), "--json"])
    assert done.exit_code == 0, done.output
    assert orjson.loads(done.stdout.splitlines()[-1])["strategy"] == "full"
    events = figures(board)
    assert [event.step for event in events.Scalars("tuning/accuracy")] == [3, 6]
    assert [event.step for event in events.Scalars("loss/labels")] == [1, 2, 3, 4, 5, 6]
    assert checkpoints(world) == [], "a training that is over leaves none"


class CutOff(BaseException):
    """What ends a training here in the place of a kill."""


@pytest.mark.parametrize("strategy", ["full", "fewshot", "lora"])
def test_a_killed_training_goes_on_where_it_was_when_it_is_asked_for_again(
    strategy: str, world: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is cut off as it has kept its first checkpoint; one of them by a kill, which is a process of its own."""
    arguments = order(world, "[full]\nsteps = 40\nevaluations = 10\nbatch_texts = 16\n")
    if strategy == "full":
        ended = subprocess.run([sys.executable, "-c", KILLS_ITSELF, *arguments], capture_output=True, text=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    else:
        arguments = [*arguments[:4], "--strategy", strategy, "--epochs", "3"]
        with monkeypatch.context() as cut, pytest.raises(CutOff):
            cut.setattr(FolderCheckpoints, "save", saved_and_cut_off)
            CliRunner().invoke(cli, arguments)
    (kept,) = checkpoints(world)
    with caplog.at_level("INFO", logger="headrace.training.run.checkpoints"):
        done = CliRunner().invoke(cli, [*arguments, "--tensorboard", str(world / "board"), "--json"])
    assert done.exit_code == 0, done.output
    assert f"going on from {kept}" in caplog.text
    assert not kept.exists(), "a training that is over leaves none"
    assert figures(world / "board").Scalars("tuning/loss"), "and its figures are written"


def saved_and_cut_off(kept: FolderCheckpoints, *saved: Any, save: Any = FolderCheckpoints.save) -> None:
    save(kept, *saved)
    raise CutOff


def test_the_quick_strategy_has_no_figures(world: Path) -> None:
    data = str(world / "tickets.jsonl")
    done = CliRunner().invoke(cli, ["train", "support", "--data", data, "--tensorboard", str(world / "board")])
    assert done.exit_code == 1
    assert "it goes with a --strategy that tunes one" in str(done.exception)
    assert not (world / "board").exists()
