"""A field of one's own by files alone: the worked examples are in order, and each command of the guide works."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from harness import ENCODER_CACHE, Headrace
from markdown_shell import Shell, commands
from typer.testing import CliRunner

from headrace.applications import load_application
from headrace.cli import app as cli
from headrace.tools.apps import checking
from headrace.training.from_file import train
from headrace.wiring import Wiring
from retrain.job import TrainedRelease
from streams.application import Application

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {"triage": "triage.toml", "course_feedback": "courses.toml", "city_reports": "city.toml"}


@pytest.fixture
def trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings point to a folder; what two checks of one file train alike is trained by the first."""
    for name, value in {"HOME": tmp_path, "BROKER": "embedded", "CACHE": ENCODER_CACHE}.items():
        monkeypatch.setenv(f"HEADRACE_{name}", str(value))
    releases: dict[str, TrainedRelease] = {}

    def once(wiring: Wiring, registry: Any, app: Application, *order: Any) -> TrainedRelease:
        if app.name not in releases:
            releases[app.name] = train(wiring, registry, app, *order)
        return releases[app.name]

    monkeypatch.setattr(checking, "train", once)


@pytest.mark.usefixtures("trained_once")
@pytest.mark.parametrize(("folder", "file"), EXAMPLES.items(), ids=EXAMPLES)
def test_a_worked_example_is_in_order(tmp_path: Path, folder: str, file: str) -> None:
    """Its own examples, then ten records of its topic."""
    shutil.copytree(DOCS / "examples" / folder, tmp_path / folder)
    if (encoder := load_application(str(tmp_path / folder / file)).encoder) == "zh":
        added = Headrace(tmp_path).run("encoders", "add", encoder)  # a clean machine has not fetched it yet
        assert added.returncode == 0, added.stderr
    for arguments in ((), ("--records", str(tmp_path / folder / "records.jsonl"))):
        done = CliRunner().invoke(cli, ["apps", "check", str(tmp_path / folder / file), *arguments, "--json"])
        proof = json.loads(done.stdout)
        assert proof["in_order"] and not proof["problems"], proof["problems"]
        assert len(proof["records"]) == 10 and all(record["labels"] for record in proof["records"])
        queues = load_application(str(tmp_path / folder / file)).queues
        assert proof["trained"][proof["heads"][0]] > 2 / len(queues), "no better than a guess"
    if folder == "triage":
        assert any(record["rejected"] for record in proof["records"]), "the target error leaves some to people"


@pytest.mark.kafka
def test_every_command_of_the_guide_works_as_it_stands(tmp_path: Path, kafka: str) -> None:
    services = {"HEADRACE_BROKER": kafka, "HEADRACE_STORE": f"sqlite:///{tmp_path}/decisions.db"}
    shell = Shell(tmp_path, {"HEADRACE_CACHE": str(ENCODER_CACHE)}, services)
    for command in commands((DOCS / "your_own_field.md").read_text(encoding="utf-8")):
        if command.startswith("headrace search"):
            shell.wait_for_decisions("library", 30)
        shell.run(command)
    searched = next(printed for command, printed in shell.printed.items() if command.startswith("headrace search"))
    assert "lift" in searched.casefold()
