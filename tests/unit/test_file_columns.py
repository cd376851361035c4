"""What columns of labelled files are called: said once, in the application's file, and known where a release goes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from small_release import small_dataset, small_encoder
from typer.testing import CliRunner

from headrace.applications import load_application
from headrace.cli import app as cli
from headrace.tools.evaluating import loading
from headrace.tools.record_shapes import RecordShape
from models.errors import TrainingDataError
from retrain import training_data
from retrain.file_columns import FileColumns

KNOWN = FileColumns({"kind": "Kategorie", "weight": "Schwere"}, "Meldung", "Betreff")
FILE = """name = "plant"
topic = "plant.reports"
corpus = "reports.csv"
text_column = "Meldung"

[[heads]]
name = "kind"
column = "Kategorie"

[[heads]]
name = "weight"
column = "Schwere"

[source]
text = "/was/geschah"
"""


@pytest.fixture(autouse=True)
def a_plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    monkeypatch.setattr("headrace.training.from_file.default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr("headrace.training.from_file.source_of_encoder", lambda wiring: {"name": "small"})
    Path("plant.toml").write_text(FILE, "utf-8")
    rows = small_dataset().rows
    lines = [
        f"{row.text};{row.labels['intent']};{row.labels['intent'][:1]}{number % 2}" for number, row in enumerate(rows)
    ]
    Path("reports.csv").write_text("\n".join(["Meldung;Kategorie;Schwere", *lines]) + "\n", "utf-8")


def run(*words: str) -> Result:
    done = CliRunner().invoke(cli, list(words), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def trained(*more: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(run("train", "plant.toml", "--register", "--json", *more).stdout)
    return report


def test_a_file_has_its_own_names_else_the_usual_ones_else_the_missing_one_is_named() -> None:
    own = KNOWN.in_file(["Betreff", "Meldung", "Kategorie", "Schwere"])
    assert own == KNOWN
    usual = KNOWN.in_file(["text", "label"])
    assert usual == FileColumns({"kind": "label"}, "text", None)
    heads = ["text", "kind", "weight"]
    assert KNOWN.in_file(heads, by_head=True).labels == {"kind": "kind", "weight": "weight"}
    assert KNOWN.in_file(heads).labels == {"kind": "Kategorie"}, "a slip in the application's file is told"
    assert KNOWN.in_file(["Meldung", "label", "Schwere"]).labels == {"kind": "label", "weight": "Schwere"}
    assert KNOWN.in_file(["a", "b"]) == FileColumns({"kind": "Kategorie"}, "Meldung", None), "as it should be called"
    asked = KNOWN.in_file(["Meldung", "Kategorie", "x", "y", "z"], text="x", title="y", label="z")
    assert asked == FileColumns({"kind": "z"}, "x", "y")


def test_a_release_and_its_training_data_say_what_the_columns_were_called() -> None:
    described = {"heads": [{"name": "kind"}, {"name": "weight"}], "training": {"columns": KNOWN.as_json()}}
    assert FileColumns.of_release(described) == KNOWN
    older = {"heads": described["heads"], "training": {}}
    assert FileColumns.of_release(older) == FileColumns({"kind": "kind", "weight": "weight"})
    dataset = replace(small_dataset(), columns=KNOWN)
    assert training_data.from_bytes(training_data.to_bytes(dataset)).columns == KNOWN, "a retraining goes on with them"
    assert training_data.from_bytes(training_data.to_bytes(small_dataset())).columns is None


def test_an_application_trains_from_its_corpus_whatever_its_columns_are_called() -> None:
    assert json.loads(run("classify", "plant.toml", "where is my parcel").stdout)["labels"].keys() == {"kind", "weight"}


def test_what_trained_a_release_is_scored_and_compared_without_naming_its_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = Path("reports.csv").read_text("utf-8").splitlines()
    Path("half.csv").write_text("\n".join(rows[:1] + rows[1::2]) + "\n", "utf-8")
    report = trained("--data", "half.csv")
    assert report["not_trained"] == {} and set(report["heads"]) == {"kind", "weight"}
    monkeypatch.setattr(loading, "load_release", lambda *_, **__: _loaded(report))
    scored = json.loads(run("evaluate", "plant", "--data", "reports.csv", "--json").stdout)
    assert set(scored["heads"]) == {"kind", "weight"}
    again = trained("--data", "half.csv", "--label-column", "Schwere")
    assert again["not_trained"] == {"weight": "--label-column names the first head's labels alone"}


def _loaded(report: dict[str, Any]) -> Any:
    from headrace.settings import load_settings
    from headrace.wiring import Wiring
    from models.bundle import unpack

    registry = Wiring(load_settings()).registry()
    manifest = registry.manifest(report["model"], report["version"])
    return unpack(manifest, registry.blobs_of(manifest), encoder=small_encoder())


def test_a_question_that_the_file_does_not_answer_is_told() -> None:
    lines = [line.rpartition(";")[0] for line in Path("reports.csv").read_text("utf-8").splitlines()]
    Path("half.csv").write_text("\n".join(lines) + "\n", "utf-8")
    told = run("train", "plant.toml", "--data", "half.csv").stdout
    assert "weight is not learnt: half.csv has no column 'Schwere'" in told


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("Bericht;Kategorie", "no column 'Meldung'; its columns are: Bericht, Kategorie; --text-column names another"),
        ("Meldung;Art", "no column 'Kategorie'; its columns are: Meldung, Art; --label-column names another for the"),
    ],
)
def test_a_missing_column_is_told_as_the_application_calls_it_with_the_way_out(header: str, says: str) -> None:
    Path("other.csv").write_text(f"{header}\na;b\n", "utf-8")
    with pytest.raises(TrainingDataError, match=says):
        CliRunner().invoke(cli, ["train", "plant.toml", "--data", "other.csv"], catch_exceptions=False)


def test_rows_of_the_corpus_become_records_without_naming_its_columns() -> None:
    app = load_application("plant.toml")
    shape = RecordShape(app, ["Meldung", "Kategorie"], text_column=None, key_column=None)
    record = json.loads(shape.record({"Meldung": "die Presse steht", "Kategorie": "Maschine"})[1])
    assert record == {"Kategorie": "Maschine", "was": {"geschah": "die Presse steht"}}
    titled = app.model_copy(
        update={
            "title_column": "Betreff",
            "source": app.source.model_copy(update={"text": "/kopf", "body": "/rumpf"}),
        }
    )
    shape = RecordShape(titled, ["Betreff", "Meldung"], text_column=None, key_column=None)
    assert json.loads(shape.record({"Betreff": "Presse", "Meldung": "steht"})[1]) == {
        "kopf": "Presse",
        "rumpf": "steht",
    }
