"""Which decisions people are asked about, and why."""

import base64
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_world import APP, World, decision
from numpy.typing import NDArray
from topics_in_memory import MemoryTopics

from connectors.registry import FolderRegistry
from headrace.tools.labels.asking import LabellingDesk, endless
from headrace.tools.labels.choosing import Candidate, choose_for_labelling, members
from headrace.tools.labels.contested import contested_decisions, contested_labels, contested_pairs
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.tools.labels.exchange import exported, format_of, import_file
from headrace.tools.labels.giving import LabelGiver
from headrace.tools.labels.leases import LEASE_MS, Leases
from headrace.tools.labels.pool import OpenEpisode, Pool, open_episode, read_pool
from headrace.tools.labels.queue import Asked, add_label, labelling_queue
from headrace.tools.labels.random_draw import DecidedDay, days_of, drawn, first_drawn
from headrace.tools.labels.report import label_report
from models.errors import ConfigError
from streams.application import Application, Labelling
from streams.classify.sampling import sample_position
from streams.topics import ALERTS_TOPIC, LEASES_TOPIC
from streams.wire.records import Alert, Feedback

NO_RANDOM = APP.model_copy(update={"labelling": Labelling(random_share=0, random_per_day=0, episode_share=0)})
ALL_RANDOM = APP.model_copy(update={"labelling": Labelling(random_share=1.0)})


def unit(*values: float) -> NDArray[np.float32]:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def ids(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.id for candidate in candidates]


def test_least_sure_text_comes_first() -> None:
    candidates = [Candidate("sure", "aa", 0.99), Candidate("unsure", "bb", 0.3), Candidate("middling", "cc", 0.6)]
    assert ids(choose_for_labelling(candidates, 3)) == ["unsure", "middling", "sure"]


def test_second_text_is_unlike_the_first_even_when_a_twin_is_less_sure() -> None:
    candidates = [
        Candidate("first", "a parcel", 0.20, unit(1, 0)),
        Candidate("twin", "the parcel", 0.21, unit(1, 0.01)),
        Candidate("other", "my invoice", 0.50, unit(0, 1)),
    ]
    assert ids(choose_for_labelling(candidates, 2)) == ["first", "other"]


def test_near_copies_of_what_is_labelled_or_chosen_are_asked_about_once() -> None:
    candidates = [
        Candidate("1", "where is my order 4711", 0.1),
        Candidate("2", "Where is my order 4712", 0.2),
        Candidate("3", "please cancel it", 0.3),
    ]
    assert ids(choose_for_labelling(candidates, 5, seen=["Please cancel it"])) == ["1"]


def test_a_typical_text_comes_before_one_that_nothing_resembles() -> None:
    """M-28: noise is far from everything, so distance alone asks about it first."""
    crowd = [Candidate(f"c{n}", f"crowd {chr(97 + n) * 6}", 0.5, unit(1, 0.05 * n, 0.02)) for n in range(5)]
    noise = Candidate("noise", "qwxz", 0.45, unit(-0.2, 0, 1))
    assert choose_for_labelling([noise, *crowd], 1)[0].id.startswith("c")


def test_a_text_without_an_embedding_comes_after_those_with_one() -> None:
    """M-28: a zero vector is unlike everything, so the fast path's texts came first."""
    candidates = [Candidate("fast", "fast one", 0.2), Candidate("full", "full two", 0.6, unit(1, 0))]
    assert ids(choose_for_labelling(candidates, 2)) == ["full", "fast"]


def test_a_rejected_text_is_as_unsure_as_can_be() -> None:
    candidates = [Candidate("low", "one thing", 0.3), Candidate("rejected", "another", 0.9, None, True)]
    assert ids(choose_for_labelling(candidates, 2)) == ["rejected", "low"]


def test_nothing_to_choose_gives_nothing() -> None:
    assert choose_for_labelling([], 5) == []
    assert choose_for_labelling([Candidate("1", "a", 0.1)], 0) == []


