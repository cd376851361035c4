"""The README's five minutes, run as they stand: a shell session read out of the Markdown.

A reader's first commands broke each other: the application read nested records while `load` sent flat ones, so all
became dead letters without a word (N-1).
"""

import csv
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ENCODER_CACHE, Headrace
from markdown_shell import Shell, commands, write_files
from real_services import services_cache

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
CORPUS = Path(__file__).parents[2] / "apps" / "corpora" / "support.csv"
SECTION = README.partition("## Your own topic in five minutes")[2].partition("\n## ")[0]
ROWS_PER_LABEL, SENT = 25, 60


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder with the reader's two files and with what the section tells to write."""
    with CORPUS.open(encoding="utf-8", newline="") as lines:
        rows = [{"text": row["text"], "label": row["intent"]} for row in csv.DictReader(lines)]
    few = [row for label in sorted({row["label"] for row in rows}) for row in of_label(rows, label)[:ROWS_PER_LABEL]]
    refunds = of_label(rows, "refund_status")
    write(tmp_path / "tickets.csv", few)
    write(tmp_path / "more_tickets.csv", (refunds[-10:] + rows)[:SENT])
    write_files(SECTION, tmp_path)
    cache = {"HEADRACE_CACHE": str(ENCODER_CACHE)}
    opened = Shell(tmp_path, cache)
    (ENCODER_CACHE / "services").parent.mkdir(parents=True, exist_ok=True)
    if not (ENCODER_CACHE / "services").exists():
        (ENCODER_CACHE / "services").symlink_to(services_cache())
    yield opened
    for process in opened.running:
        process.process.kill()
    subprocess.run(["bash", "-c", "headrace services stop"], env=opened.environment(), check=False)


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
    for command in commands(SECTION):
        if command.startswith("headrace search"):
            shell.wait_for_decisions("tickets", SENT)
        shell.run(command)
    answer = next(printed for command, printed in shell.printed.items() if command.startswith("headrace search"))
    assert "refund" in answer
    shown = next(printed for command, printed in shell.printed.items() if command.startswith("headrace show"))
    assert "crm.tickets@" in shown and "tickets@1" in shown
    assert letters(shell) == 0


def letters(shell: Shell) -> int:
    listed = Headrace(shell.folder, extra=shell.variables).run("deadletters", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    return sum(1 for line in listed.stdout.splitlines() if "offset" in json.loads(line))
