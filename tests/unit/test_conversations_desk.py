"""What a person reads of a conversation, and in which order those that wait are shown."""

from typing import Any

import pytest
from desk import APP

import headrace.tools.conversations.desk as desk
from headrace.tools.conversations.desk import Deed, do, find, look, nobody_waits, row, screen, waiting_first
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


def test_a_list_of_what_there_is_says_how_many_more() -> None:
    with pytest.raises(ConfigError, match=r"'x'; they have c0, c1, c2, c3, c4 and 7 more \("):
        find({f"c{n}": held(f"c{n}", respond_by=f"2026-11-30T12:{n:02d}:00.000Z") for n in range(12)}, "x")
    with pytest.raises(ConfigError, match=r"they have c0, c1 \("):
        find({f"c{n}": held(f"c{n}") for n in range(2)}, "x")


def test_an_empty_list_of_one_queue_says_where_the_others_are() -> None:
    """A slip in the queue's name read as if nobody waited anywhere."""
    known = {"a": held("a"), "b": held("b"), "c": held("c", queue="duty"), "d": held("d", owner="headrace", queue="x")}
    said = nobody_waits(known, "biling")
    assert said == "people have no conversation in the queue 'biling'; in others they have: billing 2, duty 1"
    assert nobody_waits({}, "billing") == nobody_waits({}, None) == "people have no conversation"


@pytest.mark.parametrize("kind", ["taken", "answered", "handed_back"])
def test_a_conversation_that_is_nowhere_is_told_from_one_that_headrace_has(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`answer` and `return` told to take one that nobody ever wrote in, and `take` then said that there is none."""
    monkeypatch.setattr(desk, "held_conversations", lambda *_: {})
    monkeypatch.setattr(desk, "_version_decided", lambda wiring, app, identity: 2 if identity == "c1" else None)
    with pytest.raises(ConfigError, match="nobody has written in a conversation 'c2'"):
        do(None, APP, "c2", Deed(kind, "ann", text="x"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="people have no conversation 'c2'"):
        look(None, APP, "c2")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="Headrace has 'c1': `headrace conversations take desk c1` makes it yours"):
        look(None, APP, "c1")  # type: ignore[arg-type]
    if kind != "taken":
        with pytest.raises(ConfigError, match="Headrace has 'c1': `headrace conversations take desk c1` first"):
            do(None, APP, "c1", Deed(kind, "ann", text="x"))  # type: ignore[arg-type]


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
        ("why", "angry twice (by headrace, handed over 30 Nov 2026 12:00 UTC)"),
        ("answer by", "30 Nov 2026 12:30 UTC, P1"),
        ("about", "refund, 91% sure by the last message"),
        ("order", "MB-7"),
        ("tone", "calm → angry"),
        ("customer", "my money"),
        ("Headrace", "Which order?"),
        ("ann", "Hello."),
        ("seen", "version 2, revision 1"),
    ]


def test_the_matter_before_is_told_where_the_last_message_is_not_understood() -> None:
    """Who was asked for an order number and wrote "i don't have it" was shown as what those words look like."""
    refund = {"label": "refund", "probability": 0.91}
    odd = {"label": "exchange", "probability": 0.23, "rejected": True}
    assert ("about", "refund; the last message is not understood") in screen(held("c1", intents=[refund, odd]))
    assert ("about", "perhaps exchange, only 23% sure") in screen(held("c1", intents=[odd, odd]))


def test_what_headrace_has_again_says_since_when_and_not_why_people_had_it() -> None:
    back = screen(held("c1", owner="headrace", step="handed_back"))
    assert back[0] == ("who", "Headrace, handed back 30 Nov 2026 12:00 UTC") and "why" not in dict(back)


def test_a_row_of_the_list_says_what_it_is_about_where_the_queue_is_the_only_reason() -> None:
    refund = {"label": "refund", "probability": 0.91}
    due = "2026-11-30T12:30:00.000Z"
    one = held("c1", reason="goes to billing", intents=[refund], respond_by=due, priority="P1")
    assert row(one) == ("c1", "billing", "", "P1", "30 Nov 2026 12:30", "refund, 91% sure by the last message")
    assert row(held("c1", intents=[refund], assignee="ann")) == ("c1", "billing", "ann", "", "", "angry twice")


def test_an_answer_that_is_late_says_so() -> None:
    due = held("c1", respond_by="2026-11-30T12:30:00.000Z", priority="P1")
    before, after = 1_796_041_800_000, 1_796_041_800_001  # 12:30 UTC of that day
    assert dict(screen(due, before))["answer by"] == "30 Nov 2026 12:30 UTC, P1"
    assert dict(screen(due, after))["answer by"] == "30 Nov 2026 12:30 UTC, late, P1"
    assert (row(due, before)[4], row(due, after)[4]) == ("30 Nov 2026 12:30", "30 Nov 2026 12:30 late")


def test_what_a_customer_chose_is_what_a_conversation_is_about() -> None:
    """Who answered "the first" to a question with two choices was shown as what the words "the first" look like."""
    last = {"label": "return_item", "probability": 0.47, "rejected": True}
    assert ("about", "delivery") in screen(held("c1", intents=[last], intent="delivery"))
    assert ("about", "perhaps return item, only 47% sure") in screen(held("c1", intents=[last], intent="return_item"))
    assert ("about", "perhaps return item, only 47% sure") in screen(held("c1", intents=[last]))  # a record from before
