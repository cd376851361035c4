"""A new file without what has one right answer; the one that was read, and every file that stands, stay as they are."""

import csv
import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from headrace.cli import app
from models.errors import HeadraceError

FILE = (
    "id,text,label,split\n"
    "1,<p>Where is my parcel?</p>,parcel,train\n"
    "2,where is my parcel?,parcel,test\n"
    '3,"two  blanks, and\u00a0one",other,train\n'
    "4,,other,train\n"
    "5,refund me,a,train\n"
    "6,refund me,b,train\n"
    "7,call jane@example.com,other,train\n"
    "8,too,many,fields,here\n"
    "9,as it was,other,train\n"
)


def clean(folder: Path, *options: str, content: str = FILE, name: str = "new.csv") -> Result:
    path = folder / "data.csv"
    path.write_text(content, encoding="utf-8")
    return CliRunner().invoke(app, ["data", "clean", str(path), "--output", str(folder / name), *options])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_faults_and_copies_go_and_everything_else_stays(tmp_path: Path) -> None:
    assert clean(tmp_path).exit_code == 0
    rows = rows_of(tmp_path / "new.csv")
    assert list(rows[0]) == ["id", "text", "label", "split"]
    assert [(row["id"], row["text"]) for row in rows] == [
        ("2", "where is my parcel?"),  # the one that is tested stays, so nobody trains on it
        ("3", "two blanks, and one"),
        ("5", "refund me"),  # which of two labels is right, a person must say
        ("6", "refund me"),
        ("7", "call jane@example.com"),
        ("9", "as it was"),
    ]
    assert (tmp_path / "data.csv").read_text(encoding="utf-8") == FILE


def test_what_changed_is_told_row_by_row(tmp_path: Path) -> None:
    clean(tmp_path)
    told = [(row["line"], row["what"], row["why"]) for row in rows_of(tmp_path / "new.changes.csv")]
    assert told == [
        ("2", "dropped", "copy of line 3"),
        ("4", "changed", "space"),
        ("5", "dropped", "no_text"),
        ("9", "dropped", "unreadable: 5 fields where the header has 4"),
    ]


def test_personal_data_is_masked_on_request_in_both_files(tmp_path: Path) -> None:
    clean(tmp_path, "--mask")
    for name in ("new.csv", "new.changes.csv"):
        written = (tmp_path / name).read_text()
        assert "jane@example.com" not in written and "[email]" in written


def test_copies_stay_where_they_are_wanted(tmp_path: Path) -> None:
    result = clean(tmp_path, "--keep-copies", "--json")
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["rows"] == 7 and report["dropped"] == {"unreadable": 1, "no_text": 1}
    assert report["changed"] == {"html": 1, "space": 1}


def test_a_clean_file_has_nothing_left_that_clean_would_change(tmp_path: Path) -> None:
    clean(tmp_path, "--mask")
    again = CliRunner().invoke(
        app, ["data", "clean", str(tmp_path / "new.csv"), "--output", str(tmp_path / "third.csv"), "--mask", "--json"]
    )
    report = json.loads(again.stdout)
    assert report["changed"] == {} and report["dropped"] == {}
    assert rows_of(tmp_path / "third.csv") == rows_of(tmp_path / "new.csv")


def test_json_lines_keep_their_values_and_their_kinds(tmp_path: Path) -> None:
    lines = [{"text": "a  b", "label": 1, "extra": {"x": [1, None]}}, {"text": "c", "label": 2, "more": True}]
    content = "\n".join(json.dumps(line) for line in lines)
    assert clean(tmp_path, content=content, name="new.jsonl").exit_code == 0
    written = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    assert written == [lines[0] | {"text": "a b"}, lines[1]]
    assert clean(tmp_path, content=content, name="table.csv").exit_code == 0
    assert rows_of(tmp_path / "table.csv")[0] == {"text": "a b", "label": "1", "extra": '{"x": [1, null]}', "more": ""}


@pytest.mark.parametrize("there", ["new.csv", "new.changes.csv"])
def test_no_file_is_written_over(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("somebody's")
    result = clean(tmp_path)
    assert isinstance(result.exception, HeadraceError) and "exists already" in str(result.exception)
    assert (tmp_path / there).read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["data.csv", there])


def test_the_file_itself_cannot_be_the_output(tmp_path: Path) -> None:
    result = clean(tmp_path, name="data.csv")
    assert isinstance(result.exception, HeadraceError) and (tmp_path / "data.csv").read_text(encoding="utf-8") == FILE


@pytest.mark.parametrize("name", ["new.txt", "absent/new.csv"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, name: str) -> None:
    result = clean(tmp_path, name=name)
    assert isinstance(result.exception, HeadraceError) and "\n" not in str(result.exception)


@pytest.mark.parametrize(("full_at", "name"), [(1, "new.csv"), (2, "new.changes.csv")])
def test_a_full_disk_leaves_nothing_and_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: int, name: str
) -> None:
    written = []

    def full(descriptor: int) -> None:
        written.append(descriptor)
        if len(written) == full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("headrace.tools.data.files.os.fsync", full)
    result = clean(tmp_path)
    assert isinstance(result.exception, HeadraceError)
    assert f"{name} cannot be written: No space left on device; nothing was written" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


