"""The texts of a topic are checked and written to a file as those of a file are, with labels that people gave."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
import typer
from topics_in_memory import MemoryAdmin, MemoryReader, MemoryTopics
from typer.testing import CliRunner

from headrace.applications import load_application
from headrace.cli import app
from models.errors import HeadraceError
from streams.topics import FEEDBACK_TOPIC

EPOCH = "0a1b2c3d"
CHATS = "support.chats"


class Admin(MemoryAdmin):
    def describe(self, topics: list[str]) -> dict[str, Any]:
        return {topic: SimpleNamespace(epoch=EPOCH) for topic in topics if topic == CHATS}


class Wiring:
    """The parts of the real one that reading a topic needs."""

    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    def admin(self) -> Admin:
        return Admin(self._topics)

    def reader(self) -> MemoryReader:
        return self._topics.reader()

    def close(self) -> None:
        pass


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    topics = MemoryTopics()
    monkeypatch.setattr("headrace.tools.data.reading.Wiring", lambda settings: Wiring(topics))
    for text in ("where is  it", "<b>refund</b> me", "where is it", 7):
        topics.append(CHATS, orjson.dumps({"text": text}), b"customer")
    topics.append(CHATS, None, b"customer")  # a deletion is nothing to look at
    topics.append(CHATS, b"\xff not JSON", b"customer")
    for offset, label in ((0, "delivery"), (1, "refund"), (2, "parcel")):
        identity = f"{CHATS}@{EPOCH}-0-{offset}"
        told = {"decision_id": identity, "head": "intent", "label": label, "by": "ann", "at": "2026-01-01T00:00:00Z"}
        topics.append(FEEDBACK_TOPIC, orjson.dumps(told), f"{identity}|intent|ann".encode())
    return topics


def check(*options: str) -> dict[str, Any]:
    command = ["data", "check", "--topic", CHATS, "--app", "support", "--json", "--no-label-errors", *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.exception
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_findings_of_a_topic_name_the_decisions_ids(topics: MemoryTopics) -> None:
    found = {one["kind"]: one for one in check()["findings"]}
    assert found["copy"]["ids"] == [f"{CHATS}@{EPOCH}-0-0", f"{CHATS}@{EPOCH}-0-2"]
    assert found["html"]["ids"] == [f"{CHATS}@{EPOCH}-0-1"] and "conflict" not in found
    unreadable = [one["detail"] for one in check()["findings"] if one["kind"] == "unreadable"]
    assert [detail.partition(":")[0] for detail in unreadable] == [f"{CHATS}[0] offset 3", f"{CHATS}[0] offset 5"]


def test_messages_without_words_are_no_texts_to_train_on(topics: MemoryTopics) -> None:
    """People get them, as the application hands conversations over; there is nothing in them to learn."""
    assert load_application("support").hand_over is not None
    for text in (None, ""):
        topics.append(CHATS, orjson.dumps({"text": text, "photo": "p.png"}), b"customer")
    report = check()
    unreadable = [one["detail"] for one in report["findings"] if one["kind"] == "unreadable"]
    assert sorted(detail.partition(":")[0] for detail in unreadable)[-2:] == [
        f"{CHATS}[0] offset 6",
        f"{CHATS}[0] offset 7",
    ]
    assert not [one for one in report["findings"] if one["kind"] == "no_text"]


def test_labels_that_people_gave_are_checked_with_their_texts(topics: MemoryTopics) -> None:
    report = check("--labels", FEEDBACK_TOPIC)
    assert report["labels"] == {"delivery": 1, "refund": 1, "parcel": 1}
    conflicts = [one["lines"] for one in report["findings"] if one["kind"] == "conflict"]
    assert conflicts == [[1, 3]]


def test_a_topic_becomes_a_clean_file_that_trains(topics: MemoryTopics, tmp_path: Path) -> None:
    output = tmp_path / "chats.csv"
    command = ["data", "clean", "--topic", CHATS, "--app", "support", "--labels", FEEDBACK_TOPIC]
    assert CliRunner().invoke(app, [*command, "--output", str(output)]).exit_code == 0
    with output.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {"id": f"{CHATS}@{EPOCH}-0-1", "text": "refund me", "intent": "refund"}
    assert [row["intent"] for row in rows] == ["delivery", "refund", "parcel"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--topic", "absent", "--app", "support"), "there is no topic absent"),
        (("--topic", CHATS, "--app", "support", "--from", "5"), "no text to look at"),
        (
            ("--topic", CHATS, "--app", "support", "--labels", FEEDBACK_TOPIC, "--label-column", "mood"),
            "no head 'mood'; it has: intent",
        ),
    ],
)
def test_what_is_not_there_is_one_clear_line(topics: MemoryTopics, options: tuple[str, ...], words: str) -> None:
    result = CliRunner().invoke(app, ["data", "check", *options])
    assert isinstance(result.exception, HeadraceError) and words in str(result.exception)


@pytest.mark.parametrize(
    "options", [(), ("data.csv", "--topic", CHATS, "--app", "support"), ("--topic", CHATS), ("data.csv", "--from", "3")]
)
def test_a_file_or_a_topic_with_its_application_is_wanted(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["data", "check", *options])
    assert result.exit_code == typer.BadParameter("").exit_code == 2
