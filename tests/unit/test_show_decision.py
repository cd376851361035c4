"""`headrace show ID`: all that is known of one decision (N-6: it stood in four places, half of them JSON only)."""

import json
from pathlib import Path
from typing import Any

import pytest
from small_release import small_release
from typer.testing import CliRunner

from connectors.ports import Record
from connectors.sqlite_store import SQLiteStore
from headrace.cli import app as cli
from headrace.tools.decisions import KnownDecision, find_decision, leads_to, lines, standing_labels
from models.errors import ConfigError
from streams.wire.records import Feedback

ID = "support.chats@0a1b2c3d-0-17"


def decision(**fields: Any) -> dict[str, Any]:
    head = {"label": "refund", "probability": 0.71, "oos_score": 2.5, "rejected": True}
    return {
        "id": ID,
        "app": "support",
        "model": "support",
        "version": "2",
        "path": "full",
        "at": "2026-11-01T10:00:00.000Z",
        "decided_at": "2026-11-01T10:00:00.020Z",
        "latency_ms": 20,
        "labels": {"intent": head},
        "action": "queue:people",
        "text": "where is\nmy money",
        "key": "c1",
        "extra": {"channel": "chat"},
    } | fields


def label(value: str | None, by: str, at: str, offset: int) -> Record:
    feedback = None if value is None else Feedback(decision_id=ID, head="intent", label=value, by=by, at=at)
    key = f"{ID}|intent|{by}".encode()
    return Record("feedback.labels", 0, offset, key, None if feedback is None else feedback.encode(), offset)


def test_a_decision_is_shown_with_queue_rejection_score_release_and_labels() -> None:
    release = {"strategy": "quick", "accuracy": {"intent": 0.93}, "is_champion": False}
    said = (Feedback(decision_id=ID, head="intent", label="cancel", by="ann", at="2026-11-02T00:00:00Z"),)
    shown = dict(lines(KnownDecision(decision(), release, said)))
    assert shown["intent"].startswith("refund, probability 0.71, out-of-scope score 2.50, rejected")
    assert (shown["action"], shown["key"], shown["extra channel"]) == ("queue:people", "c1", "chat")
    assert "support@2, path full, quick, not the champion now" in shown["release"] and "0.930" in shown["release"]
    assert shown["label"] == "intent: cancel, by ann, 2 Nov 2026 00:00 UTC"


def test_the_story_that_an_item_tells_is_shown() -> None:
    told = decision(story_id="news@0-0-3", novelty=0.251)
    assert dict(lines(KnownDecision(told, None, ())))["story"] == "news@0-0-3, novelty 0.25"


def test_what_is_said_of_each_entity_is_shown_with_how_much_the_text_is_about_it() -> None:
    acme = {"id": "acme", "name": "Acme", "span": [0, 4], "sentiment": "negative", "probability": 0.714}
    found = acme | {"name": "Dunmere", "relevance": 0.25, "found": "tagger", "span_probability": 0.9}
    told = decision(entities=[acme | {"relevance": 0.5}, acme, found])
    assert [value for name, value in lines(KnownDecision(told, None, ())) if name == "entity"] == [
        "Acme: negative 0.71, relevance 0.50",
        "Acme: negative 0.71",
        "Dunmere: negative 0.71, relevance 0.25, found by the tagger",
    ]


def test_without_registry_and_broker_the_rest_is_shown_and_the_gap_is_named() -> None:
    shown = dict(lines(KnownDecision(decision(), None, None)))
    assert "not in this registry" in shown["release"] and "no broker" in shown["label"]
    assert json.dumps(KnownDecision(decision(), None, None).as_json())


def test_only_standing_labels_of_this_decision_are_shown_oldest_first() -> None:
    other = Feedback(decision_id=f"{ID}1", head="intent", label="x", by="ann", at="2026-11-02T00:00:00Z")
    records = [
        label("refund", "ann", "2026-11-03T00:00:00Z", 0),
        label("invoice", "bob", "2026-11-02T00:00:00Z", 1),
        Record("feedback.labels", 0, 2, other.key, other.encode(), 2),
        label("cancel", "ann", "2026-11-04T00:00:00Z", 3),
        label("noise", "eve", "2026-11-01T00:00:00Z", 4),
        label(None, "eve", "", 5),
    ]
    assert [(said.by, said.label) for said in standing_labels(records, ID)] == [("bob", "invoice"), ("ann", "cancel")]


def test_an_id_that_is_not_there_is_told_with_the_places_to_look(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"support": list(small_release().classifier.heads)})
    with pytest.raises(ConfigError, match="deadletters list --topic"):
        find_decision(store, ID)
    store.index([decision()])
    assert find_decision(store, ID)["text"] == "where is\nmy money"
    store.close()


FOUND = {"text": "At the desk.", "id": "vouchers", "question": "Where?", "source": "shops", "confidence": 0.97}


def test_an_answer_is_shown_with_entry_and_source_and_not_as_an_action() -> None:
    shown = dict(lines(KnownDecision(decision(action="answer", answer=FOUND, bank="0a1b"), None, ())))
    assert shown["action"] == "answered: vouchers (shops) 0.97" and shown["answer"] == "At the desk."
    assert shown["bank asked"] == "0a1b" and "shops" in shown["answer found by"]
    asked = dict(lines(KnownDecision(decision(action="ask", ask={"text": "Which?", "slot": "order"}), None, ())))
    assert (asked["action"], asked["asks"]) == ("asks for order", "Which?")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"action": "queue:cards"}, ("queue:cards",)),
        (
            {"action": "queue:cards", "answer": {"text": "x", "label": "a"}},
            ("queue:cards", "answered: ready answer of a"),
        ),
        ({"action": "answer", "answer": {"text": "x", "id": "e"}}, ("answered: e",)),
        ({"action": "ask", "ask": {"text": "x", "choices": ["a", "b"]}}, ("asks which of two matters",)),
        ({"action": "none", "answer": "a text"}, ("none",)),
    ],
    ids=["a queue", "a ready answer", "an entry without a source", "a choice", "an answer of classify"],
)
def test_what_follows_is_told_in_words(fields: dict[str, Any], told: tuple[str, ...]) -> None:
    assert leads_to(fields) == told


def test_search_shows_and_finds_what_was_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"support": ["intent"]})
    store.index([decision(action="answer", answer=FOUND), decision(id=ID + "1", text="another")])
    store.close()
    said = CliRunner().invoke(cli, ["search", "--answer", "vouchers"], catch_exceptions=False).stdout
    assert "1 decision" in said and "answered: vouchers (shops) 0.97" in said and ID in said and "another" not in said
    assert "0 decisions" in CliRunner().invoke(cli, ["search", "--answer", "voucher"], catch_exceptions=False).stdout


def test_decisions_of_an_application_are_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--app tickets.toml`, as other commands take it, found none."""
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    file = tmp_path / "bath.toml"
    file.write_text('name = "support"\ntopic = "pool.texts"\n[[heads]]\nname = "topic"\ncolumn = "topic"\n', "utf-8")
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"support": ["intent"]})
    store.index([decision()])
    store.close()
    for asked in (["search"], ["show", ID]):
        said = CliRunner().invoke(cli, [*asked, "--app", str(file)], catch_exceptions=False)
        assert ID in said.stdout and "holds no decision" not in said.stderr
