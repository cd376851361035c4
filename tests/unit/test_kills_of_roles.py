"""Whether a run in which roles were killed came to what an undisturbed one comes to: each defect is found."""

import asyncio
import csv
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.kills.roles.judging import Seen, violations
from bench.kills.roles.role import keep_one_order
from bench.kills.roles.traffic import acts, records
from headrace.applications import load_application
from streams.faust_runtime.producer import Producer
from streams.wire.records import HeldConversation

NOW_MS = 1_796_040_000_000


def decision(number: int, epoch: str = "e1", **fields: Any) -> dict[str, Any]:
    return {"id": f"in@{epoch}-0-{number}", "labels": {"a": "x"}, "version": "1", "path": "full"} | fields


def answer(number: int, epoch: str = "e1", **fields: Any) -> dict[str, Any]:
    return {"id": f"in@{epoch}-0-{number}", "kind": "question", "conversation": "c", "version": 1, "text": "?"} | fields


def held(**fields: Any) -> dict[str, Any]:
    said = [{"by": "customer", "text": "hello", "version": 1}]
    return {"owner": "people", "step": "taken", "queue": "q", "version": 1, "revision": 2, "said": said} | fields


def seen(epoch: str) -> Seen:
    return Seen(
        source=["0-0", "0-1"],
        decisions=[decision(0, epoch, path="fast" if epoch == "e2" else "full"), decision(1, epoch)],
        replayed=[decision(0, epoch), decision(1, epoch)],
        stored=[f"in@{epoch}-0-0", f"in@{epoch}-0-1"],
        answers=[answer(0, epoch)],
        held={"c": held()},
        stories=[{"id": f"in@{epoch}-0-1", "story_id": f"in@{epoch}-0-0"}],
        trends={"w": {"id": "w", "items": 2, "late": int(epoch == "e2"), "largest": {"story_id": f"in@{epoch}-0-0"}}},
        alerts=[{"fingerprint": "f", "rule": "surge", "state": state} for state in ("firing", "resolved")],
        told=["k1", "k2"],
    )


UNDISTURBED, KILLED = seen("e1"), seen("e2")
ONE = decision(0, "e2")
DEFECTS: dict[str, Seen] = {
    "not in the store: 1": replace(KILLED, stored=KILLED.stored[:1]),
    "twice in the store: 1": replace(KILLED, stored=[*KILLED.stored, KILLED.stored[0]]),
    "not in the decisions: 1": replace(KILLED, decisions=KILLED.decisions[:1]),
    "decided again and otherwise": replace(KILLED, decisions=[*KILLED.decisions, ONE | {"labels": {"a": "y"}}]),
    "decisions otherwise than undisturbed": replace(KILLED, decisions=[ONE | {"version": "2"}, KILLED.decisions[1]]),
    "told twice": replace(KILLED, answers=[answer(0, "e2"), answer(0, "e2")]),
    "replayed decisions missing": replace(KILLED, replayed=KILLED.replayed[:1]),
    "replayed decisions otherwise": replace(KILLED, replayed=[ONE | {"labels": {"a": "y"}}, KILLED.replayed[1]]),
    "answers missing": replace(KILLED, answers=[]),
    "answers too many": replace(KILLED, answers=[answer(0, "e2"), answer(1, "e2")]),
    "answers otherwise": replace(KILLED, answers=[answer(0, "e2", text="!")]),
    "conversations with people missing": replace(KILLED, held={}),
    "conversations with people otherwise": replace(KILLED, held={"c": held(owner="headrace")}),
    "stories of items missing": replace(KILLED, stories=[]),
    "stories of items otherwise": replace(KILLED, stories=[{"id": "in@e2-0-1", "story_id": "in@e2-0-1"}]),
    "windows of trends otherwise": replace(KILLED, trends={"w": KILLED.trends["w"] | {"items": 3}}),
    "windows of trends otherwise than undisturbed: 1, such as w (largest": replace(
        KILLED, trends={"w": KILLED.trends["w"] | {"largest": {"story_id": "in@e2-0-1"}}}
    ),
    "told of its story again and otherwise": replace(
        KILLED, stories=[*KILLED.stories, {"id": "in@e2-0-1", "story_id": "in@e2-0-1"}]
    ),
    "windows of trends too many": replace(KILLED, trends={"w": {}, "v": {}}),
    "is over and never began": replace(KILLED, alerts=KILLED.alerts[1:]),
    "rules that told of something missing": replace(KILLED, alerts=[]),
    "told 1 times again": replace(KILLED, told=["k1", "k1"]),
    "dead letters too many": replace(KILLED, dead_letters=["bad_json"]),
}


