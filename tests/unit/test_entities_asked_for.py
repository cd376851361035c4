"""Whoever asks for an entity names it as he knows it: by its id, an alias, a ticker, in any case."""

from pathlib import Path

import pytest
from test_trends import APP, decision
from typer.testing import CliRunner

from connectors.sqlite_store import SQLiteStore
from headrace.cli import app as cli
from headrace.tools.digest.reading import entity_meant
from models.errors import ConfigError
from streams.application import Application
from streams.application.source import Entities

NAMES = "id,name,aliases,tickers\nbrack,Brackwater Mills,Brackwater|Mühle Brack,BRKW\nalder,Alder,,ALD\n"


@pytest.fixture
def desk(tmp_path: Path) -> Application:
    (tmp_path / "names.csv").write_text(NAMES, encoding="utf-8")
    table = Entities(names=tmp_path / "names.csv", corpus=tmp_path / "judged.csv")
    return APP.model_copy(update={"entities": table})


@pytest.mark.parametrize("asked", ["brack", "Brackwater Mills", "BRACKWATER MILLS", " mühle brack", "BRKW", "brkw"])
def test_an_entity_is_found_by_what_it_is_known_as(desk: Application, asked: str) -> None:
    assert entity_meant(desk, asked) == "Brackwater Mills"


def test_what_the_list_does_not_hold_stays_and_nothing_asked_is_nothing(desk: Application) -> None:
    assert entity_meant(desk, "Brakwater") == "Brakwater"  # stored decisions may know it
    assert entity_meant(desk, None) is None


def test_an_application_without_entities_says_so() -> None:
    with pytest.raises(ConfigError, match=r"looks for no entities: its file has no table \[entities\]"):
        entity_meant(APP, "Alder")


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An application's file, beside a store that holds one of its decisions."""
    (tmp_path / "names.csv").write_text(NAMES, encoding="utf-8")
    file = tmp_path / "desk.toml"
    file.write_text(
        'name = "finance"\ntopic = "news"\n[entities]\nnames = "names.csv"\ncorpus = "judged.csv"\n'
        '[[heads]]\nname = "topic"\ncolumn = "t"\n[[heads]]\nname = "sentiment"\ncolumn = "s"\n',
        encoding="utf-8",
    )
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"finance": APP.head_names}, ["finance"])
    said = {"id": "brack", "name": "Brackwater Mills", "span": [0, 5], "sentiment": "negative", "probability": 0.9}
    one = decision(1, "10:10", entities=[said])
    store.index([one])
    store.tell([{"id": one["id"], "app": "finance", "at": one["at"], "story_id": one["id"], "novelty": 1}])
    store.close()
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_STORE", f"sqlite:///{tmp_path / 'decisions.db'}")
    return file


def test_trends_tell_of_an_entity_by_its_ticker_and_what_may_be_meant_where_nothing_is_told(stored: Path) -> None:
    day = ["--since", "2026-11-24", "--until", "2026-11-25"]
    found = CliRunner().invoke(cli, ["trends", str(stored), "--entity", "brkw", *day])
    assert found.exit_code == 0 and "1, 1" in found.stdout
    lost = CliRunner().invoke(cli, ["trends", str(stored), "--entity", "Brakwater Mills", *day])
    assert "the list of names does not hold it; did you mean 'Brackwater Mills'?" in lost.stdout


def test_a_search_of_an_application_without_decisions_says_so(stored: Path) -> None:
    assert "the store holds no decision of desk" in CliRunner().invoke(cli, ["search", "--app", "desk"]).stderr
    nothing = CliRunner().invoke(cli, ["search", "nowhere", "--app", "finance"])
    assert "0 decisions" in nothing.stdout and not nothing.stderr
