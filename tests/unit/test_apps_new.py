"""`headrace apps new` writes two files that work as they are, or none."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result
from small_release import small_encoder
from typer.testing import CliRunner

import headrace.tools.apps.new as new
from headrace.applications import load_application
from headrace.cli import app as cli
from headrace.tools.apps.new import Starter, write_starter
from headrace.training.from_file import TrainingRequest, read_dataset
from models.errors import ConfigError, HeadraceError
from retrain.job import train_release

HEADS = {"one": ("topic",), "known names": ("severity", "tone", "kind"), "two alike": ("urgency", "priority")}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["apps", "new", *arguments])


@pytest.mark.parametrize("heads", HEADS.values(), ids=HEADS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_files_are_read_and_train_as_they_are(
    tmp_path: Path, language: new.Language, heads: tuple[str, ...]
) -> None:
    starter = Starter("desk", tmp_path, heads, language)
    written = write_starter(starter)
    app = load_application(str(starter.application_file))
    assert (app.head_names, app.topic, app.encoder) == (heads, "desk.texts", "zh" if language == "zh" else "")
    assert app.head_names == written.head_names and app.corpus == starter.examples_file
    dataset = read_dataset(app, TrainingRequest(starter.examples_file))
    assert not dataset.rejected and len(dataset.rows) == 30
    labels = {row.labels[heads[0]] for row in dataset.rows}
    assert labels == set(app.queues) and set(app.answers) <= labels
    release = train_release("desk", dataset, small_encoder())
    assert set(release.metrics) == set(heads)


def test_what_is_commented_out_works_once_its_marks_are_taken_away(tmp_path: Path) -> None:
    starter = Starter("desk", tmp_path, ("intent", "urgency"))
    write_starter(starter)
    file = starter.application_file
    marked = ("[rejection]", "target_error", "[[surges]]", "head ", "label ", "share ", "window ", "encoder ")
    lines = [
        line.removeprefix("# ") if line.startswith(tuple(f"# {word}" for word in marked)) else line
        for line in file.read_text("utf-8").splitlines()
    ]
    file.write_text("\n".join(lines), "utf-8")
    app = load_application(str(file))
    assert app.rejection.target_error == 0.05 and app.surges[0].head == "urgency" and app.encoder == "zh"


def test_a_question_gets_the_labels_that_its_name_means(tmp_path: Path) -> None:
    starter = Starter("desk", tmp_path, ("urgency", "kind", "sentiment"))
    write_starter(starter)
    header, first = starter.examples_file.read_text("utf-8").splitlines()[:2]
    assert header == "text,urgency,kind,sentiment" and first.endswith(",normal,question,calm")


REFUSED = {
    "capital letter": (("Desk",), "cannot name an application"),
    "path": (("../desk",), "cannot name an application"),
    "empty": (("",), "cannot name an application"),
    "letters beyond a to z": (("büro",), "cannot name an application"),
    "ships": (("support",), "ships with Headrace"),
    "head": (("desk", "--heads", "Topic"), "cannot name a head"),
    "column of texts": (("desk", "--heads", "text"), "holds something else"),
    "head twice": (("desk", "--heads", "a,a"), "twice"),
    "four heads": (("desk", "--heads", "a,b,c,d"), "at most"),
    "topic": (("desk", "--topic", "a/b"), "cannot be a topic's name"),
    "no folder": (("desk", "--folder", "nowhere"), "no folder nowhere"),
}


@pytest.mark.parametrize(("arguments", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_one_line_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert isinstance(done.exception, HeadraceError)
    assert why in str(done.exception) and "\n" not in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("standing", ["desk.toml", "desk.csv"])
def test_a_file_that_stands_is_left_as_it_is_and_the_other_is_not_written(tmp_path: Path, standing: str) -> None:
    (tmp_path / standing).write_text("mine")
    done = run("desk", "--folder", str(tmp_path))
    assert isinstance(done.exception, ConfigError) and "left as it is" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == [standing]
    assert (tmp_path / standing).read_text() == "mine"


def test_a_pair_is_never_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody writes the second file between the look and the writing."""
    starter = Starter("desk", tmp_path)
    monkeypatch.setattr(new, "new_file", lambda path, option: path)
    starter.examples_file.write_text("mine")
    with pytest.raises(ConfigError, match="nothing was written"):
        write_starter(starter)
    assert [path.name for path in tmp_path.iterdir()] == ["desk.csv"]


