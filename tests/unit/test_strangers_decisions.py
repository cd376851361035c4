"""What no worker has written in a topic of decisions is passed over by all who read it."""

import logging
from pathlib import Path
from typing import Any

import orjson
import pytest
from labelled_decisions import NO_RANDOM
from labelled_world import APP, World, decision

from headrace.tools.labels.finding import decisions_by_text
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import labelling_queue
from headrace.tools.labels.report import label_report
from headrace.training.texts import decided_texts
from models.errors import MessageError
from streams.topics import LEASES_TOPIC
from streams.wire.records import read_decision

ANSWER = {"label": "x", "probability": 0.9}
WRONG: list[dict[str, Any]] = [
    *({name: None} for name in ("id", "text", "model", "version", "at", "decided_at", "labels")),
    {"id": 7},
    {"id": ["a"]},
    {"text": ["x"]},
    {"at": "yesterday"},
    {"decided_at": "2026"},
    {"labels": ["intent"]},
    {"labels": {"intent": "x"}},
    {"labels": {"intent": {"label": "x"}}},
    {"labels": {"intent": ANSWER | {"label": 3}}},
    {"labels": {"intent": ANSWER | {"probability": "high"}}},
    {"labels": {"intent": ANSWER | {"probability": True}}},
    {"labels": {"intent": ANSWER, "urgency": "x"}},
]


@pytest.mark.parametrize("fields", WRONG, ids=str)
def test_a_decision_with_a_field_of_another_kind_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match="no decision"):
        read_decision(orjson.dumps(decision(1) | fields))


@pytest.mark.parametrize("value", [None, b"", b"no json", b"[]", b"7", b'{"labels": {"intent": {"label": "x"}}}'])
def test_what_is_no_decision_at_all_is_told(value: bytes | None) -> None:
    with pytest.raises(MessageError):
        read_decision(value)


def test_decisions_of_every_kind_of_application_and_with_unknown_fields_are_read() -> None:
    for fields in ({}, {"labels": {}, "items": []}, {"new": 1}, {"labels": {"intent": ANSWER | {"more": 1}}}):
        document = decision(1) | fields
        assert read_decision(orjson.dumps(document)) == document


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Ten decisions with all that is none between them."""
    world = World(tmp_path)
    world.topics.records["signals.support"] = []
    world.topics.records[LEASES_TOPIC] = []
    for number, fields in enumerate(WRONG, 40):
        world.topics.append("decisions.support", orjson.dumps(decision(number) | fields), b"c1")
    world.decide(decision(30, text="the last word"))
    return world


def test_all_who_read_decisions_pass_strangers_over_and_say_how_many(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    pool = read_pool(world.wiring, NO_RANDOM)
    assert len(pool.decisions) == 11
    assert labelling_queue(pool, NO_RANDOM, 5) and label_report(pool, NO_RANDOM).total == 0
    assert decisions_by_text(world.topics.reader(), APP, ["the last word", "text 3"]).keys() == {
        "the last word",
        "text 3",
    }
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(told) == 2
    assert all(f"{len(WRONG)} records are passed over" in words and "partition 0, offset 10" in words for words in told)


def test_texts_for_a_training_are_found_beside_them(world: World) -> None:
    late = decision(31, text="not stored yet")
    world.topics.append("decisions.support", orjson.dumps(late), b"c1")
    assert decided_texts(world.wiring, APP, [late["id"]]) == {late["id"]: "not stored yet"}
