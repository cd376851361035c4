"""A second person is asked about doubted labels of every head, as the verdict says."""

import csv
from pathlib import Path
from typing import Any

import orjson
import pytest
from labelled_decisions import ALL_RANDOM, NO_RANDOM
from labelled_world import World, decision

from headrace.tools.labels.asking import LabellingDesk, endless
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.tools.labels.exchange import exported, format_of, import_file
from headrace.tools.labels.giving import LabelGiver
from headrace.tools.labels.leases import Leases
from headrace.tools.labels.pool import read_pool
from headrace.tools.labels.queue import Asked, add_label, labelling_queue
from headrace.tools.labels.report import label_report
from headrace.tools.labels.second_opinions import ASKED_AT_ONCE, to_ask
from retrain.feedback import report as feedback_report
from retrain.feedback.opinions import TextLabel
from retrain.feedback.policy import RELABELLING, UNLIKELY
from retrain.feedback.report import FeedbackReport, SetAside
from streams.application import Application
from streams.topics import DOUBTS_TOPIC, LEASES_TOPIC
from streams.wire.records import Doubts, Feedback

IDENTITY = decision(3)["id"]


def doubt(number: int, head: str = "urgency", label: str = "high", **more: Any) -> dict[str, Any]:
    base = {"decision_id": decision(number)["id"], "head": head, "label": label, "by": ["ann"]}
    return base | {"reason": "relabelling", "instead": "low"} | more


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Ann said of one decision what both heads should have decided, and the training doubts both."""
    world = World(tmp_path)
    world.topics.records["signals.support"] = []
    world.topics.records[LEASES_TOPIC] = []
    correct_one(world.wiring, IDENTITY, "intent", "refund", Speaker("ann"))
    correct_one(world.wiring, IDENTITY, "urgency", "high", Speaker("ann"))
    leave(world, doubt(3, "intent", "refund"), doubt(3))
    return world


def leave(world: World, *doubts: dict[str, Any]) -> None:
    left = Doubts(app="support", request="r", at="2026-11-02T00:00:00Z", labels=list(doubts))
    world.topics.append(DOUBTS_TOPIC, left.encode(), b"support")


def asked(world: World, by: str, app: Application = NO_RANDOM) -> list[Asked]:
    queue = labelling_queue(read_pool(world.wiring, app), app, 40, by=by)
    return [one for one in queue if one.reason == "second opinion"]


def test_a_decision_is_asked_about_once_for_each_head_that_is_doubted(world: World) -> None:
    assert [one.subject for one in asked(world, "bob")] == [(IDENTITY, "intent"), (IDENTITY, "urgency")]
    assert asked(world, "bob")[1].as_json() | {"head": "urgency", "label": "low"} == asked(world, "bob")[1].as_json()
    correct_one(world.wiring, IDENTITY, "urgency", "high", Speaker("bob"))
    assert [one.head for one in asked(world, "cem")] == ["intent"]


def test_a_head_that_the_decision_does_not_have_is_not_asked_about(world: World) -> None:
    leave(world, doubt(3, "mood"), doubt(3, 7))  # type: ignore[arg-type]  # anybody may write there
    assert asked(world, "bob") == []


class Keys:
    """A person who presses these."""

    def __init__(self, keys: str) -> None:
        self._keys, self.shown = list(keys), list[str]()

    def show(self, line: str) -> None:
        self.shown.append(line)

    def key(self) -> str:
        return self._keys.pop(0) if self._keys else "q"

    def line(self, question: str) -> str:
        raise AssertionError(question)


def test_next_shows_the_head_and_gives_its_labels_keys(world: World) -> None:
    giver, terminal = LabelGiver(world.wiring), Keys("s2u2")
    leases = Leases("bob", world.topics.reader, world.topics.publisher())
    desk = LabellingDesk(giver, leases, terminal, "bob", show=str)
    desk.work(endless(lambda: asked(world, "bob")))
    giver.close()
    lines = "\n".join(terminal.shown)
    assert "intent: fee 0.71 · asked: second opinion" in lines and "urgency: low 0.90 · asked: second opinion" in lines
    assert "1 low  2 high" in lines
    said = [label for label in read_pool(world.wiring, NO_RANDOM).labels if label.by == "bob"]
    assert [(label.head, label.label, label.chosen) for label in said] == [("urgency", "high", "queue")]
    assert [one.head for one in asked(world, "cem")] == ["intent"]


@pytest.mark.parametrize("name", ["tasks.csv", "tasks.json"])
def test_a_file_carries_the_head_out_and_back(world: World, tmp_path: Path, name: str) -> None:
    path, label = tmp_path / name, {"intent": "refund", "urgency": "high"}
    content = exported(asked(world, "bob"), format_of(path), str)
    if name.endswith(".csv"):
        rows = list(csv.DictReader(content.decode().splitlines()))
        with path.open("w", newline="") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(row | {"label": label[row["head"]]} for row in rows)
    else:
        tasks = orjson.loads(content)
        for task in tasks:
            choice = task["predictions"][0]["result"][0]
            task["annotations"] = [{"result": [choice | {"value": {"choices": [label[choice["from_name"]]]}}]}]
        path.write_bytes(orjson.dumps(tasks))
    import_file(world.wiring, path, Speaker("bob", app=NO_RANDOM, chosen="import"))
    assert asked(world, "cem") == []


def test_who_may_confirm_does_so_for_the_head_that_is_doubted(world: World) -> None:
    leave(world, doubt(3, again="ann"))
    assert [(one.head, one.asks_again) for one in asked(world, "ann")] == [("urgency", True)]
    add_label(world.wiring, NO_RANDOM, IDENTITY, "urgency", "high", Speaker("ann", chosen="queue"))
    assert world.said()[-1].confirms and asked(world, "ann") == []


def test_a_doubt_of_another_head_is_no_random_draw_of_it(world: World) -> None:
    """The draw asks about the first head: of the others only what is doubted would be counted."""
    assert [one.chosen for one in asked(world, "bob", ALL_RANDOM) if one.head == "urgency"] == ["queue"]
    add_label(world.wiring, ALL_RANDOM, IDENTITY, "urgency", "high", Speaker("bob", chosen="queue"))
    assert (world.said()[-1].head, world.said()[-1].chosen) == ("urgency", "queue")


def test_the_report_counts_what_waits_of_all_heads(world: World) -> None:
    report = label_report(read_pool(world.wiring, NO_RANDOM), NO_RANDOM)
    assert report.as_json()["waiting"] == {"relabelling": 2}
    assert report.as_json()["waiting_heads"] == {"intent": 1, "urgency": 1}
    assert any(line.startswith("2 do not count yet (1 of intent, 1 of urgency): 2 (") for line in report.lines())


def test_no_head_waits_until_another_one_is_settled() -> None:
    numbers = range(3 * ASKED_AT_ONCE)
    doubts = [doubt(n, "intent", "refund", instead=str(n)) for n in numbers] + [doubt(3)]
    words = [(decision(n)["id"], "intent", "refund") for n in numbers] + [(IDENTITY, "urgency", "high")]
    labels = [
        Feedback(decision_id=identity, head=head, label=label, by="ann", at="2026-11-02T00:00:00Z")
        for identity, head, label in words
    ]
    heads = [head for _, head, _ in to_ask(doubts, labels, "bob")]
    assert heads == ["intent"] * ASKED_AT_ONCE + ["urgency"]


def test_a_training_leaves_the_most_telling_doubts_of_every_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback_report, "DOUBTS", 3)
    monkeypatch.setattr(feedback_report, "ALL_DOUBTS", 4)

    def aside(head: str, number: int, reason: str) -> SetAside:
        return SetAside(TextLabel(head, str(number), str(number), "x", ("ann",), {}, (f"{head}{number}",)), reason)

    first = [aside("intent", number, RELABELLING) for number in range(9)]
    rest = [aside("urgency", number, UNLIKELY) for number in range(9)]
    doubts = FeedbackReport(0, 1, [*rest, *first]).doubts()
    assert [one["decision_id"] for one in doubts] == ["intent0", "intent1", "urgency0", "urgency1"]
    assert len(FeedbackReport(0, 1, first).doubts()) == 3