@given(st.lists(st.tuples(st.floats(-1, 2), st.booleans()), max_size=20), st.integers(1, 25))
def test_choice_is_whole_and_without_repeats(texts: list[tuple[float, bool]], limit: int) -> None:
    random = np.random.default_rng(0)
    candidates = [
        Candidate(
            str(number), chr(97 + number) * 12, confidence, unit(*random.standard_normal(4)) if embedded else None
        )
        for number, (confidence, embedded) in enumerate(texts)
    ]
    chosen = ids(choose_for_labelling(candidates, limit))
    assert len(chosen) == len(set(chosen)) == min(limit, len(candidates))


def test_members_of_an_episode_are_more_like_its_examples_than_what_came_before() -> None:
    before = [Candidate(f"b{n}", "", 0.9, unit(1, 0.1 * n, 0)) for n in range(10)]
    new = [Candidate("new", "", 0.9, unit(0, 0.2, 1)), Candidate("old", "", 0.9, unit(1, 0.1, 0))]
    examples = [Candidate("e", "", 0.9, unit(0, 0, 1))]
    assert ids(members(new, before, examples)) == ["new"]
    assert members(new, before, [Candidate("e", "", 0.9)]) == []


# Drawn at random


def numbered(count: int) -> tuple[str, ...]:
    return tuple(f"chats@0a1b2c3d-0-{number}" for number in range(count))


def test_a_share_of_all_decisions_is_drawn_and_nothing_else_decides_it() -> None:
    days = {"2026-11-01": DecidedDay(numbered(20_000), True)}
    chosen = drawn(days, Labelling())
    assert 70 <= len(chosen) <= 140  # half a per cent
    assert set(chosen.values()) == {0.005}
    assert all(sample_position("labels", identity) < 0.005 for identity in chosen)
    assert list(drawn(days, Labelling())) == list(chosen)


def test_at_least_twenty_of_a_day_that_is_over_are_drawn_and_say_how_likely_that_was() -> None:
    chosen = drawn({"2026-11-01": DecidedDay(numbered(100), True)}, Labelling())
    assert 20 <= len(chosen) <= 45
    few = drawn(
        {"2026-11-01": DecidedDay(numbered(1_000), True), "2026-11-02": DecidedDay(numbered(30), True)}, Labelling()
    )
    assert sum(probability == pytest.approx(20 / 30) for probability in few.values()) == 20
    assert len(drawn({"2026-11-01": DecidedDay(numbered(7), True)}, Labelling())) == 7


def test_what_was_drawn_in_the_morning_is_drawn_in_the_evening_while_the_day_is_not_the_busiest() -> None:
    busy = {"2026-11-01": DecidedDay(numbered(5_000), True)}
    morning = drawn(busy | {"2026-11-02": DecidedDay(tuple(f"x{n}" for n in range(500)), False)}, Labelling())
    evening = drawn(busy | {"2026-11-02": DecidedDay(tuple(f"x{n}" for n in range(4_000)), False)}, Labelling())
    assert set(morning) <= set(evening)


def test_days_go_by_when_it_was_decided_and_the_last_one_goes_on() -> None:
    days = days_of([("a", "2026-11-01T23:59:59Z"), ("b", "2026-11-02T00:00:00Z"), ("c", "2026-11-01T01:00:00Z")])
    assert days == {"2026-11-01": DecidedDay(("a", "c"), True), "2026-11-02": DecidedDay(("b",), False)}


def test_a_day_of_which_some_decisions_are_gone_is_not_filled_up() -> None:
    """At each look it would be another rest that is filled up to twenty, so more and more of it would be drawn."""
    decided = [(f"a{number}", "2026-11-01T23:00:00Z") for number in range(100)]
    decided += [(f"b{number}", "2026-11-02T10:00:00Z") for number in range(10_000)]
    decided += [("c", "2026-11-03T10:00:00Z")]
    settings = Labelling()
    whole, cut = (drawn(days_of(decided, is_whole=is_whole), settings) for is_whole in (True, False))
    assert sum(identity.startswith("a") for identity in whole) == 20
    assert sum(identity.startswith("a") for identity in cut) < 5
    assert {name for name in whole if name.startswith("b")} == {name for name in cut if name.startswith("b")}


