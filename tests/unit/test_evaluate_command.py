"""`headrace evaluate` and `headrace models show` as a person sees them."""

import json
from pathlib import Path

import pytest
from small_release import small_release
from typer.testing import CliRunner

from connectors.registry import FolderRegistry
from headrace.cli import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with one small release."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    release = small_release()
    FolderRegistry(str(tmp_path / "registry")).publish("support", release.manifest, release.blobs)
    FolderRegistry(str(tmp_path / "registry")).promote("support", "1")
    return tmp_path


def test_evaluate_counts_the_texts_of_each_label_whatever_a_label_is_called(home: Path) -> None:
    """F-56: a label "[/b]" ended `evaluate` in a MarkupError. F-57, N-9: its column "texts" was always empty."""
    (home / "data.csv").write_text("text,label\nrefund please,refund\nrefund now,refund\nwhat fee,[/b]\n")
    done = CliRunner().invoke(app, ["evaluate", "support", "--data", "data.csv"], catch_exceptions=False)
    assert done.exit_code == 0
    rows = {
        cells[1].strip(): cells[2].strip() for line in done.stdout.splitlines() if len(cells := line.split("│")) > 3
    }
    assert rows == {"refund": "2", "[/b]": "1"}


def test_evaluate_says_how_known_out_of_scope_texts_are_told_apart(home: Path) -> None:
    """It stood in the JSON alone."""
    (home / "data.csv").write_text("text,label\nrefund please,refund\nwhat fee,fee\nshares fell,oos\n")
    words = ["evaluate", "support", "--data", "data.csv", "--oos-label", "oos"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0 and "out of scope: AUROC" in done.stdout
    without = CliRunner().invoke(app, words[:4], catch_exceptions=False)
    assert "out of scope" not in without.stdout


def test_a_release_is_shown_on_lines_that_a_person_can_read(home: Path) -> None:
    """N-9: `models show` was one endless line of JSON."""
    done = CliRunner().invoke(app, ["models", "show", "support"], catch_exceptions=False)
    lines = done.stdout.splitlines()
    assert lines[0] == "support@1: quick" and 8 < len(lines) < 40 and max(map(len, lines)) <= 80
    assert any(line.split()[:2] == ["intent", "delivery,"] for line in lines)
    assert any("accuracy 1.0000" in line for line in lines)
    manifest = json.loads(CliRunner().invoke(app, ["models", "show", "support", "--json"]).stdout)
    assert manifest["model"] == "support" and "golden" not in manifest
