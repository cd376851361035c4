"""What a person reads on a terminal is text, whatever stands in it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.sqlite_store import SQLiteStore
from headrace import cli
from headrace.cli import app

ROOT = Path(__file__).parents[2]
IDENTITY = "support.chats@1a2b3c4d-0-{}"


def decision(number: int, text: str, label: str = "refund") -> dict[str, object]:
    return {
        "id": IDENTITY.format(number),
        "app": "support",
        "at": "2026-11-24T10:00:00.000Z",
        "text": text,
        "labels": {"intent": {"label": label, "probability": 0.913, "oos_score": 0.1, "rejected": True}},
        "action": "queue:people",
    }


def filled(folder: Path, *texts: str) -> Path:
    """A home whose store holds these texts, each with the word `refund` before it."""
    store = SQLiteStore(folder / "decisions.db")
    store.prepare({"support": ["intent"]})
    store.index([decision(number, f"refund {text}") for number, text in enumerate(texts)])
    store.close()
    return folder


def searched(folder: Path, monkeypatch: pytest.MonkeyPatch, *texts: str, columns: int = 200) -> str:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HEADRACE_HOME", str(filled(folder, *texts)))
    done = CliRunner().invoke(app, ["search", "refund"], catch_exceptions=False, env={"COLUMNS": str(columns)})
    assert done.exit_code == 0, done.output
    return done.stdout


def asked(query: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """Texts that `search` finds, and what it says beside them."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HEADRACE_HOME", str(filled(folder, "now", "card AND fee", "😡 please")))
    done = CliRunner().invoke(app, ["search", query, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return [json.loads(line)["text"] for line in done.stdout.splitlines()], done.stderr


@pytest.mark.parametrize(
    ("query", "matches", "says"),
    [
        pytest.param("", 3, "", id="nothing"),
        pytest.param("*", 3, "", id="star"),
        pytest.param("refund", 3, "", id="a word"),
        pytest.param("😡", 0, "there is no word in '😡'", id="emoji alone"),
        pytest.param("please 😡", 1, "not looked for: 😡", id="emoji beside a word"),
        pytest.param("card AND fee", 1, "AND is looked for as a word", id="an operator"),
        pytest.param("now OR fee", 0, "OR is looked for as a word", id="another"),
    ],
)
def test_a_question_that_is_taken_otherwise_than_meant_is_told(
    query: str, matches: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-67: an emoji found nothing, silently. F-69: AND and OR were taken as words, silently. N-6: `*` found nothing
    and `""` all, undocumented."""
    texts, said = asked(query, tmp_path, monkeypatch)
    assert len(texts) == matches
    assert said.startswith(says) and bool(said) == bool(says)


def test_decisions_of_a_story_or_an_entity_are_found_without_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"id": "brw", "name": "Brackwater Mills", "sentiment": "neutral", "probability": 0.8, "span": [0, 6]}]
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"support": ["intent"]}, ["support"])
    store.index([decision(number, f"refund {number}") | ({"entities": said} if number else {}) for number in range(3)])
    told = [decision(number, "") for number in (0, 2)]
    store.tell([{name: one[name] for name in ("id", "app", "at")} | {"story_id": "s1", "novelty": 0} for one in told])
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))

    def found(*options: str) -> list[str]:
        done = CliRunner().invoke(app, ["search", *options, "--json"], catch_exceptions=False)
        return sorted(json.loads(line)["text"] for line in done.stdout.splitlines())

    assert found("--story", "s1") == found("--app", "support", "--story", "s1") == ["refund 0", "refund 2"]
    assert found("--entity", "Brackwater Mills") == ["refund 1", "refund 2"]
    assert found("1", "--entity", "brw") == ["refund 1"] and found("--story", "s2") == []


def headrace(
    home: Path, *arguments: str, stdout: int = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    return subprocess.run(
        [sys.executable, "-m", "headrace.cli", *arguments],
        env={
            **environment,
            "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
            "HEADRACE_HOME": str(home),
            **variables,
        },
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=home,
        timeout=60,
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("I see [/INST] in the chat", id="a closing tag"),
        pytest.param("[error] cannot pay", id="an opening tag"),
        pytest.param("[name redacted] wrote", id="a redaction"),
        pytest.param("well :smile: done", id="an emoji code"),
        pytest.param("[link=https://x.example]click[/link]", id="a link"),
    ],
)
def test_brackets_and_emoji_codes_are_text(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-62, F-63, D-A5: `search` ended in a MarkupError, left parts of the text out and put emoji in."""
    assert text in searched(tmp_path, monkeypatch, text)


def test_what_a_terminal_obeys_is_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-64, D-A5: escape sequences and C1 controls of a text went to the terminal raw."""
    shown = searched(tmp_path, monkeypatch, "\x1b[31mred", "\x9b31m", "to\u202eright", "two\nlines")
    assert not any(character in shown for character in "\x1b\x9b\u202e")
    assert "\\x1b[31mred" in shown and "\\x9b31m" in shown and "to\\u202eright" in shown and "two\\nlines" in shown


def test_search_shows_queue_rejection_and_id_at_80_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N-6: queue, rejected and id stood in the JSON only."""
    shown = searched(tmp_path, monkeypatch, "please", columns=80)
    assert all(part in shown for part in ("queue:people", "(rejected)", "refund 0.91", IDENTITY.format(0)))
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_an_encoding_without_a_character_gets_a_question_mark(tmp_path: Path) -> None:
    """F-71: `search` on a Latin-1 terminal ended in a UnicodeEncodeError."""
    done = headrace(filled(tmp_path, "I am 😡"), "search", "refund", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"refund I am ?" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [("search", "refund"), ("search", "refund", "--json"), ("--version",)])
def test_a_full_disk_under_stdout_is_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """F-72: a traceback."""
    with open("/dev/full", "wb") as full:
        done = headrace(filled(tmp_path, "it"), *arguments, stdout=full.fileno())
    assert done.returncode == 1
    assert done.stderr.decode() == "headrace: No space left on device\n"


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = headrace(filled(tmp_path, "it"), "search", "refund", stdout=writing)
    os.close(writing)
    assert done.stderr == b""


def test_an_error_is_one_line_whatever_stands_in_it(tmp_path: Path) -> None:
    """A file's name or a record's header in an error must not begin a second line, nor steer the terminal."""
    done = headrace(tmp_path, "load", "a\nheadrace: all is well\x1b[2J.csv", "--topic", "x")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr


@pytest.mark.parametrize("kind", ["a file", "a folder that cannot be made"])
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("services", "start"), id="services start"),
        pytest.param(("services", "status"), id="services status"),
        pytest.param(("up", "support"), id="up on the embedded broker"),
        pytest.param(("search", "x"), id="search"),
        pytest.param(("models", "list"), id="models list"),
        pytest.param(("train", "support", "--data", "x.csv", "--output", "/proc/x/y"), id="train into /proc"),
    ],
)
def test_a_home_that_cannot_be_written_is_one_line(
    command: tuple[str, ...],
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """F-87: `services start`, `services status`, `up` on the embedded broker and `train --output /proc/x/y` ended in an
    OSError's traceback."""
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "file") if kind == "a file" else "/proc/headrace")
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    monkeypatch.setattr(sys, "argv", ["headrace", *command])
    monkeypatch.setattr(cli, "silence_stdout", lambda: None)
    code = cli._run()
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("headrace: ")]
    assert (code, len(said)) in ((0, 0), (1, 1))


def test_json_stays_json_whatever_the_terminal_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-89: NO_COLOR and FORCE_COLOR do not reach what --json prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(filled(tmp_path, "it [/b] \x1b[31m")))
    for variable in ("FORCE_COLOR", "NO_COLOR"):
        done = CliRunner().invoke(app, ["search", "refund", "--json"], env={variable: "1"}, catch_exceptions=False)
        assert json.loads(done.stdout)["text"] == "refund it [/b] \x1b[31m"


def test_an_interrupted_command_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """F-85."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("headrace.wiring.Wiring.store", interrupted)
    monkeypatch.setattr(sys, "argv", ["headrace", "search", "x"])
    assert cli._run() == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_customers_word_in_the_demos_story_is_text() -> None:
    """D-A5: what happens in the demo names words of the texts, and a progress line what a program said."""
    from rich.console import Console

    from headrace.demo.ledger import Ledger
    from headrace.demo.view import View

    ledger = Ledger([])
    ledger.tell("drift: \x1b[31m [/b] 100 %")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(View(ledger))
    shown = console.export_text()
    assert "drift: \\x1b[31m [/b] 100 %" in shown
