"""What a person reads of a conversation, and in which order those that wait are shown."""

from typing import Any

import pytest

from headrace.tools.conversations.desk import find, screen, waiting_first
from models.errors import ConfigError
from streams.wire.records import HeldConversation


def held(identity: str, **fields: Any) -> HeldConversation:
    return HeldConversation.model_validate(
        {
            "id": identity,
            "app": "desk",
            "owner": "people",
            "step": "handed_over",
            "reason": "angry twice",
            "asked_by": "headrace",
            "at": "2026-11-30T12:00:00.000Z",
            "revision": 1,
            "version": 2,
            "queue": "billing",
        }
        | fields
    )


def test_whoever_waits_longest_is_shown_first_and_what_headrace_has_is_not() -> None:
    known = {
        one.id: one
        for one in (
            held("late", respond_by="2026-11-30T13:00:00.000Z"),
            held("nobody waits"),
            held("early", respond_by="2026-11-30T12:30:00.000Z", queue="duty"),
            held("back", owner="headrace"),
        )
    }
    assert [one.id for one in waiting_first(known)] == ["early", "late", "nobody waits"]
    assert [one.id for one in waiting_first(known, "duty")] == ["early"]
    assert find(known, "back").owner == "headrace"
    with pytest.raises(ConfigError, match="they have early"):
        find(known, "other")


def test_one_screen_says_whose_it_is_why_and_what_was_said() -> None:
    labels = {"intent": {"label": "refund", "probability": 0.91}, "tone": {"label": "angry", "probability": 0.8}}
    said = [
        {"by": "customer", "text": "my money", "at": "2026-11-30T12:00:00.000Z", "version": 1, "labels": labels},
        {"by": "headrace", "text": "Which order?", "at": "2026-11-30T12:00:01.000Z", "version": 1, "kind": "question"},
        {"by": "person", "text": "Hello.", "at": "2026-11-30T12:01:00.000Z", "version": 2, "person": "ann"},
    ]
    one = held(
        "c1",
        said=said,
        intents=[labels["intent"]],
        courses={"tone": ["calm", "angry"]},
        slots=[{"name": "order", "value": "MB-7", "version": 1}],
        respond_by="2026-11-30T12:30:00.000Z",
        priority="P1",
    )
    assert screen(one) == [
        ("who", "nobody yet, queue billing"),
        ("why", "angry twice (by headrace, handed over 2026-11-30T12:00Z)"),
        ("answer by", "2026-11-30T12:30Z, P1"),
        ("about", "refund 91%"),
        ("order", "MB-7"),
        ("tone", "calm → angry"),
        ("customer", "my money"),
        ("Headrace", "Which order?"),
        ("ann", "Hello."),
        ("seen", "version 2, revision 1"),
    ]


def test_what_a_customer_chose_is_what_a_conversation_is_about() -> None:
    """Who answered "the first" to a question with two choices was shown as what the words "the first" look like."""
    last = {"label": "return_item", "probability": 0.47, "rejected": True}
    assert ("about", "delivery") in screen(held("c1", intents=[last], intent="delivery"))
    assert ("about", "return_item 47% (not sure)") in screen(held("c1", intents=[last], intent="return_item"))
    assert ("about", "return_item 47% (not sure)") in screen(held("c1", intents=[last]))  # a record from before
