"""What Headrace advises works when it is typed."""

import sys
from pathlib import Path
from typing import Any

import pytest
from small_release import small_release
from typer.testing import CliRunner

import headrace.tools.training as training_tool
from headrace import terminal
from headrace.applications import load_application
from headrace.cli import app as cli
from headrace.settings import load_settings
from headrace.training.first_release import champion_or_first
from headrace.wiring import Wiring
from models.errors import ConfigError, TrainingDataError
from retrain.data import Row, split_rows
from retrain.job import train_release

FILE = 'name = "tickets"\ntopic = "crm.tickets"\n[[heads]]\nname = "intent"\ncolumn = "label"\n'


@pytest.fixture
def tickets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of an application, as a user gives it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    (tmp_path / "mine.toml").write_text(FILE)
    return "./mine.toml"


def test_the_advice_after_a_training_names_the_application_as_it_was_given(
    tickets: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-79, N-8: "the next `headrace up tickets` serves it", and there was no application 'tickets'."""
    told = {"version": "1", "rejected_rows": [], "not_trained": {}, "promoted": True}
    trained = small_release()
    report: dict[str, Any] = trained.report | told
    monkeypatch.setattr(training_tool, "train", lambda *_: trained)
    monkeypatch.setattr(training_tool, "register_release", lambda *_, **__: report)
    done = CliRunner().invoke(cli, ["train", tickets, "--data", "x.csv", "--register"], catch_exceptions=False)
    assert "`headrace up ./mine.toml`" in done.stdout


def test_without_model_and_corpus_the_advice_names_the_file(tickets: str) -> None:
    """N-8: "run `headrace train APP`", "`headrace up` trains one from the corpus" where there was none."""
    wiring = Wiring(load_settings())
    with pytest.raises(ConfigError, match=r"`headrace train \./mine\.toml --data FILE --register`"):
        champion_or_first(wiring, wiring.registry(), load_application(tickets))


def test_a_command_that_is_not_on_the_path_is_advised_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """N-8: hints said `headrace` where that was not on the PATH."""
    monkeypatch.setattr(sys, "argv", [".venv/bin/headrace", "up"])
    monkeypatch.setattr(terminal.shutil, "which", lambda _: None)
    assert (
        terminal.one_line("start one with `headrace services start`")
        == "start one with `.venv/bin/headrace services start`"
    )
    terminal.say("run `headrace up`")
    assert capsys.readouterr().out == "run `.venv/bin/headrace up`\n"
    monkeypatch.setattr(terminal.shutil, "which", lambda _: "/usr/bin/headrace")
    assert terminal.one_line("`headrace up`") == "`headrace up`"


def test_too_few_different_texts_are_said_to_be_the_reason() -> None:
    """F-54: 100 rows of two texts: "give the data a split column with test rows, or more texts"."""
    rows = [Row(text, {"intent": text[0]}) for text in ("a text", "b text") for _ in range(50)]
    with pytest.raises(TrainingDataError, match="100 rows hold 2 different texts"):
        train_release("tickets", split_rows(rows, ("intent",)), None)  # type: ignore[arg-type]  # refused before
