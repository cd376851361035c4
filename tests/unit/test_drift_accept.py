""" "That is expected": an accepted episode alarms nobody, whoever restarts when; another subject still does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from monitor_in_memory import REFERENCE, Process, World
from repeats import repeats
from test_drift import DIMENSIONS, episodes, monitor, world
from test_drift import LABELS as SUBJECTS_KNOWN
from test_monitor_restart import drifted, one_simulation, send
from topics_in_memory import MemoryTopics

from connectors.ports import Record
from headrace.tools.alerts import StandingAlert
from headrace.tools.drift.accepting import AFTER_MS, DAY_MS, accept, acceptance, in_words, withdraw
from models.errors import ConfigError
from streams.monitor.drift.reference import Reference
from streams.monitor.episodes.accepted import AcceptedEpisodes
from streams.packing import pack
from streams.topics import ACCEPTED_TOPIC
from streams.wire.records import AcceptedDrift, Alert

assert one_simulation  # the fixture


def accepted_by_ann(world: World, days: int | None = None) -> AcceptedDrift:
    (fired,) = [alert for alert in world.alerts() if alert.state == "firing"]
    said = acceptance(StandingAlert(fired, 0), days, "ann", world.now_ms)
    world.append(ACCEPTED_TOPIC, said.encode(), said.record_key)
    return said


def test_an_accepted_episode_is_over_and_does_not_come_again() -> None:
    world, process = drifted()
    accepted_by_ann(world)
    process.tick()
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved"]
    assert "that is expected" in world.alerts()[-1].summary
    send(world, np.random.default_rng(7), 300, new=0.6)
    process.follow()
    process.tick()
    assert len(world.alerts()) == 2 and process.state()["releases"][0]["drift"]["episodes"]["open"] == []


def test_a_restart_lets_the_same_signals_pass() -> None:
    world, steady = drifted()
    accepted_by_ann(world)
    send(world, np.random.default_rng(7), 60, new=0.6)
    steady.follow(commit=False)
    steady.tick()
    again = Process(world)
    again.follow()
    again.tick()
    assert {**again.state(), "alerts": 0} == {**steady.state(), "alerts": 0}
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved"]


def test_what_was_accepted_for_days_alarms_again_after_them() -> None:
    world, process = drifted()
    accepted_by_ann(world, days=1)
    process.tick()
    send(world, np.random.default_rng(7), 40, new=0.6)
    world.now_ms += DAY_MS
    send(world, np.random.default_rng(8), 60, new=0.6)
    process.follow()
    first, over, second = world.alerts()
    assert (over.state, second.state) == ("resolved", "firing") and first.fingerprint != second.fingerprint


def test_a_withdrawn_acceptance_lets_drift_alarm_again() -> None:
    world, process = drifted()
    said = accepted_by_ann(world)
    send(world, np.random.default_rng(7), 40, new=0.6)
    process.follow()
    world.append(ACCEPTED_TOPIC, None, said.record_key)
    process.tick()
    send(world, np.random.default_rng(8), 60, new=0.6)
    process.follow()
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved", "firing"]


@pytest.mark.parametrize("seed", range(repeats(3, 8)))
def test_another_subject_still_alarms_beside_an_accepted_one(seed: int) -> None:
    here = world(seed)
    watch = monitor(here.reference(), seed)
    (found,) = episodes(watch, iter([*here.signals(300), *here.signals(150, new=0.3)]))
    watch.expect([found.centre])
    watch.end_episode()
    assert episodes(watch, here.signals(600, new=0.3)) == []
    other = np.random.default_rng(99 + seed).standard_normal(DIMENSIONS).astype(np.float32)
    here.subjects[SUBJECTS_KNOWN] = other / np.linalg.norm(other)
    assert len(episodes(watch, here.signals(120, new=0.3))) == 1


def test_the_parts_of_an_accepted_episode_are_expected_as_well() -> None:
    values = {"app": "support", "centre": "AAAA", "part_centres": ["BBBB", "CCCC"]}
    said = acceptance(drift_alert(values=values), None, "ann", 0)
    assert (said.centre, said.part_centres) == ("AAAA", ["BBBB", "CCCC"])
    world, process = drifted()
    places = [pack(np.eye(24, dtype=np.float16)[row]) for row in range(2)]
    said = accepted_by_ann(world).model_copy(update={"centre": places[0], "part_centres": places[1:]})
    world.append(ACCEPTED_TOPIC, said.encode(), said.record_key)
    process.tick()
    send(world, np.random.default_rng(7), 20, new=0.6)
    process.follow()
    core = process.handler.core
    assert core is not None and core.champion is not None and core.champion.drift is not None
    assert core.champion.drift._expected.keys() == set(places)


def test_a_place_of_another_encoder_is_passed_over() -> None:
    reference = Reference.from_arrays(REFERENCE)
    assert reference.direction_of(pack(np.ones(7, np.float16))) is None
    outside = np.random.default_rng(0).standard_normal(reference.basis.shape[1])
    direction = reference.direction_of(reference.place_of(outside))
    assert direction is not None and direction == pytest.approx(outside, rel=0.02, abs=0.02)


def drift_alert(**fields: Any) -> StandingAlert:
    values = {"app": "support", "version": "1", "centre": "AAAA", "name": "recall"}
    alert = {
        "fingerprint": "3f2a",
        "rule": "drift",
        "severity": "warning",
        "state": "firing",
        "summary": "",
        "at": "now",
    }
    return StandingAlert(Alert.model_validate(alert | {"values": values} | fields), 0)


@pytest.mark.parametrize(
    ("fields", "days", "words"),
    [
        ({"state": "resolved"}, None, "is over"),
        ({"rule": "surge:a=b"}, None, "not drift"),
        ({"values": {"app": "support"}}, None, "headrace alerts silence 3f2a"),
        ({}, 0, "between 1 and"),
    ],
    ids=["over", "a surge", "without a place", "no days"],
)
def test_what_cannot_be_accepted_says_why(fields: dict[str, Any], days: int | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        acceptance(drift_alert(**fields), days, "ann", 0)


def test_the_command_writes_one_record_and_takes_it_back() -> None:
    topics: Any = MemoryTopics()
    wiring: Any = SimpleNamespace(reader=topics.reader, publisher=topics.publisher)
    said = acceptance(drift_alert(), 14, "ann", 0)
    assert (said.from_ms, said.until_ms) == (AFTER_MS, AFTER_MS + 14 * DAY_MS)
    assert "(recall) is expected until 15 Jan 1970" in in_words(said)
    with pytest.raises(ConfigError, match="nobody has accepted"):
        withdraw(wiring, drift_alert())
    accept(wiring, said)
    assert withdraw(wiring, drift_alert()) == said
    assert [record.value is None for record in topics.records[ACCEPTED_TOPIC]] == [False, True]


def test_acceptances_of_others_and_what_is_none_are_passed_over() -> None:
    episodes = AcceptedEpisodes("support")
    other = acceptance(drift_alert(values={"app": "finance", "centre": "AAAA"}), None, "ann", 0)
    for offset, value in enumerate((other.encode(), b"no JSON", None)):
        episodes.take(Record(ACCEPTED_TOPIC, 0, offset, b"key", value, 0))
    assert list(episodes) == [] and episodes.at(10**12) == ()
    mine = acceptance(drift_alert(), None, "ann", 0)
    episodes.take(Record(ACCEPTED_TOPIC, 0, 3, mine.record_key, mine.encode(), 0))
    assert episodes.at(AFTER_MS - 1) == () and episodes.at(AFTER_MS) == (mine,)
    episodes.take(Record(ACCEPTED_TOPIC, 0, 2, mine.record_key, None, 0))  # read again
    assert episodes.of("3f2a") == mine
