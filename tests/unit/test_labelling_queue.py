"""Which decisions people are asked about, and why."""

import base64
import hashlib
from pathlib import Path

import numpy as np
import orjson
import pytest
from labelled_decisions import ALL_RANDOM, NO_RANDOM, TOPICS, label_of, pool, unit, world_of_decisions
from labelled_world import APP, World, decision
from topics_in_memory import MemoryTopics

from headrace.tools.alerts import firing_drift
from headrace.tools.labels.choosing import Candidate
from headrace.tools.labels.correcting import Speaker, correct_one
from headrace.tools.labels.pool import OpenEpisode, Pool, episode_of, read_pool
from headrace.tools.labels.queue import known_decisions, labelling_queue
from headrace.tools.labels.random_draw import first_drawn
from retrain.text_keys import denser_tests, is_held_out
from streams.application import Labelling
from streams.topics import ALERTS_TOPIC
from streams.wire.records import Alert


@pytest.fixture
def world(tmp_path: Path) -> World:
    return world_of_decisions(tmp_path)


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
    assert all(
        asked.probability in denser_tests(0.5) and asked.reason == "random, drift (recall)" for asked in drawn_ones
    )
    assert all(asked.stratum == "episode" for asked in drawn_ones)
    assert not known_decisions(Pool(decisions, tuple(candidates), (), episode), app).draws, (
        "or doubt would choose judges"
    )
    enough = labelling_queue(Pool(decisions, tuple(candidates), (), episode, tests_suffice=True), app, 40)
    of_tests = [is_held_out(str(asked.decision["text"])) for asked in enough]
    assert of_tests == sorted(of_tests) and any(of_tests), "what teaches comes first"
    assert {asked.decision["id"] for asked in drawn_ones} <= {
        asked.decision["id"] for asked in enough if asked.chosen == "random"
    }, "none is asked about twice, once as useful and once as drawn"
    labels = [label_of(int(queue[0].decision["id"].rpartition("-")[2]), chosen="correction")]
    again = labelling_queue(Pool(decisions, tuple(candidates), tuple(labels), episode), app, 16)
    assert again[0].decision["id"] == queue[0].decision["id"], "that somebody corrected it does not undo the draw"
    assert len({asked.decision["id"] for asked in again}) == len(again)


def test_a_larger_share_draws_the_same_and_others() -> None:
    ids = [decision(number)["id"] for number in range(400)]
    few, more = (list(first_drawn(dict.fromkeys(ids, share))) for share in (0.1, 0.3))
    assert few == more[: len(few)] and 20 < len(few) < 60 and 90 < len(more) < 150


def test_of_an_episode_those_texts_are_drawn_more_densely_that_only_test() -> None:
    """A challenger was refused for want of texts to judge by while 200 labels had been given."""
    of_tests, of_others = denser_tests(0.25)
    assert (of_tests, of_others) == pytest.approx((0.75, 0.125))
    assert 0.2 * of_tests + 0.8 * of_others == pytest.approx(0.25)
    assert denser_tests(1.0) == (1.0, 1.0) and denser_tests(0.0) == (0.0, 0.0)
    texts = [f"what about {a} {b} {c}" for a in TOPICS for b in TOPICS for c in TOPICS[:4]]
    decisions = {one["id"]: one for one in (decision(number, text=text) for number, text in enumerate(texts))}
    shares = {identity: of_tests if is_held_out(str(one["text"])) else of_others for identity, one in decisions.items()}
    chosen = first_drawn(shares)
    assert all(probability == shares[identity] for identity, probability in chosen.items())
    tests = sum(probability == of_tests for probability in chosen.values())
    assert 0.45 < tests / len(chosen) < 0.75 and tests > 0.6 * sum(share == of_tests for share in shares.values())
    assert sum(share == of_tests for share in list(chosen.values())[:20]) >= 6, "not all of the others first"


def test_what_only_tests_is_chosen_last_as_its_label_would_judge_nothing() -> None:
    queue = labelling_queue(pool(60), NO_RANDOM, 60)
    of_tests = [is_held_out(str(asked.decision["text"])) for asked in queue]
    assert of_tests == sorted(of_tests) and any(of_tests)


def test_what_is_labelled_or_looked_at_is_not_asked_again() -> None:
    taken = {decision(1)["id"]}
    asked = {asked.decision["id"] for asked in labelling_queue(pool(labels=[label_of(0)]), NO_RANDOM, 20, taken)}
    assert decision(0)["id"] not in asked and decision(1)["id"] not in asked and len(asked) == 8


def test_who_asks_beside_somebody_gets_what_is_unlike_the_text_that_the_other_looks_at() -> None:
    """Two people at one queue were asked about neighbours."""
    vectors = {1: unit(1.0, 0.0, 0.0), 2: unit(1.0, 0.3, 0.0), 3: unit(0.0, 0.0, 1.0)}
    texts = {1: "the parcel is lost", 2: "an invoice with two dates", 3: "my voucher has no number"}
    assert not any(is_held_out(text) for text in texts.values())
    decisions = {decision(n)["id"]: decision(n, text=text) for n, text in texts.items()}
    unsure = {1: 0.1, 2: 0.3, 3: 0.35}
    candidates = tuple(Candidate(decision(n)["id"], texts[n], unsure[n], vectors[n]) for n in texts)
    mine = labelling_queue(Pool(decisions, candidates, (), None), NO_RANDOM, 1)
    assert [one.decision["id"] for one in mine] == [decision(1)["id"]]
    yours = labelling_queue(Pool(decisions, candidates, (), None), NO_RANDOM, 1, {decision(1)["id"]})
    assert [one.decision["id"] for one in yours] == [decision(3)["id"]]


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
    (standing,) = firing_drift(records, "support")
    assert episode_of(standing) == OpenEpisode("2026-11-01T00:00:00Z", ("x",), ("recall",))
    assert not firing_drift(records, "finance")
    topics.append(ALERTS_TOPIC, alert.model_copy(update={"state": "resolved"}).encode(), b"f")
    assert not firing_drift(topics.records[ALERTS_TOPIC], "support")


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


@pytest.mark.parametrize("is_tuned", [False, True])
def test_embeddings_of_an_encoder_that_serves_no_more_are_not_compared(world: World, is_tuned: bool) -> None:
    """A fine-tuned encoder has as many dimensions, and another space."""
    registry = world.registry()
    manifest = orjson.loads(registry.manifest("support", "1"))
    del manifest["version"]
    blobs = {entry["sha256"]: registry.blob(entry["sha256"]) for entry in manifest["files"].values()}
    if is_tuned:
        tuned = b"another encoder"
        manifest["files"]["encoder"] = {"sha256": hashlib.sha256(tuned).hexdigest(), "bytes": len(tuned)}
        blobs[manifest["files"]["encoder"]["sha256"]] = tuned
    version = registry.publish("support", manifest, blobs)
    for number, of_version in ((20, "1"), (21, version), (22, "1")):
        signal = {
            "id": decision(number)["id"],
            "at": "2026-11-01T00:00:00Z",
            "version": of_version,
            "labels": {"intent": ["fee", 0.7]},
            "embedding": base64.b64encode(np.ones(4, np.float16).tobytes()).decode(),
        }
        world.topics.append("signals.support", orjson.dumps([signal]), None)
    embedded = {one.id for one in read_pool(world.wiring, APP).candidates if one.embedding is not None}
    of_first = {decision(20)["id"], decision(22)["id"]}
    assert embedded == (of_first if is_tuned else of_first | {decision(21)["id"]})
