"""`headrace correct` (N-2: there was no way to correct a decision; two guesses at the record's format were refused)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from labelled_world import APP, World, decision

from connectors.registry import FolderRegistry
from headrace.tools.decisions import standing_labels
from headrace.tools.labels import correcting
from headrace.tools.labels.correcting import Speaker, correct_file, correct_one, withdraw_one
from headrace.tools.labels.outlook import outlook
from models.errors import ConfigError
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, RELEASES_TOPIC
from streams.wire.records import Alert, Release
from streams.wire.release_state import Announced, expecting

ANN, BOB = Speaker("ann"), Speaker("bob")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)


ID = decision(3)["id"]


def test_a_correction_stands_under_ones_name_and_says_how_it_came_about(world: World) -> None:
    report = correct_one(world.wiring, ID, "", "refund", ANN)
    (said,) = world.said()
    assert (said.decision_id, said.head, said.label, said.by, said.chosen) == (
        ID,
        "intent",
        "refund",
        "ann",
        "correction",
    )
    assert report.taken == [said]
    correct_one(world.wiring, ID, "urgency", "high", ANN)
    assert [(label.head, label.label) for label in standing_labels(world.topics.records[FEEDBACK_TOPIC], ID)] == [
        ("intent", "refund"),
        ("urgency", "high"),
    ]


def test_saying_the_same_again_writes_nothing_and_another_word_replaces_it(world: World) -> None:
    correct_one(world.wiring, ID, "", "refund", ANN)
    assert correct_one(world.wiring, ID, "", "refund", ANN).unchanged == 1
    assert correct_one(world.wiring, ID, "", "refund", BOB).taken
    assert correct_one(world.wiring, ID, "", "delivery", ANN).taken
    standing = standing_labels(world.topics.records[FEEDBACK_TOPIC], ID)
    assert {(label.by, label.label) for label in standing} == {("ann", "delivery"), ("bob", "refund")}


def test_a_withdrawn_label_is_gone_and_nobody_withdraws_anothers(world: World) -> None:
    correct_one(world.wiring, ID, "", "refund", ANN)
    with pytest.raises(ConfigError, match=r"bob has given .* no label of intent to withdraw \(ann has"):
        withdraw_one(world.wiring, ID, "", BOB)
    assert "intent: refund, by ann" in withdraw_one(world.wiring, ID, "", ANN)
    assert standing_labels(world.topics.records[FEEDBACK_TOPIC], ID) == ()


def test_a_slip_of_the_pen_is_refused_with_the_label_that_was_meant(world: World) -> None:
    """M-11: any string became a class of the next release."""
    with pytest.raises(ConfigError, match="no label 'refnd' of intent; did you mean 'refund'"):
        correct_one(world.wiring, ID, "", "refnd", ANN)
    with pytest.raises(ConfigError, match="there are: delivery, fee"):
        correct_one(world.wiring, ID, "", "zzz", ANN)
    assert world.said() == []


def test_a_label_that_is_meant_to_be_new_is_introduced_once_and_known_from_then_on(world: World) -> None:
    correct_one(world.wiring, ID, "", "recall", Speaker("ann", introduces=True))
    correct_one(world.wiring, decision(4)["id"], "", "recall", BOB)
    assert [said.introduces for said in world.said()] == [True, None]


@pytest.mark.parametrize("label", ["", "  ", "two\nlines", "x" * 201, "bell\x07"])
def test_what_is_no_label_is_refused(world: World, label: str) -> None:
    with pytest.raises(ConfigError, match="is no label"):
        correct_one(world.wiring, ID, "", label, Speaker("ann", introduces=True))


def test_an_unknown_head_or_decision_is_told(world: World) -> None:
    with pytest.raises(ConfigError, match="no head 'mood'; it has: intent, urgency"):
        correct_one(world.wiring, ID, "mood", "good", ANN)
    with pytest.raises(ConfigError, match="no decision 'support"):
        correct_one(world.wiring, "support.chats@0a1b2c3d-0-99", "", "refund", ANN)


def test_a_ranked_list_has_no_label_to_correct(world: World) -> None:
    world.decide(decision(11, labels={}, items=[{"item_id": "a", "score": 1.0}]))
    with pytest.raises(ConfigError, match="a ranked list, not a label"):
        correct_one(world.wiring, decision(11)["id"], "", "refund", ANN)


def test_a_registry_out_of_reach_keeps_nobody_from_correcting(world: World, tmp_path: Path) -> None:
    wiring = world.wiring
    wiring.registry = lambda: FolderRegistry(str(tmp_path / "another"))
    report = correct_one(wiring, ID, "", "refund", ANN)
    assert len(report.taken) == 1 and "support" in report.unchecked


def file(folder: Path, text: str) -> Path:
    path = folder / "corrections.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_gives_each_row_under_its_own_name_and_lists_what_it_cannot_take(world: World, tmp_path: Path) -> None:
    ids = [decision(number)["id"] for number in range(4)]
    rows = [
        "id,head,label,by",
        f"{ids[0]},intent,refund,carla",
        f"{ids[1]},,delivery,",
        f"{ids[2]},urgency,high,",
        f"{ids[3]},intent,refnd,",
        "support.chats@0a1b2c3d-0-77,intent,refund,",
        f"{ids[3]},intent,,",
        f"{ids[3]},mood,good,",
    ]
    report = correct_file(world.wiring, file(tmp_path, "\n".join(rows)), ANN)
    assert [(said.by, said.head, said.label) for said in report.taken] == [
        ("carla", "intent", "refund"),
        ("ann", "intent", "delivery"),
        ("ann", "urgency", "high"),
    ]
    assert [(reject.line, reject.reason.partition("'")[0].strip()) for reject in report.rejected] == [
        (5, "the model knows no label"),
        (6, "no decision of id"),
        (7, "no label"),
        (8, f"{ids[3]} has no head"),
    ]
    again = correct_file(world.wiring, tmp_path / "corrections.csv", ANN)
    assert (again.taken, again.unchanged) == ([], 3)


def test_a_file_of_texts_labels_the_last_decision_of_each(world: World, tmp_path: Path) -> None:
    world.decide(decision(20, text="text 3"))
    for value in (b"no decision", b"[1]", b'{"id": "x"}', None):  # written by no worker
        world.topics.append("decisions.support", value, b"x")
    path = file(tmp_path, "text,topic,urgency\ntext 3,refund,high\nnever said,fee,low\n")
    with pytest.raises(ConfigError, match="with --app APP the heads' own columns too"):
        correct_file(world.wiring, path, ANN)
    report = correct_file(world.wiring, path, Speaker("ann", app=APP))
    assert {(said.decision_id, said.head) for said in report.taken} == {
        (decision(20)["id"], "intent"),
        (decision(20)["id"], "urgency"),
    }
    assert [reject.line for reject in report.rejected] == [3]
    path = file(tmp_path, "text,label\ntext 3,refund\n")
    with pytest.raises(ConfigError, match="names texts, not ids: say whose decisions they are with --app"):
        correct_file(world.wiring, path, ANN)


def test_a_topic_that_is_not_there_is_told_with_the_way_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from connectors.errors import TopicMismatch

    class Missing:
        def read(self, topic: str) -> Iterator[Any]:
            raise TopicMismatch(f"there is no topic {topic}")

        def close(self) -> None:
            pass

    wiring = world.wiring
    wiring.reader = Missing
    with pytest.raises(ConfigError, match="headrace up"):
        correcting.correct_one(wiring, ID, "", "refund", ANN)


def test_the_outlook_counts_as_the_monitor_does_and_needs_fewer_labels_once_it_drifts(world: World) -> None:
    for number in range(3):
        correct_one(world.wiring, decision(number)["id"], "", "refund", ANN)
    ahead = outlook(world.wiring, APP)
    assert ahead is not None and (ahead.labels, ahead.missing, ahead.drifts) == (0, 500, False)  # given at time 0
    alert = Alert(
        fingerprint="f",
        rule="drift",
        severity="warning",
        state="firing",
        summary="",
        values={"app": "support"},
        at="2026-11-01T10:00:00Z",
    )
    world.topics.append(ALERTS_TOPIC, alert.encode(), b"f")
    drifting = outlook(world.wiring, APP)
    assert drifting is not None and (drifting.missing, drifting.missing_at_random, drifting.drifts) == (40, 30, True)
    assert "40 more, 30 of them of wrong decisions drawn at random (`headrace labels next`), and" in drifting.words
    world.topics.append(ALERTS_TOPIC, alert.model_copy(update={"state": "resolved"}).encode(), b"f")
    over = outlook(world.wiring, APP)
    assert over is not None and not over.drifts


def test_the_outlook_passes_over_a_release_that_was_said_of_another_state(world: World) -> None:
    before = outlook(world.wiring, APP)
    lost = Release(model="support", champion="9", revision=9, manifest_sha256={}, by="watch", at="2026-11-01T10:00:00Z")
    world.topics.append(RELEASES_TOPIC, lost.encode(), b"support", expecting(Announced(lost, 0)))
    assert outlook(world.wiring, APP) == before is not None
