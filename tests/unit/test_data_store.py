"""The decisions in the store are checked and written to a file as the texts of a topic are."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from labelled_world import decision
from topics_in_memory import MemoryReader, MemoryTopics
from typer.testing import CliRunner

from connectors.sqlite_store import SQLiteStore
from headrace.cli import app
from models.errors import HeadraceError
from streams.topics import FEEDBACK_TOPIC

HEADS = ("intent", "urgency")
OTHER = "support.chats@ffffffff-0-7"  # of a topic that was made again since


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], SQLiteStore]:
    topics = MemoryTopics()

    class Wiring:
        def store(self) -> SQLiteStore:
            return SQLiteStore(tmp_path / "decisions.db")

        def reader(self) -> MemoryReader:
            return topics.reader()

        def close(self) -> None:
            pass

    monkeypatch.setattr("headrace.tools.data.reading.Wiring", lambda settings: Wiring())
    for identity, label in ((decision(1)["id"], "delivery"), (OTHER, "refund"), ("news.items@0a1b2c3d-0-1", "up")):
        told = {"decision_id": identity, "head": "intent", "label": label, "by": "ann", "at": "2026-11-02T00:00:00Z"}
        topics.append(FEEDBACK_TOPIC, orjson.dumps(told), f"{identity}|intent|ann".encode())
    return Wiring().store


def fill(store: SQLiteStore) -> None:
    store.prepare({"support": HEADS, "finance": ("sentiment",)})
    store.index(
        [
            decision(1, text="where is it", at="2026-11-03T10:00:00.000Z"),
            decision(2, text="another question", at="2026-11-02T10:00:00.000Z"),
            decision(7, id=OTHER, text="Where is it", at="2026-11-04T10:00:00.000Z"),
            decision(3, app="finance", text="shares fell", labels={"sentiment": {"label": "up", "probability": 0.9}}),
        ]
    )
    store.close()


def check(*options: str) -> dict[str, Any]:
    command = ["data", "check", "--store", "--app", "support", "--json", "--no-label-errors", *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_the_decisions_of_one_application_are_checked_by_their_ids(store: Callable[[], SQLiteStore]) -> None:
    fill(store())
    report = check()
    assert report["rows"] == 3 and report["labels"] == {}
    (copy,) = [one for one in report["findings"] if one["kind"] == "copy"]
    assert copy["ids"] == [decision(1)["id"], OTHER] and copy["lines"] == [2, 3], "in the order of their time"


def test_labels_of_people_stand_beside_the_texts_whatever_was_decided(store: Callable[[], SQLiteStore]) -> None:
    fill(store())
    report = check("--labels", FEEDBACK_TOPIC)
    assert report["labels"] == {"delivery": 1, "refund": 1}
    assert [one["lines"] for one in report["findings"] if one["kind"] == "conflict"] == [[2, 3]]


def test_the_store_becomes_a_file_that_trains(store: Callable[[], SQLiteStore], tmp_path: Path) -> None:
    fill(store())
    output = tmp_path / "chats.csv"
    command = ["data", "clean", "--store", "--app", "support", "--labels", FEEDBACK_TOPIC, "--keep-copies"]
    result = CliRunner().invoke(app, [*command, "--output", str(output)])
    assert result.exit_code == 0, result.exception
    with output.open(newline="", encoding="utf-8") as file:
        assert {"id": OTHER, "text": "Where is it", "intent": "refund"} in list(csv.DictReader(file))


def test_a_store_without_decisions_says_what_brings_them(store: Callable[[], SQLiteStore]) -> None:
    result = CliRunner().invoke(app, ["data", "check", "--store", "--app", "support"])
    assert isinstance(result.exception, HeadraceError) and "headrace indexer" in str(result.exception)


@pytest.mark.parametrize(
    "options",
    [["--store"], ["--store", "--topic", "t", "--app", "support"], ["--store", "--app", "support", "--from", "0"]],
)
def test_what_does_not_go_together_is_wrong_usage(options: list[str]) -> None:
    assert CliRunner().invoke(app, ["data", "check", *options]).exit_code == 2


def test_a_decision_without_words_trains_nothing(store: Callable[[], SQLiteStore], tmp_path: Path) -> None:
    """A message of a conversation that people got, as it is a picture alone."""
    fill(store())
    stored = store()
    stored.index([decision(9, text="", labels={}, action="queue:people", at="2026-11-05T10:00:00.000Z")])
    stored.close()
    assert [one["lines"] for one in check()["findings"] if one["kind"] == "no_text"] == [[4]]
    output = tmp_path / "chats.csv"
    command = ["data", "clean", "--store", "--app", "support", "--keep-copies", "--output", str(output)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    with output.open(newline="", encoding="utf-8") as file:
        assert all(row["text"] for row in csv.DictReader(file))
