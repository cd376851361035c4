"""What people's labels say of decisions is watched: a rise of errors is found, told with what it costs, and once."""

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

import numpy as np
import orjson
import pytest
from monitor_in_memory import APP, START_MS, Process, World
from pydantic import TypeAdapter, ValidationError
from test_monitor_restart import one_simulation, send

from bench.drift.peers.own_labels import SHIPPED, alarms_of, tuned
from streams.application import Drift
from streams.monitor.episodes.symptoms import Symptom
from streams.monitor.signals.alerts import signal_alert
from streams.monitor.signals.labelled import REMEMBERED, LabelValues
from streams.monitor.signals.shares import Share
from streams.monitor.signals.watch import SignalEpisode, SignalWatch
from streams.signal_specs import USUAL_SIGNALS, DriftSignal
from streams.topics import FEEDBACK_TOPIC
from streams.wire.feedback import Opinion
from streams.wire.records import Feedback, format_time

assert one_simulation  # the fixture


def opinion(number: int, label: str = "a", by: str = "ann", **fields: Any) -> Opinion:
    known = {"chosen": "random", "probability": 0.005, "decided": "a", "head": "intent", **fields}
    identity = f"support.chats@0a1b2c3d-0-{number}"
    return Opinion(Feedback(decision_id=identity, label=label, by=by, at=format_time(START_MS), **known), START_MS)


def test_an_unchanged_share_alarms_no_more_often_than_stated() -> None:
    random, alarms = np.random.default_rng(1), 0
    for _ in range(20):
        share = Share("up", 500.0)
        alarms += sum(share.update(float(wrong)) is not None for wrong in random.random(1_000) < 0.08)
    assert alarms <= 40


@pytest.mark.parametrize("side", ["up", "down"])
def test_a_rise_of_errors_is_found_within_150_labels(side: Literal["up", "down"]) -> None:
    delays = []
    for seed in range(11):
        random, share = np.random.default_rng(seed), Share(side, 900_000.0)
        values = np.concatenate([random.random(300) < 0.08, random.random(600) < 0.26]) != (side == "down")
        delays.append(next(n for n, value in enumerate(values) if share.update(float(value)) is not None) - 300)
        assert share.level == 1.0 and share.since >= 10
    assert min(delays) > 0 and np.median(delays) <= 150


def test_the_bench_tunes_it_to_a_measured_rate() -> None:
    random = np.random.default_rng(3)
    setting, alarms = tuned([random.random(10_000) < 0.08 for _ in range(2)], events=20_000, every=1_000, rough=5_000)
    assert 2.0 <= setting <= 1_000.0 and 8 <= alarms <= 40
    assert alarms_of(random.random(5_000) < 0.08, SHIPPED) == []


def test_a_share_that_was_taken_apart_goes_on_at_the_same_value() -> None:
    random, share = np.random.default_rng(0), Share("up", 1_000.0)
    for wrong in np.concatenate([random.random(200) < 0.1, random.random(150) < 0.5]):
        again = Share("up", 1_000.0)
        again.restore(orjson.loads(orjson.dumps(share.state())))
        assert share.update(float(wrong)) == again.update(float(wrong)) and share.state() == again.state()
    with pytest.raises(ValueError, match="5 of 3"):
        Share("up", 1_000.0).restore({**share.state(), "usual": [3, 5]})


def values_of(*opinions: Opinion) -> list[dict[str, float]]:
    here, number = LabelValues("intent"), count()
    return [here.take((0, next(number)), None, one) for one in opinions]


def test_only_decisions_drawn_from_the_whole_stream_say_how_often_they_are_wrong() -> None:
    assert values_of(opinion(1), opinion(2, "b")) == [{"errors": 0.0}, {"errors": 1.0}]
    others: Sequence[dict[str, Any]] = (
        {"chosen": "queue", "probability": None},
        {"stratum": "episode"},
        {"decided": None},
        {"head": "urgency"},
    )
    for fields in others:
        assert values_of(opinion(1, "b", **fields)) == [{}]


def test_a_decision_counts_once_and_a_second_person_says_whether_people_agree() -> None:
    said = opinion(1), opinion(1, "b"), opinion(1, "b", "bob"), opinion(1, "a", "cy"), opinion(2), opinion(2, by="bob")
    assert values_of(*said) == [{"errors": 0.0}, {}, {"agreement": 1.0}, {}, {"errors": 0.0}, {"agreement": 1.0}]
    assert values_of(opinion(1), opinion(1, "b", "bob", chosen="queue"))[1] == {"agreement": 0.0}


