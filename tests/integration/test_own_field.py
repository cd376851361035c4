"""A field of one's own by files alone: the worked examples are in order, and each command of the guide works."""

import json
import shutil
from pathlib import Path

import pytest
from harness import ENCODER_CACHE, Headrace
from markdown_shell import Shell, commands

from headrace.applications import load_application

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {"triage": "triage.toml", "course_feedback": "courses.toml", "city_reports": "city.toml"}


@pytest.mark.parametrize(("folder", "file"), EXAMPLES.items(), ids=EXAMPLES)
def test_a_worked_example_is_in_order(tmp_path: Path, folder: str, file: str) -> None:
    """Its own examples, then ten records of its topic."""
    shutil.copytree(DOCS / "examples" / folder, tmp_path / folder)
    home = Headrace(tmp_path)
    if (encoder := load_application(str(tmp_path / folder / file)).encoder) == "zh":
        added = home.run("encoders", "add", encoder)  # a clean machine has not fetched it yet
        assert added.returncode == 0, added.stderr
    for arguments in ((), ("--records", str(tmp_path / folder / "records.jsonl"))):
        done = home.run("apps", "check", str(tmp_path / folder / file), *arguments, "--json")
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