# The queue


TOPICS = ("parcel", "invoice", "refund", "battery", "voucher", "login", "return", "delivery", "payment", "warranty")


def pool(count: int = 10, episode: OpenEpisode | None = None, labels: Sequence[Feedback] = ()) -> Pool:
    """Decisions on ten subjects; those from number 5 on came an hour later."""
    decisions = [
        decision(
            number,
            text=f"please tell me about the {TOPICS[number % 10]} {TOPICS[number % 7]}",
            at=f"2026-11-01T1{number // 5}:00:00.000Z",
            labels={"intent": {"label": "fee", "probability": 0.5 + number / 100}},
        )
        for number in range(count)
    ]
    candidates = [
        Candidate(one["id"], one["text"], one["labels"]["intent"]["probability"], unit(*np.eye(10)[n % 10]))
        for n, one in enumerate(decisions)
    ]
    return Pool({one["id"]: one for one in decisions}, tuple(candidates), tuple(labels), episode)


def label_of(number: int, label: str = "fee", by: str = "ann", chosen: Any = "random") -> Feedback:
    return Feedback(
        decision_id=decision(number)["id"], head="intent", label=label, by=by, at="2026-11-02T00:00:00Z", chosen=chosen
    )


def test_decisions_drawn_at_random_come_first_and_then_the_unsure_ones() -> None:
    app = APP.model_copy(update={"labelling": Labelling(random_share=0.2, random_per_day=0)})
    queue = labelling_queue(pool(), app, 8)
    reasons = [asked.reason for asked in queue]
    assert reasons[0] == "random" and reasons.count("random") == sum(reason == "random" for reason in reasons)
    assert reasons == sorted(reasons, key=lambda reason: reason != "random")
    assert all(asked.probability == 0.2 for asked in queue if asked.chosen == "random")
    assert len({asked.decision["id"] for asked in queue}) == 8


def test_texts_of_an_open_episode_come_before_other_unsure_ones_and_say_so() -> None:
    episode = OpenEpisode("2026-11-01T11:00:00.000Z", (decision(7)["id"],), ("recall", "battery"))
    queue = labelling_queue(pool(episode=episode), NO_RANDOM, 3)
    assert queue[0].decision["id"] == decision(7)["id"]
    assert queue[0].reason == "drift (recall, battery)" and queue[1].reason.startswith("unsure")


def test_texts_of_an_open_episode_are_drawn_at_random_and_chosen_in_turns() -> None:
    """In 200 labels of a stream with one new text in five the draw over everything held eight new ones back."""
    app = APP.model_copy(update={"labelling": Labelling(random_share=0, random_per_day=0, episode_share=0.5)})
    episode = OpenEpisode("2026-11-01T00:00:00.000Z", (decision(7)["id"],), ("recall",))
    alike = {number: unit(1.0, 0.01 * number) for number in range(40)}
    candidates = [
        Candidate(decision(n)["id"], text, 0.9, alike[n])
        for n, text in enumerate(f"{a} {b}" for a in TOPICS for b in TOPICS)
        if n < 40
    ]
    decisions = {one.id: decision(number, text=one.text) for number, one in enumerate(candidates)}
    queue = labelling_queue(Pool(decisions, tuple(candidates), (), episode), app, 16)
    assert [asked.chosen for asked in queue[:8]] == ["random", "queue"] * 4
    drawn_ones = [asked for asked in queue if asked.chosen == "random"]
    assert all(asked.probability == 0.5 and asked.reason == "random, drift (recall)" for asked in drawn_ones)
    labels = [label_of(int(queue[0].decision["id"].rpartition("-")[2]), chosen="correction")]
    again = labelling_queue(Pool(decisions, tuple(candidates), tuple(labels), episode), app, 16)
    assert again[0].decision["id"] == queue[0].decision["id"], "that somebody corrected it does not undo the draw"
    assert len({asked.decision["id"] for asked in again}) == len(again)