def test_kills_that_cannot_be_told_from_what_came_are_nothing() -> None:
    assert violations(KILLED, UNDISTURBED, 0) == []
    again = replace(KILLED, decisions=[*KILLED.decisions, ONE], told=["k1", "k1", "k2"])
    assert violations(again, UNDISTURBED, 1) == []


@pytest.mark.parametrize(("probability", "is_same"), [(0.856168, True), (0.8571, False)])
def test_only_the_last_digits_of_a_number_may_differ(probability: float, is_same: bool) -> None:
    def decided(probability: float) -> list[dict[str, Any]]:
        items = [{"item_id": "i1", "score": probability}]
        return [decision(0, labels={"a": {"probability": probability}}, items=items), decision(1)]

    wanted = replace(UNDISTURBED, decisions=decided(0.856169))
    killed = replace(KILLED, decisions=decided(probability), replayed=decided(probability))
    assert (violations(killed, wanted, 0) == []) == is_same


@pytest.mark.parametrize("says", DEFECTS)
def test_each_defect_is_found(says: str) -> None:
    assert any(says in one for one in violations(DEFECTS[says], UNDISTURBED, 0))


@pytest.mark.parametrize("name", ["support", "finance", "recommend"])
def test_two_runs_get_the_very_same_records_with_keys_and_times(name: str) -> None:
    app = load_application(name)
    sent = records(app, 100, 7, NOW_MS)
    assert sent == records(app, 100, 7, NOW_MS) != records(app, 100, 8, NOW_MS) or app.kind == "recommend"
    assert len(sent) == 100 and all(key for key, _ in sent)
    assert (len({key for key, _ in sent}) == 1) == (name != "support")  # what one item tells hangs on those before it
    times = [json.loads(value)["at"] for _, value in sent]
    assert times == sorted(times) and len(set(times)) == 100


def test_what_makes_a_surge_comes_in_one_stretch() -> None:
    app = load_application("finance")
    assert app.corpus is not None
    with app.corpus.open(encoding="utf-8", newline="") as source:
        said = {row["text"]: (row["topic"], row["sentiment"]) for row in csv.DictReader(source)}
    labels = [said[json.loads(value)["text"]] for _, value in records(app, 300, 7, NOW_MS)]
    assert len(set(labels[150:180])) == 1 and labels[150][1] == "negative"
    assert len(set(labels[:150])) > 10


def test_people_do_what_is_theirs_once() -> None:
    one = HeldConversation.model_validate(
        held()
        | {"id": "c", "app": "a", "reason": "r", "asked_by": "headrace", "at": "2026-11-30T12:00:00Z"}
        | {"step": "handed_over", "said": []}
    )
    (taken,) = acts({"c": one}, "taken", NOW_MS)
    assert (taken.kind, taken.revision, taken.version) == ("taken", 2, 1)
    assert not list(acts({"c": one}, "answered", NOW_MS))
    (answered,) = acts({"c": one.model_copy(update={"assignee": "ann"})}, "answered", NOW_MS)
    assert answered.text  # words for the customer


def test_a_role_writes_topics_of_one_partition_into_the_first_of_those_that_an_embedded_broker_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def choose(producer: Producer, topic: str) -> Callable[[bytes | None], int]:
        return lambda key: 3

    monkeypatch.setattr(Producer, "_partitioner", choose)  # and put back what stood there
    keep_one_order({"signals.finance"})
    producer = Producer.__new__(Producer)

    def place_in(topic: str) -> int:
        return asyncio.run(producer._partitioner(topic))(b"key")

    assert (place_in("signals.finance"), place_in("decisions.finance")) == (0, 3)
