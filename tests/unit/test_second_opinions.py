"""Labels that wait for a second person are asked about, of others than who gave them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from labelled_world import APP, World, decision

from headrace.tools.labels.asking import LabellingDesk
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.tools.labels.exchange import exported, import_file
from headrace.tools.labels.giving import LabelGiver
from headrace.tools.labels.leases import Leases
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, add_label, labelling_queue
from headrace.tools.labels.report import label_report
from headrace.tools.labels.second_opinions import ASKED_AT_ONCE, ASKED_OF_A_KIND, open_doubts, to_ask
from streams.application import Labelling
from streams.topics import DOUBTS_TOPIC, FEEDBACK_TOPIC, LEASES_TOPIC
from streams.wire.records import Doubts, Feedback

NO_RANDOM = APP.model_copy(update={"labelling": Labelling(random_share=0, random_per_day=0)})


def said(number: int, label: str = "refund", by: str = "ann", **more: Any) -> Feedback:
    identity = decision(number)["id"]
    return Feedback(decision_id=identity, head="intent", label=label, by=by, at="2026-11-02T00:00:00Z", **more)


def doubt(number: int, label: str = "refund", reason: str = "relabelling", instead: str = "fee") -> dict[str, Any]:
    head = {"decision_id": decision(number)["id"], "head": "intent"}
    return head | {"label": label, "by": ["ann"], "reason": reason, "instead": instead}


def again(number: int) -> dict[str, Any]:
    """One that its own giver may settle, as the training saw it."""
    return doubt(number) | {"again": "ann"}


def asked(doubts: list[dict[str, Any]], labels: list[Feedback], by: str | None = "bob") -> list[tuple[str, bool]]:
    return [(identity, asks_again) for identity, _, asks_again in to_ask(doubts, labels, by)]


OTHERS = [said(number, by="bob") for number in range(50, 60)]
TEAM = [said(0), *OTHERS]


def test_another_person_is_asked_and_who_said_it_is_not() -> None:
    assert asked([doubt(0)], TEAM, "bob") == [(decision(0)["id"], False)]
    assert asked([doubt(0)], TEAM, None) == [(decision(0)["id"], False)]
    assert asked([doubt(0)], TEAM, "ann") == []


@pytest.mark.parametrize(
    "labels",
    [
        OTHERS,
        [said(0, "fee"), *OTHERS],
        [said(0), said(0, by="cem"), *OTHERS],
        [said(0), said(0, "fee", "cem"), said(0, "fee", "dora"), *OTHERS],
    ],
    ids=["withdrawn", "said otherwise since", "a second person agrees", "two say something else"],
)
def test_what_is_settled_is_not_asked_about(labels: list[Feedback]) -> None:
    assert asked([doubt(0)], labels) == []


def test_where_two_disagree_a_third_is_asked() -> None:
    labels = [*TEAM, said(0, "fee", "cem")]
    assert asked([doubt(0, reason="contested")], labels, "dora") == [(decision(0)["id"], False)]


@pytest.mark.parametrize("labels", [[], OTHERS], ids=["alone", "others have come since"])
def test_whose_own_word_the_training_takes_is_asked_again_and_so_is_anybody_else(labels: list[Feedback]) -> None:
    """The queue said by itself who labels nearly alone, by other texts than the training: some labels were stuck."""
    assert asked([again(0)], [said(0), *labels], "ann") == [(decision(0)["id"], True)]
    assert asked([again(0)], [said(0), *labels], "bob") == [(decision(0)["id"], False)]
    assert asked([again(0)], [said(0), said(0, "fee", "bob"), *labels], "ann") == [], "two disagree: a third must say"
    for by in ("ann", "bob"):
        assert asked([again(0)], [said(0, confirms=True), *labels], by) == []


@pytest.mark.parametrize("labels", [[], OTHERS], ids=["alone", "in a team"])
def test_what_only_another_person_can_settle_stays_open_until_then(labels: list[Feedback]) -> None:
    """Of a label over the cap its giver was asked again, to no end: it did not count, and nobody was asked any more."""
    over = doubt(0, reason="over the cap")
    for word in (said(0), said(0, confirms=True)):
        assert asked([over], [word, *labels], "ann") == []
        assert asked([over], [word, *labels], "bob") == [(decision(0)["id"], False)]
    assert asked([over], [said(0, confirms=True), said(0, by="bob"), *labels], "cem") == []


def test_a_few_of_a_kind_are_asked_about_at_once() -> None:
    numbers = range(30)
    labels = [*(said(n) for n in numbers), *OTHERS]
    assert len(asked([doubt(n) for n in numbers], labels)) == ASKED_OF_A_KIND
    assert len(asked([doubt(n, instead=str(n)) for n in numbers], labels)) == ASKED_AT_ONCE


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.topics.records["signals.support"] = []
    world.topics.records[LEASES_TOPIC] = []
    return world


def leave(world: World, *doubts: dict[str, Any]) -> None:
    left = Doubts(app="support", request="r", at="2026-11-02T00:00:00Z", labels=list(doubts))
    world.topics.append(DOUBTS_TOPIC, left.encode(), b"support")


def queue(world: World, by: str) -> list[Asked]:
    asked = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 20, by=by)
    return [one for one in asked if one.reason == "second opinion"]


def test_the_last_training_says_what_is_open(world: World) -> None:
    leave(world, doubt(0))
    leave(world, doubt(1), doubt(2))
    world.topics.append(DOUBTS_TOPIC, b"no record", b"support")
    world.topics.append(DOUBTS_TOPIC, b"{}", b"finance")
    assert open_doubts(world.topics.records[DOUBTS_TOPIC], "support") == [doubt(1), doubt(2)]
    assert open_doubts([], "support") == []


def test_the_queue_asks_for_a_second_opinion_without_saying_the_first(world: World) -> None:
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("ann"))
    for label in OTHERS:
        world.topics.append(FEEDBACK_TOPIC, label.encode(), label.key)
    assert queue(world, "bob") == []
    leave(world, doubt(3), doubt(99))
    (one,) = queue(world, "bob")
    assert one.decision["id"] == decision(3)["id"] and one.as_json()["label"] == "fee"
    assert queue(world, "ann") == []
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("bob"))
    assert queue(world, "cem") == []


def test_doubts_about_decisions_that_are_too_old_to_be_asked_about_do_not_block_fresh_ones(world: World) -> None:
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("ann"))
    correct_one(world.wiring, decision(4)["id"], "", "refund", Speaker("bob"))
    pool = read_pool(world.wiring, NO_RANDOM)
    numbers = range(100, 100 + ASKED_AT_ONCE)
    pool = replace(
        pool,
        doubts=[*(doubt(n, instead=str(n)) for n in numbers), doubt(3)],
        labels=(*pool.labels, *(said(n) for n in numbers)),
    )
    asked = labelling_queue(pool, NO_RANDOM, 20, by="bob")
    assert [one.decision["id"] for one in asked if one.reason == "second opinion"] == [decision(3)["id"]]


def test_who_labels_alone_confirms_by_saying_it_again(world: World) -> None:
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("ann"))
    leave(world, again(3))
    giver = LabelGiver(world.wiring)
    leases = Leases("ann", world.topics.reader, world.topics.publisher())
    desk = LabellingDesk(giver, leases, Keys("/"), "ann", show=str)
    desk.work(queue(world, "ann"))
    giver.close()
    assert [label.confirms for label in world.said()] == [None, True]
    assert queue(world, "ann") == []


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_and_by_the_file_that_the_queue_was_exported_to(world: World, tmp_path: Path, kind: str) -> None:
    """An expert who labels in a spreadsheet alone could confirm nothing."""
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("ann"))
    before = tmp_path / f"before.{kind}"
    fill_in(before, NO_RANDOM_ALL, world)
    leave(world, again(3))
    import_file(world.wiring, before, Speaker("ann", app=NO_RANDOM, chosen="import"))
    said_of_it = [one for one in world.said() if one.decision_id == decision(3)["id"]]
    assert [label.confirms for label in said_of_it] == [None], "a file of before says nothing new"
    after = tmp_path / f"after.{kind}"
    fill_in(after, queue(world, "ann"), world)
    for _ in range(2):
        import_file(world.wiring, after, Speaker("ann", app=NO_RANDOM, chosen="import"))
    said_of_it = [one for one in world.said() if one.decision_id == decision(3)["id"]]
    assert [label.confirms for label in said_of_it] == [None, True]


NO_RANDOM_ALL = [Asked(decision(3), "intent", "unsure", "queue")]


def fill_in(path: Path, asked: list[Asked], world: World) -> None:
    """As somebody does who says refund of everything."""
    if path.suffix == ".csv":
        lines = exported(asked, "csv", str).decode().splitlines()
        columns = lines[0].split(",")
        rows = [dict(zip(columns, line.split(","), strict=True)) | {"label": "refund"} for line in lines[1:]]
        path.write_text("\n".join([lines[0], *(",".join(row[name] for name in columns) for row in rows)]))
        return
    tasks = orjson.loads(exported(asked, "label-studio", str))
    choice = {"type": "choices", "from_name": "intent", "value": {"choices": ["refund"]}}
    path.write_bytes(orjson.dumps([task | {"annotations": [{"result": [choice]}]} for task in tasks]))


def test_and_by_labelling_it_once_more(world: World) -> None:
    identity = decision(3)["id"]
    add_label(world.wiring, NO_RANDOM, identity, "", "refund", Speaker("ann", chosen="queue"))
    assert add_label(world.wiring, NO_RANDOM, identity, "", "refund", Speaker("ann", chosen="queue")).unchanged == 1
    leave(world, again(3))
    add_label(world.wiring, NO_RANDOM, identity, "", "refund", Speaker("ann", chosen="queue"))
    assert [label.confirms for label in world.said()] == [None, True]


def test_and_by_saying_that_it_is_meant(world: World) -> None:
    """`headrace correct --confirm`: of what stands already, not of what is new."""
    identity = decision(3)["id"]
    leave(world, again(3))
    for _ in range(3):
        correct_one(world.wiring, identity, "", "refund", Speaker("ann", confirms=True))
    correct_one(world.wiring, identity, "", "fee", Speaker("ann", confirms=True))
    said_of_it = world.said()
    assert [label.confirms for label in said_of_it] == [None, True, None]
    assert [label.first_at for label in said_of_it] == [None, said_of_it[0].at, None], "since when they say so"


@pytest.mark.parametrize(
    "doubts",
    [[], [doubt(3, reason="over the cap")], [again(3) | {"again": "bob"}], [again(4)], [again(3) | {"label": "fee"}]],
    ids=["not doubted", "over the cap", "another is asked", "another decision", "another label"],
)
def test_what_nobody_asks_about_again_is_not_confirmed(world: World, doubts: list[dict[str, Any]]) -> None:
    """Ten such words counted as settled, and a training was spent on nothing."""
    leave(world, again(3))
    leave(world, *doubts)
    identity = decision(3)["id"]
    correct_one(world.wiring, identity, "", "refund", Speaker("ann"))
    report = correct_one(world.wiring, identity, "", "refund", Speaker("ann", confirms=True))
    assert (report.unchanged, report.unasked, len(report.taken)) == (1, 1, 0)
    assert [label.confirms for label in world.said()] == [None]


def test_the_report_says_what_is_needed(world: World) -> None:
    correct_one(world.wiring, decision(3)["id"], "", "refund", Speaker("ann"))
    leave(world, again(3))
    report = label_report(read_pool(world.wiring, NO_RANDOM), NO_RANDOM)
    assert report.as_json()["waiting"] == {"relabelling": 1} and report.as_json()["asked_again"] == ["ann"]
    (line,) = [line for line in report.lines() if "do not count yet" in line]
    assert line.startswith("1 do not count yet: 1 (a label of the corpus renamed by one person); another person must")
    assert "or ann again" in line and "--confirm" in line
    leave(world, doubt(3))
    lines = list(label_report(read_pool(world.wiring, NO_RANDOM), NO_RANDOM).lines())
    assert any("another person must say the same (" in line for line in lines)


class Keys:
    """A person who types refund."""

    def __init__(self, keys: str) -> None:
        self._keys = list(keys)

    def show(self, line: str) -> None:
        """Nothing is read."""

    def key(self) -> str:
        return self._keys.pop(0) if self._keys else "q"

    def line(self, question: str) -> str:
        return "refund"
