"""Files as people and spreadsheets write them, read alike by everything that takes one."""

import gzip
import io
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.table_files import Reject, Row, open_table, parse_table, read_rows
from connectors.table_lines import summary
from headrace.replay.labels import labels_from_file
from models.errors import ConfigError, TrainingDataError
from retrain.data import Columns, read_labelled_csv
from streams.application import HeadSpec

PLAIN = "text,label\nwhere is it,a\nrefund me,b\nwhere are you,a\nrefund now,b\n"
ROWS = [("where is it", "a"), ("refund me", "b"), ("where are you", "a"), ("refund now", "b")]


def read(content: str | bytes, name: str = "data.csv") -> list[Row | Reject]:
    raw = content.encode() if isinstance(content, str) else content
    return list(parse_table(io.BytesIO(raw), name).rows)


def fields(rows: Iterable[Row | Reject]) -> list[dict[str, object]]:
    return [row.fields for row in rows if isinstance(row, Row)]


def reasons(rows: Iterable[Row | Reject]) -> dict[int, str]:
    return {row.line: row.reason for row in rows if isinstance(row, Reject)}


AS_WRITTEN = {
    "comma": PLAIN.encode(),
    "semicolon": PLAIN.replace(",", ";").encode(),
    "tab in a .csv": PLAIN.replace(",", "\t").encode(),
    "pipe": PLAIN.replace(",", "|").encode(),
    "Excel's sep line": b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
    "sep line of an odd delimiter": b"sep=^\n" + PLAIN.replace(",", "^").encode(),
    "index column of pandas": b",text,label\n0,where is it,a\n1,refund me,b\n2,where are you,a\n3,refund now,b\n",
    "trailing commas": PLAIN.replace("\n", ",,\n").encode(),
    "duplicate columns nobody asked for": b"text,label,n,n\n"
    b"where is it,a,1,2\nrefund me,b,,\nwhere are you,a,,\nrefund now,b,,\n",
    "byte order mark": PLAIN.encode("utf-8-sig"),
    "byte order mark before a quoted header": PLAIN.replace("text,label", '"text","label"').encode("utf-8-sig"),
    "Windows line ends": PLAIN.replace("\n", "\r\n").encode(),
    "old Macintosh line ends": PLAIN.replace("\n", "\r").encode(),
    "no final newline": PLAIN.rstrip().encode(),
    "blank line before the header": b"\n" + PLAIN.encode(),
    "comment before the header": b"# exported 2026\n# by us\n" + PLAIN.encode(),
    "blanks in the header": PLAIN.replace("text,label", " text , label ").encode(),
    "blanks before quotes": b"text,label\n"
    b'"where is it", "a"\n"refund me", "b"\n"where are you", "a"\n"refund now", "b"\n',
    "header that holds a newline": b'text,label,"long\nname"\n'
    b"where is it,a,1\nrefund me,b,2\nwhere are you,a,3\nrefund now,b,4\n",
    "gzip": gzip.compress(PLAIN.encode()),
    "JSON lines": b'{"text": "where is it", "label": "a"}\n{"text": "refund me", "label": "b"}\n\n'
    b'{"label": "a", "text": "where are you"}\n{"text": "refund now", "label": "b"}\n',
    "JSON lines with a byte order mark": b'\xef\xbb\xbf{"text": "where is it", "label": "a"}\n'
    b'{"text": "refund me", "label": "b"}\n'
    b'{"label": "a", "text": "where are you"}\n{"text": "refund now", "label": "b"}\n',
}