def test_a_larger_share_draws_the_same_and_others() -> None:
    ids = [decision(number)["id"] for number in range(400)]
    few, more = first_drawn(ids, 0.1), first_drawn(ids, 0.3)
    assert few == more[: len(few)] and 20 < len(few) < 60 and 90 < len(more) < 150


def test_what_is_labelled_or_looked_at_is_not_asked_again() -> None:
    taken = {decision(1)["id"]}
    asked = {asked.decision["id"] for asked in labelling_queue(pool(labels=[label_of(0)]), NO_RANDOM, 20, taken)}
    assert decision(0)["id"] not in asked and decision(1)["id"] not in asked and len(asked) == 8


def test_a_drawn_decision_that_somebody_corrected_or_that_another_head_has_a_label_of_is_still_asked_about() -> None:
    """Or only those that seemed right would be counted."""
    other_head = label_of(2).model_copy(update={"head": "urgency"})
    labels = [label_of(0, chosen="correction"), label_of(1), other_head]
    asked = {one.decision["id"] for one in labelling_queue(pool(labels=labels), ALL_RANDOM, 20)}
    assert {decision(0)["id"], decision(2)["id"]} <= asked and decision(1)["id"] not in asked


def test_an_episode_is_open_while_its_alert_fires() -> None:
    alert = Alert(
        fingerprint="f",
        rule="drift",
        severity="warning",
        state="firing",
        summary="",
        values={"app": "support", "onset_at": "2026-11-01T00:00:00Z", "words": ["recall"]},
        evidence=[{"id": "x", "text": "recall"}, "odd"],
        at="2026-11-01T01:00:00Z",
    )
    topics = MemoryTopics()
    topics.append(ALERTS_TOPIC, alert.encode(), b"f")
    topics.append(ALERTS_TOPIC, b"no alert", b"g")
    records = topics.records[ALERTS_TOPIC]
    assert open_episode(records, "support") == OpenEpisode("2026-11-01T00:00:00Z", ("x",), ("recall",))
    assert open_episode(records, "finance") is None
    topics.append(ALERTS_TOPIC, alert.model_copy(update={"state": "resolved"}).encode(), b"f")
    assert open_episode(topics.records[ALERTS_TOPIC], "support") is None


# With topics


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.topics.records["signals.support"] = []
    world.topics.records[LEASES_TOPIC] = []
    for number, subject in enumerate(TOPICS):
        world.decide(decision(20 + number, text=f"please tell me about the {subject} {TOPICS[number - 3]}"))
    return world


def test_the_pool_is_read_from_topics_and_records_of_strangers_are_passed_over(world: World) -> None:
    world.topics.append("decisions.support", b"no json", b"k")
    world.topics.append("decisions.support", b'{"id": "x"}', b"k")
    world.topics.append("decisions.support", None, b"k")
    embedding = np.ones(4, np.float16)
    signal = {
        "id": decision(20)["id"],
        "at": "2026-11-01T00:00:00Z",
        "version": "1",
        "labels": {"intent": ["fee", 0.7]},
        "embedding": base64.b64encode(embedding.tobytes()).decode(),
    }
    world.topics.append("signals.support", orjson.dumps([signal]), None)
    whole = read_pool(world.wiring, APP)
    assert len(whole.decisions) == 20
    embedded = [candidate.id for candidate in whole.candidates if candidate.embedding is not None]
    assert embedded == [decision(20)["id"]]


def test_the_queue_is_the_same_after_a_restart_and_without_what_was_labelled(world: World) -> None:
    first = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 5)
    again = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 5)
    assert [one.decision["id"] for one in first] == [one.decision["id"] for one in again]
    correct_one(world.wiring, str(first[0].decision["id"]), "", "refund", Speaker("ann"))
    after = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 5)
    assert first[0].decision["id"] not in [one.decision["id"] for one in after]


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

    desk.work(endless(refill), "intent")
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