@pytest.mark.parametrize(("language", "mark"), [("en", b""), ("zh", b"\xef\xbb\xbf")])
def test_a_spreadsheet_reads_the_examples_as_they_are(tmp_path: Path, language: new.Language, mark: bytes) -> None:
    """Without its mark UTF-8 is shown as another encoding there."""
    write_starter(Starter("desk", tmp_path, language=language))
    assert (tmp_path / "desk.csv").read_bytes().startswith(mark + b"text,topic\n")


def test_json_says_where_the_files_are(tmp_path: Path) -> None:
    done = run("desk", "--folder", str(tmp_path), "--heads", "intent, urgency", "--topic", "town.letters", "--json")
    assert json.loads(done.stdout) == {
        "application": str(tmp_path / "desk.toml"),
        "examples": str(tmp_path / "desk.csv"),
        "name": "desk",
        "topic": "town.letters",
        "heads": ["intent", "urgency"],
    }


SHEET = (
    "Nr.;Mensaje;Asunto;Größe;Merkmale\n"
    'Q-1;"el agua huele\nmucho";Umkleide "A";klein;Gefahr|Hygiene\n'
    'Q-2;das Wasser ist kalt;Öffnungszeiten;groß;Hygiene\nQ-3;nadie contesta;Umkleide "A";klein;Gefahr\nQ-4;hola;;;\n'
)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_sheet_of_ones_own_is_described_as_it_stands(tmp_path: Path, language: new.Language) -> None:
    """It had to be copied into the examples' place, or each column, label and set to be written down by hand."""
    sheet = tmp_path / "data" / "pool.csv"
    sheet.parent.mkdir()
    sheet.write_text(SHEET, "utf-8-sig")
    (tmp_path / "apps").mkdir()
    starter = Starter("pool", tmp_path / "apps", ("Asunto", "Größe", "Merkmale"), language, sheet=sheet, text=None)
    write_starter(starter)
    assert [path.name for path in (tmp_path / "apps").iterdir()] == ["pool.toml"]
    assert sheet.read_text("utf-8-sig") == SHEET
    app = load_application(str(tmp_path / "apps" / "pool.toml"))
    assert (app.head_names, app.text_column, tuple(app.multi_heads)) == (
        ("asunto", "grosse", "merkmale"),
        "Mensaje",
        ("merkmale",),
    )
    assert set(app.queues) == {'Umkleide "A"', "Öffnungszeiten"} and set(app.queues.values()) == {app.human_queue}
    dataset = read_dataset(app, TrainingRequest(sheet))
    assert len(dataset.rows) == 4 and not dataset.rejected
    assert dataset.rows[0].labels == {"asunto": 'Umkleide "A"', "grosse": "klein", "merkmale": "Gefahr|Hygiene"}


@pytest.mark.parametrize(
    ("heads", "why"),
    [
        pytest.param("asunto", "no column 'asunto'.*did you mean 'Asunto'", id="no such column"),
        pytest.param("Asunto,Asunto", "twice", id="a column twice"),
        pytest.param("Leer", "'Leer' of pool.csv is empty", id="an empty column"),
        pytest.param("Nr.", "has 501 different values, and 500 labels are the most", id="numbers"),
    ],
)
def test_a_column_that_answers_no_question_is_refused(tmp_path: Path, heads: str, why: str) -> None:
    rows = "".join(f"Q-{number};hola;a;\n" for number in range(501))
    (tmp_path / "pool.csv").write_text(f"Nr.;Mensaje;Asunto;Leer\n{rows}", "utf-8")
    done = run("pool", "--folder", str(tmp_path), "--from", str(tmp_path / "pool.csv"), "--heads", heads)
    assert isinstance(done.exception, ConfigError) and re.search(why, str(done.exception))
    assert [path.name for path in tmp_path.iterdir()] == ["pool.csv"]


def test_columns_whose_names_are_written_alike_or_in_other_scripts_are_questions_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text("text,科室,A b,a_b\nhola,内科,x,y\n", "utf-8")
    starter = Starter("pool", tmp_path, ("科室", "A b", "a_b"), sheet=tmp_path / "pool.csv")
    assert write_starter(starter).head_names == ("question_1", "a_b", "question_3")


def test_a_slip_in_a_label_gets_no_queue_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pool.csv").write_text("text,topic\nhola,Lärm\nrumore,lärm \nbulla,Lärm\nluz,Licht\n", "utf-8")
    assert set(write_starter(Starter("pool", tmp_path, sheet=tmp_path / "pool.csv")).queues) == {"Lärm", "Licht"}
