"""Labels one after the other, one key each, by several people at once."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from labelled_decisions import ALL_RANDOM, NO_RANDOM, world_of_decisions
from labelled_world import APP, World, decision

from connectors.registry import FolderRegistry
from headrace.tools.labels.asking import LabellingDesk, endless
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.tools.labels.giving import LabelGiver, NewLabel
from headrace.tools.labels.leases import LEASE_MS, Leases
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, add_label, labelling_queue
from streams.application import Application
from streams.topics import DOUBTS_TOPIC
from streams.wire.records import Doubts


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of_decisions(tmp_path)


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def test_what_one_person_looks_at_nobody_else_gets_for_ten_minutes(world: World) -> None:
    clock = Clock()
    ann = Leases("ann", world.topics.reader, world.topics.publisher(), clock)
    bob = Leases("bob", world.topics.reader, world.topics.publisher(), clock)
    assert ann.take("d1") and ann.take("d1")
    assert not bob.take("d1") and bob.take("d2")
    assert (ann.taken_by_others(), bob.taken_by_others()) == ({"d2"}, {"d1"})
    ann.give_back("d1")
    assert bob.take("d1") and not ann.take("d1")
    clock.now_ms += LEASE_MS + 1
    assert ann.take("d1") and bob.taken_by_others() == {"d1"}


def test_of_two_who_ask_at_once_one_gets_it(world: World) -> None:
    clock = Clock()
    ann = Leases("ann", world.topics.reader, world.topics.publisher(), clock)
    bob = Leases("bob", world.topics.reader, world.topics.publisher(), clock)

    def bob_is_faster() -> None:
        world.topics.before_write = lambda: None
        assert bob.take("d1")

    world.topics.before_write = bob_is_faster
    assert not ann.take("d1")
    assert ann.taken_by_others() == {"d1"}
    bob.give_back("d1")
    assert ann.take("d1")


class Script:
    """A terminal whose person presses these keys; a key of several letters is typed after `/` or `n`."""

    def __init__(self, *keys: str) -> None:
        self.keys, self.shown = list(keys), list[str]()

    def show(self, line: str) -> None:
        self.shown.append(line)

    def key(self) -> str:
        return self.keys.pop(0) if self.keys else "q"

    def line(self, question: str) -> str:
        return self.keys.pop(0)


def sit_down(
    world: World, *keys: str, limit: int = 5, app: Application = NO_RANDOM, wiring: Any = None
) -> tuple[LabellingDesk, Script]:
    giver = LabelGiver(wiring or world.wiring)
    leases = Leases("ann", world.topics.reader, world.topics.publisher())
    terminal = Script(*keys)
    desk = LabellingDesk(giver, leases, terminal, "ann", show=lambda text: text.upper())

    def refill() -> list[Asked]:
        return labelling_queue(read_pool(world.wiring, app), app, limit, leases.taken_by_others())

    desk.work(endless(refill))
    giver.close()
    return desk, terminal


def test_enter_confirms_a_number_gives_a_label_and_both_say_that_they_were_asked_for(world: World) -> None:
    desk, terminal = sit_down(world, "\r", "2", "q")
    first, second = world.said()
    assert (first.label, first.chosen, first.by) == ("fee", "queue", "ann")
    assert second.label == "delivery"
    assert desk.session.given == 2
    assert any(line.startswith("PLEASE TELL ME") for line in terminal.shown)
    assert "1 fee  2 delivery" in "".join(terminal.shown)


def test_a_label_is_typed_by_its_beginning_and_a_new_one_is_introduced(world: World) -> None:
    _, terminal = sit_down(world, "/", "ref", "/", "zz", "n", "recall", "q")
    assert [(said.label, said.introduces) for said in world.said()] == [("refund", None), ("recall", True)]
    assert any(line.startswith("which?") for line in terminal.shown)


def test_undo_takes_the_last_label_back_and_skip_leaves_the_decision_open(world: World) -> None:
    desk, terminal = sit_down(world, "2", "u", "s", "s", "u", "q")
    assert read_pool(world.wiring, NO_RANDOM).labels == ()
    assert (desk.session.given, desk.session.undone, desk.session.skipped) == (0, 1, 2)
    assert "nothing to undo" in terminal.shown


@pytest.mark.parametrize(("key", "asks_again"), [("2", False), ("2", True), ("\r", True), ("\r", False)])
def test_undo_lets_what_the_person_said_weeks_before_stand_again(world: World, key: str, asks_again: bool) -> None:
    """A tombstone took it away, also where the answer had changed nothing."""
    correct_one(world.wiring, decision(20)["id"], "", "fee", Speaker("ann"))
    (before,) = read_pool(world.wiring, NO_RANDOM).labels
    giver = LabelGiver(world.wiring)
    leases = Leases("ann", world.topics.reader, world.topics.publisher())
    terminal = Script(key, "u", "q")
    desk = LabellingDesk(giver, leases, terminal, "ann", show=str)
    first = Asked(decision(20), "intent", "second opinion", "queue", asks_again=asks_again)
    desk.work([first, Asked(decision(21), "intent", "unsure", "queue")])
    giver.close()
    assert read_pool(world.wiring, NO_RANDOM).labels == (before,)
    assert desk.session.undone == 1 and any("as before you say fee" in line for line in terminal.shown)


def test_a_new_label_that_is_taken_back_is_unknown_again(world: World) -> None:
    """Given once more in the same sitting, it did not say that it is meant to be new."""
    sit_down(world, "n", "recall", "u", "n", "recall", "q")
    assert [said.introduces for said in world.said()] == [True, True]


def test_who_says_again_what_they_introduced_still_introduces_it(world: World) -> None:
    identity = decision(20)["id"]
    doubt = {"decision_id": identity, "head": "intent", "label": "recall", "by": ["ann"], "again": "ann"}
    left = Doubts(app="support", request="r", at="2026-11-02T00:00:00Z", labels=[doubt | {"reason": "unlikely"}])
    world.topics.append(DOUBTS_TOPIC, left.encode(), b"support")
    for confirms in (False, True):
        correct_one(world.wiring, identity, "", "recall", Speaker("ann", True, confirms=confirms))
    assert [(said.confirms, said.introduces) for said in world.said()] == [(None, True), (True, True)]


def test_what_is_taken_back_is_asked_about_again(world: World) -> None:
    _, terminal = sit_down(world, "2", "u", "s", "\r", "q")
    (said,) = world.said()[-1:]
    first = [line for line in terminal.shown if line.startswith(("PLEASE", "TEXT"))]
    assert first[0] == first[-1] or first.count(first[0]) >= 2
    assert said.label == "fee"


def test_without_a_registry_any_label_is_taken_as_it_is_typed_and_the_person_is_told(
    world: World, tmp_path: Path
) -> None:
    wiring = world.wiring
    wiring.registry = lambda: FolderRegistry(str(tmp_path / "another"))
    _, terminal = sit_down(world, "/", "refund", "q", wiring=wiring)
    assert [said.label for said in world.said()] == ["refund"]
    assert any("does not tell which labels there are" in line for line in terminal.shown)


def test_a_person_who_leaves_gives_back_what_they_looked_at(world: World) -> None:
    sit_down(world, "q")
    assert Leases("bob", world.topics.reader, world.topics.publisher()).taken_by_others() == set()


def test_the_queue_is_worked_off_to_its_end(world: World) -> None:
    desk, _ = sit_down(world, *["\r"] * 100)
    assert desk.session.given == 11  # ten subjects, and the ten texts that differ by a number only, once


def test_who_corrects_what_they_were_asked_about_at_random_keeps_it_random(world: World) -> None:
    add_label(world.wiring, ALL_RANDOM, decision(20)["id"], "", "refund", Speaker("ann", chosen="queue"))
    correct_one(world.wiring, decision(20)["id"], "", "delivery", Speaker("ann"))
    correct_one(world.wiring, decision(21)["id"], "", "delivery", Speaker("ann"))
    add_label(world.wiring, ALL_RANDOM, decision(21)["id"], "", "delivery", Speaker("ann", chosen="queue"))
    standing = read_pool(world.wiring, APP).labels
    assert {(said.decision_id[-2:], said.label, said.chosen) for said in standing} == {
        ("20", "delivery", "random"),
        ("21", "delivery", "random"),
    }


def test_a_draw_from_all_of_the_stream_says_more_than_one_from_an_episode(world: World) -> None:
    giver = LabelGiver(world.wiring)

    def say(number: int, label: str, chosen: Any, probability: float | None = None, stratum: Any = None) -> None:
        new = NewLabel(decision(number), "", label, "ann", 0, chosen, probability, stratum=stratum)
        assert not giver.give([new]).rejected

    say(20, "refund", "random", 0.25, "episode")
    say(20, "delivery", "correction")
    say(21, "refund", "random", 0.25, "episode")
    say(21, "refund", "random", 0.01)
    say(21, "refund", "random", 0.25, "episode")
    giver.close()
    standing = read_pool(world.wiring, APP).labels
    assert {(said.decision_id[-2:], said.label, said.probability, said.stratum) for said in standing} == {
        ("20", "delivery", 0.25, "episode"),
        ("21", "refund", 0.01, None),
    }


def test_what_the_queue_shows_can_be_labelled_before_it_is_in_the_store(world: World) -> None:
    world.topics.append("decisions.support", orjson.dumps(decision(90, text="brand new")), b"c1")
    report = add_label(world.wiring, APP, decision(90)["id"], "", "refund", Speaker("ann", chosen="queue"))
    assert len(report.taken) == 1


def test_embeddings_of_another_encoder_are_not_compared(world: World) -> None:
    def signal(number: int, size: int) -> dict[str, Any]:
        vector = base64.b64encode(np.ones(size, np.float16).tobytes()).decode()
        return {
            "id": decision(number)["id"],
            "at": "2026-11-01T00:00:00Z",
            "version": "1",
            "labels": {"intent": ["fee", 0.7]},
            "embedding": vector,
        }

    world.topics.append("signals.support", orjson.dumps([signal(20, 4), signal(21, 8)]), None)
    sizes = {one.embedding.size for one in read_pool(world.wiring, APP).candidates if one.embedding is not None}
    assert sizes == {8}
    assert labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 5)


def test_a_label_added_to_a_drawn_decision_counts_as_random(world: World) -> None:
    add_label(world.wiring, ALL_RANDOM, decision(20)["id"], "", "refund", Speaker("ann", chosen="queue"))
    add_label(world.wiring, NO_RANDOM, decision(21)["id"], "", "refund", Speaker("ann", chosen="queue"))
    assert [(said.chosen, said.probability) for said in world.said()] == [("random", 1.0), ("queue", None)]