# In and out of files


def mask(text: str) -> str:
    return text.replace("parcel", "[masked]")


def test_an_exported_file_comes_back_with_what_was_filled_in(world: World, tmp_path: Path) -> None:
    half = APP.model_copy(update={"labelling": Labelling(random_share=0.5, random_per_day=0)})
    queue = labelling_queue(read_pool(world.wiring, half), half, 20)
    path = tmp_path / "tasks.csv"
    path.write_bytes(exported(queue, "intent", format_of(path), mask))
    assert "parcel" not in path.read_text() and "[masked]" in path.read_text()
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows[:-2]:
        row["label"] = "refund"
    forged = next(row for row in rows[:-2] if row["chosen"] == "queue")
    forged |= {"chosen": "random", "probability": "1"}  # whoever says so; the draw says otherwise
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    report, without = import_file(world.wiring, path, Speaker("bob", app=half, chosen="import"))
    assert (len(report.taken), without, report.rejected) == (len(queue) - 2, 2, [])
    chosen = {said.decision_id: (said.chosen, said.probability) for said in report.taken}
    assert chosen[rows[0]["id"]] == ("random", 0.5)
    assert chosen[forged["id"]] == ("import", None)
    again, _ = import_file(world.wiring, path, Speaker("bob", app=half, chosen="import"))
    assert (again.taken, again.unchanged) == ([], len(queue) - 2)


def test_what_a_spreadsheet_would_compute_is_text_in_it() -> None:
    asked = Asked(decision(1, text="=HYPERLINK(1)"), "random", "random", 0.5)
    assert "'=HYPERLINK(1)" in exported([asked], "intent", "csv", str).decode()
    assert b"'=" not in exported([asked], "intent", "jsonl", str)


def test_label_studios_annotations_come_back_under_their_peoples_names(world: World, tmp_path: Path) -> None:
    queue = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 3)
    path = tmp_path / "tasks.json"
    path.write_bytes(exported(queue, "intent", format_of(path), mask))
    tasks = orjson.loads(path.read_bytes())
    assert tasks[0]["predictions"][0]["result"][0]["value"]["choices"] == ["fee"]

    def annotation(label: str, by: Any, **fields: Any) -> dict[str, Any]:
        result = [{"from_name": "intent", "to_name": "text", "type": "choices", "value": {"choices": [label]}}]
        return {"completed_by": by, "result": result} | fields

    tasks[0]["annotations"] = [annotation("refund", {"email": "ann@example.com"}), annotation("delivery", 7)]
    tasks[1]["annotations"] = [annotation("refund", 7, was_cancelled=True)]
    tasks.append({"data": {"text": "no id"}})
    path.write_bytes(orjson.dumps(tasks))
    report, without = import_file(world.wiring, path, Speaker("me", app=NO_RANDOM, chosen="import"))
    assert [(said.by, said.label) for said in report.taken] == [
        ("ann@example.com", "refund"),
        ("label-studio-7", "delivery"),
    ]
    assert without == 2 and [reject.line for reject in report.rejected] == [4]


def test_jsonl_goes_out_and_a_file_of_no_use_is_one_clear_error(world: World, tmp_path: Path) -> None:
    queue = labelling_queue(read_pool(world.wiring, NO_RANDOM), NO_RANDOM, 2)
    lines = exported(queue, "intent", "jsonl", mask).splitlines()
    assert [orjson.loads(line)["id"] for line in lines] == [asked.decision["id"] for asked in queue]
    with pytest.raises(ConfigError, match="must end in"):
        format_of(tmp_path / "x.xlsx")
    broken = tmp_path / "x.json"
    for content in (b"{", b"{}"):
        broken.write_bytes(content)
        with pytest.raises(ConfigError, match="Label Studio"):
            import_file(world.wiring, broken, Speaker("me", app=APP))


# What the labels say