@pytest.mark.parametrize("content", AS_WRITTEN.values(), ids=AS_WRITTEN)
@pytest.mark.parametrize("name", ["data.csv", "data.txt", "data"])
def test_every_command_reads_the_same_rows_of_the_same_file(content: bytes, name: str, tmp_path: Path) -> None:
    """F-39 to F-44, F-47, F-48, F-51: `train` read semicolons and `load` sent four records without a text; an index
    column, trailing commas and Excel's sep line divided them likewise; `train` refused JSON lines."""
    (tmp_path / name).write_bytes(content)
    rows = list(read_rows(tmp_path / name))
    assert not reasons(rows)
    assert [(row["text"], row["label"]) for row in fields(rows)] == ROWS
    dataset = read_labelled_csv(tmp_path / name, Columns({"intent": "label"}))
    assert [(row.text, row.labels["intent"]) for row in dataset.rows] == ROWS and not dataset.rejected
    labels = labels_from_file(tmp_path / name, [HeadSpec(name="intent", column="label")], "")
    assert {text: labels.of("", text) for text, _ in ROWS} == {text: {"intent": label} for text, label in ROWS}


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        pytest.param(PLAIN.encode("utf-16"), "d.csv", "d.csv is UTF-16", id="UTF-16"),
        pytest.param(PLAIN.encode("utf-16-be"), "d.csv", "d.csv is UTF-16 without a mark", id="UTF-16 unmarked"),
        pytest.param(
            PLAIN.encode("utf-16-le"), "d.csv", "d.csv is UTF-16 without a mark", id="UTF-16 unmarked, little"
        ),
        pytest.param(b"PK\x03\x04\x14\x00", "d.csv", "a workbook or a zip file", id="workbook"),
        pytest.param(b"", "d.csv", "is empty", id="empty"),
        pytest.param(b"\n\n", "d.csv", "is empty", id="blank"),
        pytest.param(b'[{"text": "x"}]', "d.json", "one JSON array: write an object a line", id="JSON array"),
        pytest.param(
            b'{"text": "x",\n "label": "a"}', "d.jsonl", "no line of d.jsonl is a JSON object", id="pretty JSON"
        ),
        pytest.param(b"\x1f\x8b\x08\x00", "d.csv.gz", "cannot be unpacked", id="cut gzip"),
        pytest.param(b"t\xe9xt,label\nx,a\n", "d.csv", "not UTF-8", id="Latin-1 header"),
        pytest.param(b'{"text": "caf\xe9"}\n', "d.jsonl", "not UTF-8; save the file as UTF-8", id="Latin-1 JSON"),
    ],
)
def test_a_file_of_no_use_is_one_line_that_says_what_it_is(
    content: bytes, name: str, says: str, tmp_path: Path
) -> None:
    """F-45, F-46: of a UTF-16 file `train` wrote NULs to the terminal, `load` sent records full of them or rejected all
    with exit 0."""
    (tmp_path / name).write_bytes(content)
    for take in (
        lambda: list(read_rows(tmp_path / name)),
        lambda: read_labelled_csv(tmp_path / name, Columns({"i": "l"})),
    ):
        with pytest.raises((ConfigError, TrainingDataError), match=says) as refused:
            take()
        assert "\n" not in str(refused.value) and "\0" not in str(refused.value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param(b"caf\xe9,a", "bytes that are not UTF-8", id="Windows-1252"),
        pytest.param(b'"say \\"hi\\" now",a', "not a CSV row", id="backslash before a quote"),
        pytest.param(b'"never closed,a', "not a CSV row", id="open quote"),
        pytest.param(b"x\0y,a", "NUL character", id="NUL"),
        pytest.param(b"where is it,a,", "3 fields where the header has 2", id="a comma too many"),
        pytest.param(b"\x1a", "1 fields where the header has 2", id="Ctrl-Z"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_by_its_line_and_the_rest_goes_on(row: bytes, reason: str) -> None:
    """F-49."""
    rows = read(b"text,label\nfirst,a\n" + row + b"\nsecond,b\n")
    assert [row["text"] for row in fields(rows)] == ["first", "second"]
    assert list(reasons(rows)) == [3] and reason in reasons(rows)[3]


@pytest.mark.parametrize(
    "text", ["x\u2028y", "z\x0cw", "a\x85b", 'it is 5" long', "a;b|c", " lead", "#1", "first\nsecond", '"q", said she']
)
def test_what_stands_in_a_text_ends_no_row(text: str) -> None:
    """F-47."""
    quoted = '"' + text.replace('"', '""') + '"'
    assert fields(read(f"text,label\n{quoted},a\nz,b\n")) == [{"text": text, "label": "a"}, {"text": "z", "label": "b"}]


def test_a_delimiter_in_the_texts_does_not_make_columns() -> None:
    assert fields(read("text;label\nhello, world;x\nbye, all;y\n"))[0] == {"text": "hello, world", "label": "x"}
    assert fields(read("text,label\na;b;c,x\nd;e,y\n"))[0] == {"text": "a;b;c", "label": "x"}
    assert fields(read("text\nhello, world\nbye; all, of | you\n"))[0] == {"text": "hello, world"}


def test_a_header_that_begins_with_a_hash_is_a_header() -> None:
    assert fields(read("#,text,label\n1,x,a\n")) == [{"#": "1", "text": "x", "label": "a"}]


def test_columns_that_are_there_twice_keep_both_values_and_are_named() -> None:
    table = parse_table(io.BytesIO(b"text,note,note\nx,1,2\n"), "d.csv")
    assert (table.columns, table.twice) == (("text", "note", "note_2"), {"note"})
    assert fields(table.rows) == [{"text": "x", "note": "1", "note_2": "2"}]


def test_lines_of_json_that_are_no_objects_are_refused_by_line() -> None:
    """F-37."""
    rows = read('{"text": "x"}\n[1]\n"s"\nnot json\n\n{"text": NaN}\n{"text": "\\ud800"}\n', "d.jsonl")
    assert [row["text"] for row in fields(rows)][::2] == ["x", "\ud800"]
    assert {line: reason.split(":")[0] for line, reason in reasons(rows).items()} == {
        2: "a list, not an object",
        3: "a text, not an object",
        4: "not JSON",
    }


def test_a_pipe_is_read_once_and_as_it_comes(tmp_path: Path) -> None:
    """F-61: `-` and /dev/stdin were "no file", and "got no ending"."""
    import os
    import threading

    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_text(PLAIN))
    writer.start()
    assert len(read_labelled_csv(fifo, lambda columns: Columns({"intent": columns[1]})).rows) == 4
    writer.join()


def test_a_file_is_not_read_farther_than_its_rows_are_taken(tmp_path: Path) -> None:
    """D-B11: `load --limit 10` read the whole file three times over."""
    (tmp_path / "large.csv").write_text("text\n" + "some text\n" * 200_000)
    with open_table(tmp_path / "large.csv") as table:
        assert [next(table.rows).line for _ in range(10)] == list(range(2, 12))
        share = table.share_read()
        assert share is not None and share < 0.05


def test_reasons_are_summed_up_on_one_line() -> None:
    """F-50: "no usable row (2 rejected); check text and label columns" did not say why."""
    rejected = [Reject(2, "empty text"), Reject(3, "empty label"), Reject(4, "empty label")]
    assert summary(rejected) == "2 x empty label (line 3); 1 x empty text (line 2)"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("text,label,split\nx,a,\ny,b,\n", "2 x split '' is none of train", id="an empty split column"),
        pytest.param("text,label\nx,a,\ny,b,\n", "2 x 3 fields where the header has 2 .line 2", id="a comma too many"),
        pytest.param("text,label\n", "nothing below its header", id="header only"),
        pytest.param("text,text,label\nx,y,a\n", "two columns 'text'; rename one", id="two columns of texts"),
        pytest.param("Text,Label\nx,a\n", "no column 'text'; its columns are: Text, Label", id="other case"),
    ],
)
def test_training_says_why_no_row_is_usable(content: str, says: str, tmp_path: Path) -> None:
    """F-50, F-52."""
    (tmp_path / "d.csv").write_text(content)
    with pytest.raises(TrainingDataError, match=says):
        read_labelled_csv(tmp_path / "d.csv", Columns({"intent": "label"}))


def test_labels_are_kept_as_they_are(tmp_path: Path) -> None:
    """F-55."""
    labels = ["nan", "None", "null", "1", "1.0", "True", "日本語", "a/b", "../../etc", "=cmd", "x" * 300, "one, two"]
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(f't{n},"{label}"\n' for n, label in enumerate(labels)))
    assert [row.labels["i"] for row in read_labelled_csv(tmp_path / "d.csv", Columns({"i": "label"})).rows] == labels


@given(st.binary(max_size=200))
def test_any_bytes_end_as_rows_rejects_or_one_clear_error(content: bytes) -> None:
    try:
        rows = read(b"text,label\n" + content)
    except ConfigError as error:
        assert str(error)
        return
    assert all(row.line >= 2 for row in rows)


def test_rows_of_empty_cells_below_a_sheet_are_none() -> None:
    """They were told as rows without a text, and an application with them was never in order."""
    rows = list(read('text;label\n"a\n b";x\n;\n ; \n;y\nc;z\n;\n'))
    assert [(row["text"], row["label"]) for row in fields(rows)] == [("a\n b", "x"), ("", "y"), ("c", "z")]
    assert [row.line for row in rows] == [2, 6, 7]
