"""Reading labelled CSV files as people have them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TrainingDataError
from retrain.data import Columns, Dataset, Row, parse_labelled_csv, read_labelled_csv, split_rows
from retrain.text_keys import same_text_key

INTENT = Columns(labels={"intent": "label"})


def parse(content: str | bytes, columns: Columns = INTENT, seed: int = 0) -> Dataset:
    raw = content.encode() if isinstance(content, str) else content
    return parse_labelled_csv(raw, columns, seed=seed)


def texts(dataset: Dataset) -> list[str]:
    return [row.text for row in dataset.rows]


def reasons(dataset: Dataset) -> dict[int, str]:
    return {row.line: row.reason for row in dataset.rejected}


GOOD = "text,label,split\nmy card,a,train\nother,b,train\nmore,a,test\n"


def test_rows_are_read_by_column_name() -> None:
    dataset = parse("id,label,split,text\n1,a,train,hello\n2,b,test,bye\n")
    assert [(row.text, dict(row.labels), row.split, row.line) for row in dataset.rows] == [
        ("hello", {"intent": "a"}, "train", 2),
        ("bye", {"intent": "b"}, "test", 3),
    ]


@pytest.mark.parametrize(
    "raw",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace(",", ";").encode(),
        GOOD.replace(",", "\t").encode(),
    ],
    ids=["byte order mark", "Windows line ends", "semicolons", "tabs"],
)
def test_file_is_read_as_spreadsheets_write_it(raw: bytes) -> None:
    dataset = parse(raw)
    assert texts(dataset) == ["my card", "other", "more"]
    assert not dataset.rejected


def test_text_may_hold_commas_quotes_and_line_ends() -> None:
    dataset = parse('text,label,split\n"one, ""two""\nthree",a,train\nx,b,test\n')
    assert texts(dataset) == ['one, "two"\nthree', "x"]
    assert [row.line for row in dataset.rows] == [2, 4]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"too,many,fields,here", "4 fields where the header has 3"),
        (b"few", "1 fields where the header has 3"),
        (b"  ,a,train", "empty text"),
        (b"some text, ,train", "empty label"),
        (b"caf\xe9,a,train", "bytes that are not UTF-8"),
        (b"nul\x00here,a,train", "NUL character"),
        (b"some text,a,later", "split 'later' is none of train, val, valid, test"),
        (b'"closed" too early,a,train', "not a CSV row"),
        (b'"never closed,a,train', "not a CSV row"),
    ],
    ids=[
        "too many",
        "too few",
        "no text",
        "no label",
        "latin-1",
        "NUL",
        "split",
        "quote in the middle",
        "open quote",
    ],
)
def test_broken_row_is_rejected_with_its_line_and_the_rest_goes_on(row: bytes, reason: str) -> None:
    dataset = parse(b"text,label,split\nfirst,a,train\n" + row + b"\nsecond,b,train\nthird,a,test\n")
    assert texts(dataset) == ["first", "second", "third"]
    assert list(reasons(dataset)) == [3]
    assert reason in reasons(dataset)[3]


def test_open_quote_swallows_neither_the_rest_nor_a_later_quoted_row() -> None:
    dataset = parse('text,label,split\n"open,a,train\nkept,a,train\n"quoted, kept",b,train\n' + "more,a,test\n" * 50)
    assert texts(dataset)[:2] == ["kept", "quoted, kept"]
    assert list(reasons(dataset)) == [2]
    assert len(dataset.rows) == 52


@given(st.binary(max_size=300))
def test_any_bytes_after_the_header_end_as_rows_or_rejected_rows(content: bytes) -> None:
    dataset = parse(GOOD.encode() + content)
    assert texts(dataset)[: 3 - dataset.dropped_duplicates]
    assert all(row.reason and row.line > 1 for row in dataset.rejected)


@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        (Columns(labels={"intent": "intent"}), "intent"),
        (Columns(labels={"intent": "label"}, text="body"), "body"),
        (Columns(labels={"intent": "label"}, split="part"), "part"),
        (Columns(labels={"intent": "label"}, slices=("channel",)), "channel"),
    ],
    ids=["label", "text", "split", "slice"],
)
def test_missing_column_is_named_together_with_those_there_are(columns: Columns, missing: str) -> None:
    with pytest.raises(TrainingDataError, match=rf"no column '{missing}'; its columns are: text, label, split"):
        parse(GOOD, columns)


@pytest.mark.parametrize(
    "content", ["", "text,label\n", "text,label\n,\n"], ids=["empty file", "header only", "nothing usable"]
)
def test_file_without_usable_rows_is_an_error(content: str) -> None:
    with pytest.raises(TrainingDataError):
        parse(content)


def test_file_that_is_not_there_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"cannot read .*none.csv: No such file.*give --data"):
        read_labelled_csv(tmp_path / "none.csv", INTENT)


def test_several_heads_share_a_row_and_a_missing_label_only_leaves_that_head_out() -> None:
    columns = Columns(labels={"intent": "intent", "urgency": "urgency"})
    dataset = parse(
        "text,intent,urgency,split\none,a,high,train\ntwo,b,,train\nthree,,low,test\nfour,,,train\n", columns
    )
    assert [dict(row.labels) for row in dataset.rows] == [
        {"intent": "a", "urgency": "high"},
        {"intent": "b"},
        {"urgency": "low"},
    ]
    assert reasons(dataset) == {5: "empty label"}


def test_valid_rows_tune_beside_test_rows_and_are_the_test_without_them() -> None:
    with_test = parse("text,label,split\na,x,train\nb,x,val\nc,x,valid\nd,y,test\n")
    assert [row.split for row in with_test.rows] == ["train", "valid", "valid", "test"]
    without = parse("text,label,split\na,x,train\nb,x,val\nc,y,dev\n")
    assert [row.split for row in without.rows] == ["train", "test", "test"]


def rows_without_split(per_label: int = 20) -> list[Row]:
    return [
        Row(f"text {label} {chr(97 + number)}", {"intent": label}) for label in "abc" for number in range(per_label)
    ]


def test_rows_without_split_are_split_80_to_20_by_label_and_seed() -> None:
    dataset = split_rows(rows_without_split(), ("intent",), seed=3)
    for label in "abc":
        assert sum(row.labels["intent"] == label for row in dataset.part("test")) == 4
    assert dataset == split_rows(rows_without_split(), ("intent",), seed=3)
    assert dataset != split_rows(rows_without_split(), ("intent",), seed=4)


def test_equal_texts_fall_on_the_same_side() -> None:
    rows = [
        Row(text, {"intent": row.labels["intent"]})
        for row in rows_without_split()
        for text in (row.text, f" {row.text.upper()}  ")
    ]
    dataset = split_rows(rows, ("intent",))
    tested = {same_text_key(row.text) for row in dataset.part("test")}
    assert not tested & {same_text_key(row.text) for row in dataset.part("train")}
    assert len(dataset.part("test")) == 24


def test_training_text_that_is_tested_does_not_train() -> None:
    dataset = parse("text,label,split\nMy  card,a,train\nother,b,train\nmy card,a,test\n")
    assert [row.text for row in dataset.part("train")] == ["other"]
    assert dataset.dropped_duplicates == 1


def test_fingerprint_follows_what_trains_and_not_the_order() -> None:
    first = parse("text,label,split\na,x,train\nb,y,train\nc,x,test\n")
    reordered = parse("text,label,split\nb,y,train\na,x,train\nc,x,test\n")
    relabelled = parse("text,label,split\na,y,train\nb,y,train\nc,x,test\n")
    assert first.fingerprint == reordered.fingerprint != relabelled.fingerprint