def test_accuracy_comes_from_what_was_asked_about_at_random_alone() -> None:
    """Corrections are of wrong decisions: a model that is right in four of five looked worthless by them."""
    labels = [label_of(0), label_of(1), label_of(2, "refund"), label_of(3, "refund", chosen="correction")]
    report = label_report(pool(labels=labels), ALL_RANDOM)
    assert (report.asked, report.right, report.to_ask) == (3, pytest.approx(2 / 3), 7)
    only = label_report(pool(labels=[label_of(3, "refund", chosen="correction")]), ALL_RANDOM)
    assert only.right is None and "nobody knows" in " ".join(only.lines())


def test_the_last_word_on_a_decision_that_was_asked_about_is_the_truth() -> None:
    labels = [label_of(0), label_of(0, "refund", "bob", chosen="correction")]
    assert label_report(pool(labels=labels), ALL_RANDOM).right == 0.0


def test_days_that_are_drawn_from_at_different_rates_count_by_their_decisions() -> None:
    """A busy day at 98 % and a quiet one at 40 % are nearly the busy one; unweighted it came out as 81 %."""
    decisions, labels = {}, list[Feedback]()
    for day, count, wrong_every in (("01", 10_000, 50), ("02", 20, 2), ("03", 0, 1)):
        for number in range(count):
            identity = f"support.chats@0a1b2c3d-{day}-{number}"
            is_wrong = number % wrong_every == 0
            at = f"2026-11-{day}T10:00:00.000Z"
            decisions[identity] = decision(0, id=identity, decided_at=at, at=at)
            said = label_of(0, "refund" if is_wrong else "fee").model_copy(update={"decision_id": identity})
            labels.append(said)
    decisions["last"] = decision(0, id="last", decided_at="2026-11-03T10:00:00.000Z")
    whole = Pool(decisions, (), tuple(labels), None)
    report = label_report(whole, APP)
    truth = 1 - (200 + 10) / 10_020
    assert report.right is not None
    assert report.right_ci95[0] <= truth <= report.right_ci95[1] and abs(report.right - truth) < 0.05


def test_people_who_disagree_are_shown() -> None:
    labels = [label_of(1, "refund", "ann"), label_of(1, "delivery", "bob"), label_of(2, "fee", "ann")]
    (one,) = contested_decisions(labels)
    assert (one.decision_id, dict(one.said)) == (decision(1)["id"], {"ann": "refund", "bob": "delivery"})
    report = label_report(pool(labels=labels), ALL_RANDOM)
    assert any(line.startswith("contested: ") for line in report.lines())
    assert orjson.loads(orjson.dumps(report.as_json()))["people"] == {"ann": 2, "bob": 1}


def test_two_labels_that_people_mean_by_the_same_decisions_are_contested() -> None:
    agreed = [label_of(number, "fee", by) for number in range(10, 13) for by in ("ann", "bob")]
    one = [label_of(1, "refund", "ann"), label_of(1, "delivery", "bob")]
    assert contested_pairs([*agreed, *one]) == [], "one slip is no contest"
    both = [*one, label_of(2, "refund", "ann"), label_of(2, "delivery", "bob")]
    (pair,) = contested_pairs([*agreed, *both])
    assert (pair.head, pair.labels, pair.disagree, pair.share) == ("intent", ("delivery", "refund"), 2, 1.0)
    assert contested_labels([pair]) == {("intent", "delivery"), ("intent", "refund")}
    report = label_report(pool(labels=both), ALL_RANDOM)
    assert any("delivery or refund, on 2 decisions" in line for line in report.lines())
    assert report.as_json()["contested_pairs"][0]["labels"] == ["delivery", "refund"]


def test_two_labels_of_which_people_nearly_always_say_the_same_are_not_contested() -> None:
    slips = [label_of(number, name, by) for number in (1, 2) for by, name in (("ann", "refund"), ("bob", "delivery"))]
    agreed = [label_of(number, "refund", by) for number in range(10, 17) for by in ("ann", "bob")]
    assert contested_pairs([*slips, *agreed]) == []
    assert contested_pairs([*slips, *agreed[:-2]]) != []
