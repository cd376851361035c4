"""The README's five minutes, run as they stand: a shell session read out of the Markdown.

A reader's first commands broke each other: the application read nested records while `load` sent flat ones, so all
became dead letters without a word (N-1).
"""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import ENCODER_CACHE, Headrace, Running
from real_services import services_cache, wait_until

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "support.csv"
SECTION = README.partition("## Your own topic in five minutes")[2].partition("\n## ")[0]
ROWS_PER_LABEL, SENT = 25, 60


def blocks(language: str) -> list[str]:
    """The code blocks of the section, without their indentation."""
    blocks = re.findall(rf"^( *)```{language}\n(.*?)^ *```", SECTION, re.M | re.S)
    return ["\n".join(line.removeprefix(indent) for line in body.splitlines()) for indent, body in blocks]


def commands() -> list[str]:
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines() if line[:2] == "$ "]


@dataclass
class Shell:
    """Runs the section's commands one after the other in a folder, as a person in a terminal would."""

    folder: Path
    variables: dict[str, str]
    running: list[Running] = field(default_factory=list)
    printed: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> None:
        """Run to the end; `headrace up` goes on in a terminal of its own once it is ready."""
        if command.startswith("export "):
            self._export(command)
        elif command.startswith("headrace up "):
            up = Headrace(self.folder, extra=self.variables).start(*shlex.split(command)[1:])
            self.running.append(up)
            wait_until(lambda: "ready after" in up.text(), 180, "ready")
        else:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.folder,
                env=self._environment(),
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            self.printed[command] = done.stdout

    def _export(self, command: str) -> None:
        """With the addresses that `services start` printed, where the usual ports were taken."""
        shown = "".join(self.printed.values())
        for name, value in (word.split("=", 1) for word in shlex.split(command)[1:]):
            given = re.search(rf"export {name}=(\S+)", shown)
            self.variables[name] = given[1] if given else value

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
        return kept | self.variables | {"PATH": path, "HEADRACE_HOME": str(self.folder)}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder with the reader's two files and with what the section tells to write."""
    with CORPUS.open(encoding="utf-8", newline="") as lines:
        rows = [{"text": row["text"], "label": row["intent"]} for row in csv.DictReader(lines)]
    few = [row for label in sorted({row["label"] for row in rows}) for row in of_label(rows, label)[:ROWS_PER_LABEL]]
    refunds = of_label(rows, "refund_status")
    write(tmp_path / "tickets.csv", few)
    write(tmp_path / "more_tickets.csv", (refunds[-10:] + rows)[:SENT])
    for block in blocks("toml"):
        name = block.partition("\n")[0].removeprefix("# ")
        (tmp_path / name).write_text(block, encoding="utf-8")
    cache = {"HEADRACE_CACHE": str(ENCODER_CACHE)}
    opened = Shell(tmp_path, cache)
    (ENCODER_CACHE / "services").parent.mkdir(parents=True, exist_ok=True)
    if not (ENCODER_CACHE / "services").exists():
        (ENCODER_CACHE / "services").symlink_to(services_cache())
    yield opened
    for process in opened.running:
        process.process.kill()
    subprocess.run(["bash", "-c", "headrace services stop"], env=opened._environment(), check=False)


def of_label(rows: list[dict[str, str]], label: str) -> list[dict[str, str]]:
    return [row for row in rows if row["label"] == label]


def write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.kafka
@pytest.mark.elasticsearch
def test_the_commands_of_the_first_five_minutes_work_as_they_stand(shell: Shell) -> None:
    for command in commands():
        if command.startswith("headrace search"):
            wait_for_decisions(shell)
        shell.run(command)
    answer = next(printed for command, printed in shell.printed.items() if command.startswith("headrace search"))
    assert "refund" in answer
    shown = next(printed for command, printed in shell.printed.items() if command.startswith("headrace show"))
    assert "crm.tickets@" in shown and "tickets@1" in shown
    assert letters(shell) == 0


def wait_for_decisions(shell: Shell) -> None:
    home = Headrace(shell.folder, extra=shell.variables)

    def stored() -> bool:
        lines = home.run("search", "", "--app", "tickets", "--limit", "1000", "--json").stdout.splitlines()
        return len(lines) >= SENT

    wait_until(stored, 60, f"{SENT} decisions in the store")


def letters(shell: Shell) -> int:
    listed = Headrace(shell.folder, extra=shell.variables).run("deadletters", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return sum(1 for line in listed.stdout.splitlines() if "offset" in json.loads(line))
