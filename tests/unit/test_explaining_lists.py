"""`headrace explain` of a decision that is a list of items: why each stands in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from connectors.sqlite_store import SQLiteStore
from headrace.cli import app
from headrace.tools.decisions import KnownDecision, lines
from headrace.tools.labels.giving import _head
from headrace.tools.recommendation.reasons import reason
from models.errors import ConfigError

LISTED = [
    {"item_id": "i3", "score": 2.5, "why": "again", "because": "i3"},
    {"item_id": "i4", "score": 1.5, "why": "together", "because": "i3"},
    {"item_id": "a/b [c]", "score": 1.0, "why": "like", "because": "i4"},
    {"item_id": "i5", "score": 0.5, "why": "popular"},
    {"item_id": "i6", "score": 0.4, "why": "popular", "segment": "country=FR"},
    {"item_id": "i7", "score": 0.1, "why": "exploration", "propensity": 0.25},
]
WORDS = (
    "touched lately",
    "others touched it with i3",
    "reads like i4",
    "popular now",
    "popular in country=FR",
    "drawn, at 0.250",
)


def decision(**fields: Any) -> dict[str, Any]:
    return {
        "id": "user.events@0a1b2c3d-0-7",
        "app": "shop",
        "model": "shop",
        "version": "0a1b2c3d",
        "path": "full",
        "at": "2026-11-01T10:00:00.000Z",
        "decided_at": "2026-11-01T10:00:00.020Z",
        "latency_ms": 20,
        "labels": {},
        "items": LISTED,
        "action": "recommend",
        "text": "",
        "key": "u1",
        "extra": {"previous_list": {"taken": "i9", "rank": None, "new": True}},
    } | fields


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SQLiteStore:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    monkeypatch.setenv("HEADRACE_STORE", f"sqlite:///{tmp_path / 'decisions.db'}")
    store = SQLiteStore(tmp_path / "decisions.db")
    store.prepare({"shop": ()}, ["shop"])
    return store


def explained(*options: str) -> str:
    return CliRunner().invoke(app, ["explain", "--id", decision()["id"], *options], catch_exceptions=False).stdout


def test_each_item_of_a_list_says_why_in_words(store: SQLiteStore) -> None:
    assert [reason(item) for item in LISTED] == list(WORDS)
    store.index([decision()])
    told = explained()
    assert "a list for u1" in told and "i9 was taken, which was not in it" in told and "a/b [c]" in told
    assert all(words.split()[0] in told for words in WORDS)
    known = json.loads(explained("--json"))
    assert [(item["place"], item["item_id"], item["reason"]) for item in known["items"]] == [
        (place, item["item_id"], words) for place, (item, words) in enumerate(zip(LISTED, WORDS, strict=True), 1)
    ]
    assert known["previous_list"]["taken"] == "i9"
    with pytest.raises(ConfigError, match="no --html"):
        explained("--html", "x.html")


def test_an_empty_list_and_a_place_in_the_one_before_are_told(store: SQLiteStore) -> None:
    store.index([decision(items=[], extra={"previous_list": {"taken": "i9", "rank": 3, "new": False}})])
    told = explained()
    assert "i9 was taken, which stood at place 3" in told and "nothing was left to show" in told


def test_where_no_list_was_asked_for_that_is_told(store: SQLiteStore) -> None:
    store.index([decision(items=[], action="none")])
    told = explained()
    assert "learnt of u1" in told and "no list was asked for" in told and "nothing was left" not in told
    with pytest.raises(ValueError, match="is a ranked list, not a label"):
        _head(decision(items=[], action="none"), "primary")


def test_what_is_known_of_a_list_has_its_reasons_and_the_catalogue() -> None:
    told = dict(reversed(list(lines(KnownDecision(decision(), None, ())))))
    assert told["item"] == "i3 2.50, touched lately" and "release" not in told
    assert told["catalogue"] == "its file as version 0a1b2c3d"
