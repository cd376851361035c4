"""What is learnt from a file is read as a worker reads a record of the same fields: its markup, its title."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from small_release import small_encoder
from typer.testing import CliRunner

from headrace.applications import columns_of
from headrace.cli import app as cli
from headrace.replay.labels import labels_from_file
from headrace.tools.evaluating.loading import LabelledFile, read_rows
from headrace.training.entities.fitting import read_entities
from headrace.training.from_file import TrainingRequest, read_dataset, read_texts
from models.texts.reading import Reading
from retrain.data import Dataset, Row
from retrain.entities.rows import EntityRow, read_entity_rows
from retrain.file_columns import FileColumns
from retrain.text_keys import key_hash
from retrain.training_data import from_bytes, read_as_served, to_bytes
from streams.application import Application, parse_application
from streams.wire.source_records import SourceReader, SourceText

TITLE, BODY = "Brackwater &amp; Sons <i>cut</i> outlook", "<p>The mill said so.</p>\n<p>Shares fell.</p>"
HTML = Reading("html")
SEEN = "Brackwater & Sons cut outlook\nThe mill said so.\nShares fell."
NEWS = """name = "news"
topic = "news"
[source]
text = "/head"
body = "/body"
markup = "html"
[[heads]]
name = "topic"
column = "topic"
"""
ENTITIES = '[entities]\nnames = "names.csv"\ncorpus = "named.jsonl"\n'


def news(folder: Path, more: str = "", file: str = NEWS) -> Application:
    return parse_application(file + more, folder, "news.toml")


def written(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def served(app: Application, **fields: Any) -> str:
    read = SourceReader.of(app).parse(orjson.dumps(fields), b"k", 1_750_000_000_000)
    assert isinstance(read, SourceText)
    return read.text


def test_rows_that_train_are_read_as_the_application_serves(tmp_path: Path) -> None:
    app = news(tmp_path)
    file = written(tmp_path / "rows.jsonl", [{"head": TITLE, "body": BODY, "topic": "a"}] * 2)
    order = TrainingRequest(file, text_column="body", title_column="head")
    assert {row.text for row in read_dataset(app, order).rows} == {SEEN} == {served(app, head=TITLE, body=BODY)}
    assert read_texts(file, columns_of(app), "body", "head") == (SEEN, SEEN)
    as_it_stands = news(tmp_path, file=NEWS.replace('markup = "html"\n', ""))
    assert "<p>" in read_dataset(as_it_stands, order).rows[0].text


@pytest.mark.parametrize("text", ["A &amp; B <b>rose</b>", "<p>one</p><p>two</p>", "R&D up", "&lt;b&gt; fell"])
def test_a_text_alone_is_read_as_a_record_of_it(tmp_path: Path, text: str) -> None:
    app = news(tmp_path, file=NEWS.replace('body = "/body"\n', ""))
    file = written(tmp_path / "rows.jsonl", [{"text": text, "topic": "a"}] * 2)
    assert read_dataset(app, TrainingRequest(file)).rows[0].text == served(app, head=text)


def test_a_line_that_ends_a_title_stays_and_what_was_decided_is_read_the_same_again() -> None:
    assert HTML.whole(f"{TITLE}\n{BODY}") == SEEN
    assert HTML.whole(SEEN) == SEEN and Reading().whole(f"{TITLE}\n{BODY}") == f"{TITLE}\n{BODY}"


def test_a_row_without_words_but_tags_is_rejected(tmp_path: Path) -> None:
    rows = [{"text": "<p>&nbsp;</p>", "topic": "a"}, {"text": "rose", "topic": "a"}, {"text": "fell", "topic": "a"}]
    dataset = read_dataset(news(tmp_path), TrainingRequest(written(tmp_path / "rows.jsonl", rows)))
    assert [(one.line, one.reason) for one in dataset.rejected] == [(1, "empty text")]


def test_a_release_reads_other_files_as_the_one_that_it_was_trained_on(tmp_path: Path) -> None:
    known = FileColumns({"topic": "topic"}, "body", "head", HTML)
    described = {"training": {"columns": known.as_json()}, "heads": [{"name": "topic"}]}
    assert FileColumns.of_release(described) == known
    file = written(tmp_path / "rows.jsonl", [{"head": TITLE, "body": BODY, "topic": "a"}])
    scored, _ = read_rows(LabelledFile(file), ["topic"], (), columns=FileColumns.of_release(described))
    assert scored.rows[0].text == SEEN


def test_a_retraining_reads_the_rows_of_an_older_release_as_they_are_served_by_now() -> None:
    raw = f"{TITLE}\n{BODY}"
    rows = (
        Row(raw, {"topic": "a"}, copies=("<b>made</b>",)),
        Row("said &lt;b&gt;", {"topic": "a"}, origin="feedback"),
        Row("<i>tested</i>", {"topic": "b"}, "test"),
        Row("tested", {"topic": "b"}),  # the same text by now: it must not be learnt
    )
    before = from_bytes(to_bytes(Dataset(("topic",), rows, encoder_tuned_on=frozenset([key_hash(raw)]))))
    read = read_as_served(before, HTML)
    assert [row.text for row in read.rows] == [SEEN, "said &lt;b&gt;", "tested"]
    assert read.rows[0].copies == ("made",) and key_hash(SEEN) in read.encoder_tuned_on
    again = from_bytes(to_bytes(read))
    assert read_as_served(again, HTML) == again and again.columns is not None and again.columns.reading == HTML
    assert read_as_served(before, Reading()) == before


WITH_MASK = """[privacy]
mask = true
regions = ["DE"]
"""
WRITTEN, MASKED = "mail ann@example.com or call 0151 23456789", "mail [email] or call [phone]"


def test_personal_data_that_a_worker_masks_is_in_no_row_that_trains(tmp_path: Path) -> None:
    app = news(tmp_path, WITH_MASK)
    file = written(tmp_path / "rows.jsonl", [{"head": f"<b>{WRITTEN}</b>", "body": WRITTEN, "topic": "a"}] * 2)
    order = TrainingRequest(file, text_column="body", title_column="head")
    row = read_dataset(app, order).rows[0]
    assert row.text == f"{MASKED}\n{MASKED}" == served(app, head=f"<b>{WRITTEN}</b>", body=WRITTEN)
    assert read_texts(file, columns_of(app), "body", "head")[0] == row.text
    described = {"training": {"columns": columns_of(app).as_json()}, "heads": [{"name": "topic"}]}
    assert FileColumns.of_release(described).reading == Reading("html", ("DE",))
    truth = labels_from_file(file, app.heads, "news@", columns_of(app).in_file(["head", "body"], text="body"))
    assert truth.of("news@x-0-0", MASKED) == {"topic": "a"}


def test_a_retraining_masks_the_rows_of_before_and_unmasks_none() -> None:
    rows = (Row(WRITTEN, {"topic": "a"}), Row(WRITTEN + "!", {"topic": "b"}, origin="feedback"))
    masks = Reading(masks=("DE",))
    read = read_as_served(Dataset(("topic",), rows), masks)
    assert [row.text for row in read.rows] == [MASKED, MASKED + "!"]
    assert read_as_served(read, Reading()) == read == read_as_served(read, masks)
    both = read_as_served(read, HTML)
    assert both.columns is not None and both.columns.reading == Reading("html", ("DE",))


def test_names_beside_what_is_masked_stay_in_their_place(tmp_path: Path) -> None:
    text = "ann@example.com says Alder fell, call 0151 23456789"
    file = written(tmp_path / "named.jsonl", [{"text": text, "split": "train", "entities": [one | {"label": label}]}
                   for label in ("good", "bad") for one in named(text, "Alder")])  # fmt: skip
    read = read_entity_rows(file, FileColumns(reading=Reading(masks=("DE",))))
    assert {row.text for row in read.rows} == {"[email] says Alder fell, call [phone]"}
    assert [mentioned(row) for row in read.rows] == [["Alder"]] * 2


def test_classify_reads_a_text_as_a_worker_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HEADRACE_BROKER", "embedded")
    monkeypatch.setattr("headrace.training.from_file.default_encoder", lambda wiring: small_encoder())
    monkeypatch.setattr("headrace.training.from_file.source_of_encoder", lambda wiring: {"name": "small"})
    words = [("rose and gained again", "up"), ("fell and lost again", "down")]
    rows = [{"text": f"<p>{said} {number}</p>", "topic": label} for number in range(8) for said, label in words]
    written(tmp_path / "rows.jsonl", rows)
    (tmp_path / "news.toml").write_text('corpus = "rows.jsonl"\n' + NEWS, "utf-8")
    done = CliRunner().invoke(cli, ["classify", str(tmp_path / "news.toml"), "<b>it rose</b> &amp; gained"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["text"] == "it rose & gained"


def named(text: str, *names: str, column: str = "text") -> list[dict[str, Any]]:
    found = [{"start": text.index(name), "end": text.index(name) + len(name), "label": "bad"} for name in names]
    return [one | ({} if column == "text" else {"in": column}) for one in found]


def mentioned(row: EntityRow) -> list[str]:
    return [row.text[one.start : one.end] for one in row.mentions]


def test_names_are_found_where_they_stand_in_the_text_as_it_is_read(tmp_path: Path) -> None:
    body = "<p>The <b>AT&amp;T</b> mill said</p> &nbsp; Oak  Ltd fell."
    row = {"body": body, "head": TITLE, "split": "train"}
    entities = [*named(body, "Oak  Ltd", "AT&amp;T"), *named(TITLE, "Brackwater &amp; Sons", column="title")]
    good = row | {"entities": [*entities[:1], *(one | {"label": "good"} for one in entities[1:])]}
    lost = row | {"entities": [{"start": 0, "end": 2, "label": "bad"}]}
    file = written(tmp_path / "named.jsonl", [good, lost, row | {"entities": [*named(body, "Oak"), {"in": "foot"}]}])
    read = read_entity_rows(file, FileColumns({}, "body", "head", HTML))
    (only,) = read.rows
    assert only.text == "Brackwater & Sons cut outlook\nThe AT&T mill said\nOak Ltd fell."
    assert mentioned(only) == ["Brackwater & Sons", "AT&T", "Oak Ltd"] and only.labels == ("good", "good", "bad")
    assert [one.line for one in read.rejected] == [2, 3] and "in what is not read" in read.rejected[0].reason


def test_the_columns_of_a_training_count_for_its_entities(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("id,name\nBW,Brackwater\n", "utf-8")
    text = "Brackwater fell"
    rows = [
        {"body": f"{text} {number}", "head": "Brackwater", "entities": [one | {"label": label}]}
        for number, label in enumerate(["good", "bad"] * 5)
        for one in named(text, "Brackwater")
    ]
    written(tmp_path / "named.jsonl", rows)
    app = news(tmp_path, ENTITIES)
    found = read_entities(app, None, 0, "body", "head")
    assert found is not None and all(row.text.startswith("Brackwater\nBrackwater fell") for row in found.rows.rows)
    assert all(one.start == 11 for row in found.rows.rows for one in row.mentions)
    own = app.model_copy(update={"text_column": "body", "title_column": "head"})
    said = read_entities(own, None, 0)
    assert said is not None and said.rows == found.rows
    plain = read_entities(replace_titles(own), None, 0)
    assert plain is not None and all(row.text.startswith(text) for row in plain.rows.rows)


def replace_titles(app: Application) -> Application:
    return app.model_copy(update={"title_column": None})


TITLED = [
    {"head": "Mill <b>shuts</b>", "text": "call 0151 23456789 now", "label": "a", "split": "train"},
    {"head": "Mill <b>shuts</b>", "text": "another body", "label": "a", "split": "train"},
    {"head": "Mill opens", "text": "another body", "label": "b", "split": "test"},
    {"head": "Mill opens", "text": "another body", "label": "b", "split": "train"},
    {"head": "Mill alone", "text": "", "label": "b", "split": "train"},
]


def data(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["data", *words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_file_is_cleaned_with_its_titles_each_in_its_own_column(tmp_path: Path) -> None:
    file, output = written(tmp_path / "rows.jsonl", TITLED), tmp_path / "clean.jsonl"
    told = data("clean", str(file), "--title-column", "head", "--output", str(output), "--mask", "--region", "DE")
    kept = rows_of(output)
    assert [row["head"] for row in kept] == ["Mill shuts", "Mill shuts", "Mill opens", "Mill alone"]
    assert kept[0]["text"] == "call [phone] now" and kept[2]["split"] == "test" and kept[3]["text"] == ""
    assert told["dropped"] == {"copy": 1}, "a text of another title is no copy, one without a body no row without text"
    alone = data("clean", str(file), "--output", str(tmp_path / "alone.jsonl"))
    assert alone["dropped"] == {"copy": 1, "no_text": 1} or alone["dropped"]["no_text"] == 1


def test_files_are_checked_and_split_and_augmented_with_their_titles(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", TITLED)
    found = data("check", str(file), "--title-column", "head", "--no-label-errors")
    assert found["title_column"] == "head" and "no_text" not in found["kinds"]
    assert "conflict" not in found["kinds"] and found["kinds"]["leak"]["findings"] == 1
    many = [
        {"head": f"Head {number}", "body": f"words {'of' * number}", "label": "ab"[number % 2]} for number in range(12)
    ]
    parts = tmp_path / "parts.jsonl"
    data("split", str(written(tmp_path / "many.jsonl", [*many, {"head": "Only a head", "body": "", "label": "a"}])),
         "--text-column", "body", "--title-column", "head", "--output", str(parts))  # fmt: skip
    assert all(row["body"] != f"{row['head']}\n" for row in rows_of(parts)) and len(rows_of(parts)) == 13
    made = tmp_path / "made.jsonl"
    data("augment", str(file), "--with", "swap", "--title", "head", "--output", str(made))
    texts = {f"{row['head']}\n{row['text']}".strip() for row in TITLED}
    assert rows_of(made) and {row["text"] for row in rows_of(made)} <= texts


def test_a_column_that_is_asked_for_must_be_there_and_a_topic_has_none(tmp_path: Path) -> None:
    file = written(tmp_path / "rows.jsonl", TITLED)
    missing = CliRunner().invoke(cli, ["data", "check", str(file), "--title-column", "titel"])
    assert missing.exit_code == 1 and "no column 'titel'" in str(missing.exception)
    topic = ["data", "check", "--topic", "news", "--app", "finance", "--title-column", "head"]
    assert CliRunner().invoke(cli, topic).exit_code == 2


def test_labels_by_text_are_found_among_decisions(tmp_path: Path) -> None:
    app = news(tmp_path).model_copy(update={"text_column": "body", "title_column": "head"})
    file = written(tmp_path / "truth.jsonl", [{"head": TITLE, "body": BODY, "topic": "a"}])
    labels = labels_from_file(file, app.heads, "news@", columns_of(app))
    assert labels.of("news@x-0-0", served(app, head=TITLE, body=BODY)) == {"topic": "a"}


@pytest.mark.parametrize(
    "command", ["data check", "data clean", "data split", "data augment", "encoders distil", "explain", "map",
                "bench explanation", "bench labels"],
)  # fmt: skip
def test_every_command_that_reads_rows_takes_their_titles(command: str) -> None:
    shown = CliRunner().invoke(cli, [*command.split(), "--help"], env={"COLUMNS": "200"})
    assert "--title-column" in shown.stdout
