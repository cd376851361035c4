"""`headrace classify` answers as a worker decides."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_fast_path import classifier_with, with_threshold
from typer.testing import CliRunner

import headrace.tools.classifying as classifying
from headrace.cli import app as cli

HEADS = '[[heads]]\nname = "intent"\ncolumn = "label"\n[[heads]]\nname = "urgency"\ncolumn = "urgency"\n'


@pytest.fixture(autouse=True)
def a_release_with_a_fast_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its n-grams are sure of any text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setattr(classifying, "split_name", lambda model, registry: ("support", "1"))
    monkeypatch.setattr(classifying, "hash_to_compare", lambda *_: None)
    monkeypatch.setattr(classifying, "load_release", lambda *_, **__: classifier_with(with_threshold(0.0)))
    for setting in ("on", "off"):
        file = f'name = "support"\ntopic = "t"\nfast_path = "{setting}"\n{HEADS}'
        (tmp_path / f"{setting}.toml").write_text(file)


def classify(*arguments: str, stdin: bytes | None = None) -> list[dict[str, Any]]:
    done = CliRunner().invoke(
        cli, ["classify", *arguments, "--model", "support@1"], input=stdin, catch_exceptions=False
    )
    assert done.exit_code == 0
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_fast_path_is_off_where_the_application_says_so() -> None:
    """F-80: with fast_path = "off" `classify` said path fast, check_invoice 0.97, where live and replay rejected it."""
    assert [answer["path"] for answer in classify("on.toml", "refund please")] == ["fast"]
    assert [answer["path"] for answer in classify("off.toml", "refund please")] == ["full"]


def test_each_line_has_an_answer_and_a_blank_one_says_why_it_has_no_labels() -> None:
    """F-83: blank lines were left out: 4 lines in, 2 out."""
    answers = classify("off.toml", stdin=b"refund please\n\n   \nwhere is my parcel\n")
    assert [answer["text"] for answer in answers] == ["refund please", "", "   ", "where is my parcel"]
    assert [answer.get("reason") for answer in answers] == [None, "empty_text", "empty_text", None]
    assert [bool(answer["labels"]) for answer in answers] == [True, False, False, True]


def test_line_ends_and_marks_of_a_file_are_no_part_of_the_texts() -> None:
    """F-84: "text":"cancel my order\\r"."""
    answers = classify("off.toml", stdin="\ufeffcancel my order\r\nrefund\r\n".encode())
    assert [answer["text"] for answer in answers] == ["cancel my order", "refund"]


ODD = {
    "zero width only": "\u200b\u200c\u200d",
    "emoji": "😡😡😡",
    "right to left": "אני רוצה החזר",
    "homoglyphs": "rеfund plеаse",
    "3,000 words": "word " * 3_000,
    "5,000 letters": "a" * 5_000,
    "HTML": "<p>refund&nbsp;<b>now</b></p>",
    "controls": "re\x07fund\x1b[31m",
    "NUL": "a\0b",
    "nothing but signs": "... --- ???",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_any_text_has_one_answer(text: str) -> None:
    """F-82."""
    assert len(classify("off.toml", stdin=text.encode() + b"\n")) == 1
    assert len(classify("on.toml", stdin=text.encode() + b"\n")) == 1


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert classify("off.toml", stdin=b"caf\xe9\n")[0]["text"] == "caf\ufffd"


def test_texts_may_be_the_messages_of_one_conversation(tmp_path: Path) -> None:
    tables = '[conversations]\n[slots.order]\npattern = "MB-[0-9]+"\nask = "Which?"\nasked_by = {intent = ["refund"]}\n'
    (tmp_path / "talk.toml").write_text((tmp_path / "on.toml").read_text() + tables)
    texts = ["refund please MB-17", "refund please"]
    alone = classify("talk.toml", *texts)
    assert [answer["labels"]["intent"]["label"] for answer in alone] == ["refund", "refund"]
    assert [answer["action"] for answer in alone] == ["none", "ask"] and "conversation" not in alone[0]
    together = classify("talk.toml", "--conversation", stdin="\n".join(texts).encode())
    assert [answer["action"] for answer in together] == ["none", "none"]
    assert [answer["conversation"]["version"] for answer in together] == [1, 2]
    done = CliRunner().invoke(cli, ["classify", "on.toml", "x", "--conversation", "--model", "support@1"])
    assert done.exit_code == 1 and "[conversations]" in str(done.exception or done.output)