@pytest.mark.parametrize("killed_at", [1, 2])
def test_a_kill_in_the_middle_leaves_no_half_file_and_the_next_run_works(tmp_path: Path, killed_at: int) -> None:
    (tmp_path / "data.csv").write_text(FILE, encoding="utf-8")
    killed = (
        "import os, itertools; runs = itertools.count(1)\n"
        f"os.fsync = lambda descriptor: os.kill(os.getpid(), 9) if next(runs) == {killed_at} else None\n"
        "from headrace.cli import app; app(['data', 'clean', 'data.csv', '--output', 'new.csv'])"
    )
    child = subprocess.run([sys.executable, "-c", killed], cwd=tmp_path, capture_output=True, timeout=120)
    assert child.returncode == -signal.SIGKILL, child.stderr
    assert not [path.name for path in tmp_path.iterdir() if not path.name.startswith(".") and path.name != "data.csv"]
    assert (tmp_path / "data.csv").read_text(encoding="utf-8") == FILE
    assert clean(tmp_path).exit_code == 0


def test_a_name_that_somebody_takes_meanwhile_is_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(descriptor: int) -> None:
        (tmp_path / "new.csv").write_text("somebody's")

    monkeypatch.setattr("headrace.tools.data.files.os.fsync", late)
    assert isinstance(clean(tmp_path).exception, HeadraceError)
    assert (tmp_path / "new.csv").read_text() == "somebody's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "new.csv"]


def test_new_files_are_their_owners_alone(tmp_path: Path) -> None:
    clean(tmp_path)
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("new.csv", "new.changes.csv")} == {0o600}


def test_a_file_of_which_nothing_would_be_left_is_refused(tmp_path: Path) -> None:
    result = clean(tmp_path, content="text,label\n ,a\n,b\n")
    assert isinstance(result.exception, HeadraceError) and "no row of data.csv would be left" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_file_in_another_encoding_is_refused_and_one_bad_row_among_many_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    command = ["data", "clean", str(path), "--output", str(tmp_path / "new.csv"), "--json"]
    rows = [f"row {number:x} is fine,a\n".encode() for number in range(200)]
    path.write_bytes(b"text,label\n" + b"".join(rows) + "Tür,a\nÖl,a\nMüll,a\n".encode("latin-1"))
    refused = CliRunner().invoke(app, command)
    assert isinstance(refused.exception, HeadraceError)
    assert "data.csv has bytes that are not UTF-8 in 3 rows, which would be dropped" in str(refused.exception)
    assert [file.name for file in tmp_path.iterdir()] == ["data.csv"]
    path.write_bytes(b"text,label\n" + b"".join(rows) + "Tür,a\n".encode("latin-1"))
    assert json.loads(CliRunner().invoke(app, command).stdout)["dropped"] == {"unreadable": 1}


POOL = (
    "Mensaje,Asunto,Dringlichkeit,Merkmale\n"
    "das Wasser ist kalt,Wasser,sofort,Gefahr|Hygiene\n"
    "el agua huele,Wasser,,\n"
    "nadie contesta,,sofort,Gefahr\n"
    "das Wasser ist kalt,Wasser,sofort,Hygiene | Gefahr\n"
    "das Licht geht nicht,Technik,sofort,\n"
    "das Licht geht nicht,Technik,kann warten,\n"
    ",Technik,sofort,Hygiene\n"
)
HEADS = "".join(
    f'[[heads]]\nname = "{column.lower()}"\ncolumn = "{column}"\n' for column in ("Asunto", "Dringlichkeit", "Merkmale")
)
POOL_FILE = f'name = "pool"\ntopic = "pool.texts"\ntext_column = "Mensaje"\n{HEADS}multi = true\n'


@pytest.mark.parametrize("column", [(), ("--label-column", "Dringlichkeit"), ("--label-column", "merkmale")])
def test_of_an_applications_file_no_answer_to_another_question_goes(tmp_path: Path, column: tuple[str, ...]) -> None:
    """A row is useless where it answers no question, and a copy where it answers all of them alike."""
    (tmp_path / "pool.toml").write_text(POOL_FILE, encoding="utf-8")
    result = clean(tmp_path, "--app", str(tmp_path / "pool.toml"), *column, content=POOL)
    assert result.exit_code == 0, result.exception
    assert [row["line"] for row in rows_of(tmp_path / "new.changes.csv")] == ["5", "8"]  # the copy, and no text
    assert [row["Merkmale"] for row in rows_of(tmp_path / "new.csv")] == ["Gefahr|Hygiene", "", "Gefahr", "", ""]


def test_cells_with_several_labels_are_told_where_no_application_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows of which none of the labels holds were dropped without a word."""
    clean(tmp_path, "--text-column", "Mensaje", "--label-column", "Merkmale", content=POOL)
    assert "cells of Merkmale hold several labels with | between them: give --app FILE.toml" in caplog.text
    caplog.clear()
    clean(tmp_path, "--text-column", "Mensaje", "--label-column", "Asunto", content=POOL, name="other.csv")
    assert not caplog.text