def test_labels_that_are_read_again_count_for_nothing() -> None:
    here = LabelValues("intent")
    for number in range(REMEMBERED + 10):
        here.take((0, number), None, opinion(number))
    again = LabelValues("intent")
    again.restore(orjson.loads(orjson.dumps(here.state())))
    assert len(here.state()["counted"]) == REMEMBERED
    assert [again.take((0, number), None, opinion(number)) for number in (0, 5)] == [{}, {}]
    assert again.take((0, REMEMBERED + 10), None, opinion(5, "b", "bob")) == {"agreement": 0.0}
    assert again.take((0, REMEMBERED + 11), None, opinion(REMEMBERED + 5)) == {}, "its record was compacted away"
    assert again.take((0, REMEMBERED + 12), None, opinion(9_999)) == {"errors": 0.0}


def test_the_alert_says_what_the_errors_cost_and_weighs_by_it() -> None:
    symptom = Symptom("errors", "share", 90, 100, "s-1", "now", 0.08, 0.26, (300, 100), "errors")
    episode = SignalEpisode((symptom,), "s-1", 100, 100)
    rates = ((None, "warning"), (2.0, "info"), (100.0, "warning"), (1_000.0, "critical"))
    assert [signal_alert("a", "1", episode, events_per_hour=rate).severity for rate, _ in rates] == [
        s for _, s in rates
    ]
    alert = signal_alert("a", "1", episode, events_per_hour=100.0)
    assert "errors from 0.08 to 0.26 (of 300 labels drawn at random, then of 100)" in alert.summary
    assert "about 18 wrong ones more an hour" in alert.summary and "Only labels can tell" in alert.summary
    assert alert.values["cost"]["accuracy"] == 0.74


def test_an_episode_of_errors_goes_on_until_labels_say_that_it_is_over() -> None:
    here = SignalWatch(USUAL_SIGNALS, 100_000, quiet_events=10)
    here.open(Symptom("errors", "share", 90, 100, "s-1", "now", 0.08, 0.26, (300, 100), "errors"))
    assert here._costs()
    for number in range(60):
        here.take_labelled({"errors": float(number % 10 == 0)}, 200, "s-2", "now")
    assert not here._costs()
    again = SignalWatch(USUAL_SIGNALS, 100_000, quiet_events=10)
    again.restore(orjson.loads(orjson.dumps(here.state())))
    assert again.episode == here.episode and again.state() == here.state()


def test_labels_are_watched_by_what_can_watch_them() -> None:
    adapter = TypeAdapter[DriftSignal](DriftSignal)
    assert adapter.validate_python({"signal": "errors"}).model_dump()["detector"] == "share"
    assert adapter.validate_python({"signal": "length"}).model_dump()["detector"] == "ranks"
    for detector in ("ddm", "ranks", "adwin"):
        spec = adapter.validate_python({"signal": "errors", "detector": detector})
        here = SignalWatch([spec], 1_000)
        random = np.random.default_rng(0)
        wrong = np.concatenate([random.random(500) < 0.05, random.random(500) < 0.5])
        assert any(here.take_labelled({"errors": float(one)}, 1, "s", "now") for one in wrong)
    for refused in ({"signal": "length", "detector": "share"}, {"signal": "agreement", "detector": "ddm"}):
        with pytest.raises(ValidationError):
            adapter.validate_python(refused)


def test_a_label_that_changes_its_meaning_is_told_once_whatever_restarts() -> None:
    """No text looks new, so nothing but labels shows it."""
    told, watched = [], APP.model_copy(update={"drift": Drift()})
    for stops in (False, True):
        world, random = World(), np.random.default_rng(0)
        world.announce("1")
        process = Process(world, app=watched)
        for block in range(8):
            send(world, random, 20)
            process.follow()
            for number in range(100 * block, 100 * block + 100):
                is_wrong = random.random() < (0.05 if block < 3 else 0.5)
                said = opinion(number, "b" if is_wrong else "a").feedback
                world.append(FEEDBACK_TOPIC, said.encode(), said.key)
            process.tick()
            process.publish()
            if stops and block in (2, 4, 6):
                process.stop()
                process = Process(world, app=watched)
        told.append([alert for alert in world.alerts() if alert.rule == "drift_signal"])
    first, again = told
    assert first and {alert.fingerprint for alert in first} == {alert.fingerprint for alert in again}
    assert first[0].severity == "warning" and first[0].values["symptoms"][0]["signal"] == "errors"
    assert first[-1].state == again[-1].state == "firing" and len(again) == len(first)
