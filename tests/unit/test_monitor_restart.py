"""A monitor that is killed anywhere and starts again is as one that never stopped, and tells nothing twice."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from monitor_in_memory import APP, LABELS, POLICY, REFERENCE, Process, World, signal
from repeats import repeats

from connectors.errors import RegistryUnavailable
from models.errors import ModelError
from streams.monitor.drift import detector
from streams.monitor.drift.thresholds import simulate_thresholds
from streams.monitor.release_alerts import StepAlerts
from streams.monitor.retrain_requests import milliseconds
from streams.monitor.state import rebuilding
from streams.monitor.state.snapshot import MAX_BYTES
from streams.rule_specs import SilenceRule
from streams.topics import ALERTS_TOPIC, FEEDBACK_TOPIC, MONITOR_STATE_TOPIC, RETRAIN_REQUESTS_TOPIC
from streams.wire.records import Alert, Release, Step, format_time

AT = "2026-11-01T10:00:00Z"


@pytest.fixture(autouse=True, scope="module")
def one_simulation() -> Iterator[None]:
    """Thresholds are the same for the same reference: they need not be simulated at each of a hundred starts."""
    known = detector.Reference.from_arrays(REFERENCE)
    thresholds = simulate_thresholds(
        known, POLICY.evidence, expected_run_events=12_000.0, seed=0, policy=POLICY.simulation
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector, "simulate_thresholds", lambda *_, **__: thresholds)
        yield


def send(world: World, random: np.random.Generator, records: int, version: str = "1", new: float = 0.0) -> None:
    """Records of three signals each, a second apart. new: share of them about what no release knows."""
    for _ in range(records):
        world.now_ms += 1_000
        before = 3 * len(world.records.get(APP.signals_topic, []))
        subjects = [LABELS if random.random() < new else int(random.integers(LABELS)) for _ in range(3)]
        world.signals(
            [signal(before + n, version, subject, random, world.now_ms) for n, subject in enumerate(subjects)]
        )


def drifted(records: int = 60) -> tuple[World, Process]:
    """A world in which drift was found, and the monitor that found it."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    send(world, random, 40)
    send(world, random, records, new=0.6)
    process.follow()
    process.tick()
    assert [(alert.rule, alert.state) for alert in world.alerts()] == [("drift", "firing")]
    return world, process


def test_a_better_story_is_told_once_whoever_tells_it() -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    policy = replace(POLICY, retold_after=(30,))
    process = Process(world, drift=policy)
    send(world, random, 40)
    for records, publish in ((22, True), (12, False), (4, True)):  # killed in between before anything was sent
        send(world, random, records, new=0.6)
        process.follow(publish=publish)
        process = Process(world, drift=policy)
    process.follow()
    process.tick()
    told = [alert for alert in world.alerts() if alert.rule == "drift"]
    assert [alert.state for alert in told] == ["firing", "firing"]
    assert told[0].fingerprint == told[1].fingerprint and told[0].values["headline"] == told[1].values["headline"]
    assert told[1].values["told_event"] - told[1].values["detected_event"] == 30


actions = st.lists(
    st.one_of(
        st.tuples(st.just("known"), st.integers(1, 15)),
        st.tuples(st.just("new"), st.integers(1, 25)),
        st.tuples(st.just("surge"), st.integers(1, 12)),
        st.tuples(st.just("label"), st.integers(0, 12)),
        st.tuples(st.just("withdraw"), st.integers(0, 12)),
        st.tuples(st.just("promote"), st.just(0)),
        st.tuples(st.just("kill"), st.integers(0, 3)),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=25,
)


@given(actions, st.integers(0, 20), st.sampled_from([0.0, 20.0, 1e9]))
@example(
    [("known", 15), ("new", 25), ("new", 15), ("tick", 0), ("kill", 1), ("promote", 0), ("known", 3), ("kill", 0),
     ("promote", 0), ("known", 5), ("kill", 2), ("label", 1), ("label", 2), ("label", 3), ("label", 4), ("label", 5)],
    0,
    20.0,
)  # fmt: skip
@settings(deadline=None, max_examples=repeats(15, 60))
def test_killed_anywhere_the_state_is_that_of_one_that_never_stopped(
    steps: list[tuple[str, int]], seed: int, snapshot_seconds: float
) -> None:
    """S-A5: sums, episode, labels, surges, event numbers and what fires: all of it was gone after a restart."""
    random, world, calm_world = np.random.default_rng(seed), World(), World()
    steady, killed = Process(calm_world), Process(world, snapshot_seconds=snapshot_seconds)
    for twin in (world, calm_world):
        twin.announce("1")
    for action, count in [*steps, ("known", 2), ("tick", 0)]:
        versions = {w.announced.champion if w.announced else "1" for w in (world, calm_world)}
        (version,) = versions
        match action:
            case "known" | "new" | "surge":
                begun = len(world.records.get(APP.signals_topic, []))
                send(world, random, count, version, 0.6 if action == "new" else 0.0)
                if action == "surge":
                    world.signals([signal(9_000 + n, version, 3, random, world.now_ms) for n in range(2 * count)])
                for record in world.records[APP.signals_topic][begun:]:
                    calm_world.now_ms = record.timestamp_ms
                    calm_world.append(APP.signals_topic, record.value)
            case "label" | "withdraw":
                for twin in (world, calm_world):
                    twin.label(count, "3" if action == "label" else None)
            case "promote":
                for twin in (world, calm_world):
                    twin.announce("2" if version == "1" else "1")
            case "kill":
                killed.follow(publish=count > 0, commit=count > 1)
                if count > 2:
                    killed.tick()
                killed = Process(world, snapshot_seconds=snapshot_seconds)
            case "stop":
                killed.follow()
                killed.stop()
                killed = Process(world, snapshot_seconds=snapshot_seconds)
        steady.follow()
        steady.tick()
        if action == "tick":
            killed.follow()
            killed.tick()
    calm_world.now_ms = world.now_ms = world.now_ms + 60_000
    for process in (steady, killed):
        process.tick()
    uninterrupted, restored = steady.state(), killed.state()
    assert {**restored, "alerts": 0} == {**uninterrupted, "alerts": 0}
    assert world.firing() == calm_world.firing()
    assert len({request.id for request in world.requests()}) == len(world.requests())
    for name in {alert.fingerprint for alert in world.alerts()}:
        states = [alert.state for alert in world.alerts() if alert.fingerprint == name]
        assert states == ["firing", "resolved"] * (len(states) // 2) + ["firing"] * (len(states) % 2)


def test_drift_that_is_told_is_neither_told_again_nor_left_firing() -> None:
    """S-A5, S-A8: after a restart the same drift was told as new, and no release ever resolved it."""
    world, _ = drifted()
    again = Process(world)
    again.tick()
    assert len(world.alerts()) == 1 and again.state()["releases"][0]["drift"]["episodes"]["open"]
    world.announce("2")
    again.tick()
    fired, resolved = world.alerts()
    assert (resolved.state, resolved.fingerprint) == ("resolved", fired.fingerprint)
    assert "support@2 serves" in resolved.summary and world.firing() == set()


def test_drift_ends_when_the_stream_is_quiet_again_and_so_does_the_low_bar_for_labels() -> None:
    """S-A8, M-7: the monitor armed itself again without a word, and 40 labels stayed enough for ever."""
    world, process = drifted()
    send(world, np.random.default_rng(1), 120)
    process.follow()
    assert [alert.state for alert in world.alerts() if alert.rule == "drift"] == ["firing", "resolved"]
    for number in range(9):  # enough after an episode, too few without one
        world.label(number, "3")
    process.tick()
    assert world.requests() == []
    world.label(9, "3")
    process.tick()
    assert [request.reason for request in world.requests()] == ["new labels"]


def test_a_second_subject_after_the_first_is_told_once_the_first_is_over() -> None:
    world, process = drifted()
    random = np.random.default_rng(1)
    send(world, random, 120)
    send(world, random, 60, new=0.6)
    process.follow()
    assert [alert.state for alert in world.alerts() if alert.rule == "drift"] == ["firing", "resolved", "firing"]


def test_rollback_is_watched_and_asks_about_the_version_that_serves() -> None:
    """S-A3, M-8, D-B5: after 2 -> 1 every signal was taken for a straggler, and requests named version 2."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    send(world, random, 40)
    process.follow()
    world.announce("2")
    send(world, random, 40, version="2")
    process.follow()
    world.announce("1")
    world.now_ms += 1_000
    send(world, random, 60, version="1", new=0.6)
    process.follow()
    assert [(alert.state, alert.values["version"]) for alert in world.alerts()] == [("firing", "1")]
    world.now_ms += 1_000
    for number in range(6):
        world.label(number, "3")
    process.tick()
    assert [request.evidence["version"] for request in world.requests()] == ["1"]
    assert [release["events"] for release in process.state()["releases"]] == [120, 300]


def test_drift_of_the_release_before_fires_again_after_a_rollback_to_it() -> None:
    """It has not gone: another release knew what this one does not."""
    world, process = drifted()
    world.announce("2")
    process.tick()
    world.announce("1")
    process.tick()
    assert [alert.state for alert in world.alerts() if alert.rule == "drift"] == ["firing", "resolved", "firing"]


def test_versions_need_not_be_numbers() -> None:
    world, random = World(), np.random.default_rng(0)
    world.references = {"2026-11-24": REFERENCE, "blue": REFERENCE}
    process = Process(world)
    for version in ("blue", "2026-11-24"):
        world.announce(version)
        send(world, random, 5, version=version)
        process.follow()
    assert [release["events"] for release in process.state()["releases"]] == [15, 15]


def test_signals_of_a_release_that_is_not_heard_of_yet_count() -> None:
    """A worker may decide by a release before the monitor's follower hears of it: the topic tells."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    process.tick()
    heard = process.sources.release
    known = heard()
    process.sources.release = lambda: known  # type: ignore[method-assign]
    world.announce("2")
    send(world, random, 5, version="2")
    process.follow()
    assert {release["version"]: release["events"] for release in process.state()["releases"]}["2"] == 15


def test_canaries_and_stragglers_are_passed_over_quietly_and_unknown_versions_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """D-B4: a signal of version 77 ended the monitor for good."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1", canary="2")
    process = Process(world)
    send(world, random, 3, version="2")
    process.follow()
    assert "skipped" not in caplog.text
    send(world, random, 3, version="77")
    send(world, random, 3, version="78")
    send(world, random, 3, version="1")
    process.follow()
    assert process.handler.counts.skipped == {"other_version": 9, "unknown_version": 18}
    assert caplog.text.count("are skipped") == 1 and "support@77" in caplog.text
    assert process.state()["releases"][0]["events"] == 9


def test_versions_that_somebody_makes_up_are_not_looked_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilding, "REFRESHES", 5)
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process, reads = Process(world), list[int]()
    process.tick()
    releases = process.sources.releases
    monkeypatch.setattr(process.sources, "releases", lambda: reads.append(1) or releases())
    for number in range(20):
        send(world, random, 1, version=f"made up {number}")
        process.follow()
    assert len(reads) == 5 and process.handler.counts.skipped["unknown_version"] == 60


BROKEN = [
    b"",
    b"{}",
    b"null",
    b"[" * 5_000,
    b'[{"id": 1}]',
    b"[3, null, []]",
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": ["refund", 0.5]}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"intent": "refund"}}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"intent": ["refund", "sure"]}}]),
    orjson.dumps([{"id": "a", "at": "b", "version": 1, "labels": {"intent": ["refund", 0.5]}}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"mood": ["refund", 0.5]}}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"intent": ["1", 0.5]}, "embedding": "?"}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"intent": ["1", 0.5]}, "embedding": "AAAA" * 3}]),
    orjson.dumps([{"id": "a", "at": "b", "version": "1", "labels": {"intent": ["1", 0.5]}, "symbols": "AAA"}]),
]


@pytest.mark.parametrize("value", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_signal_is_counted_and_takes_no_other_along(value: bytes) -> None:
    """S-A17 g, h, D-B4: a list of labels ended the monitor; a broken signal threw the alerts of those before away."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    send(world, random, 1)
    good = orjson.loads(world.records[APP.signals_topic][0].value or b"")
    bad = orjson.loads(value) if value.startswith(b"[{") else [17]
    world.append(APP.signals_topic, value)
    world.signals([good[0], *bad, good[1]])
    process.follow()
    assert process.handler.counts.skipped["bad_signal"] >= 2
    assert process.state()["releases"][0]["events"] == 5


def test_alerts_of_the_signals_before_a_broken_one_are_told() -> None:
    """S-A17 g."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    send(world, random, 20)
    surge = [signal(1_000 + number, "1", 3, random, world.now_ms) for number in range(40)]
    world.signals([*surge, {"labels": []}])
    process.follow()
    assert [alert.rule for alert in world.alerts()] == ["surge:intent=3"]


def test_a_release_without_a_reference_is_an_alert_and_everything_else_goes_on() -> None:
    """S-A17 i: one release without a reference ended the monitor of all applications, again at each start."""
    world, random = World(), np.random.default_rng(0)
    world.references["1"] = ModelError("the release's centroids has shape (0,)")
    world.announce("1")
    process = Process(world)
    send(world, random, 20)
    world.signals([signal(1_000 + number, "1", 3, random, world.now_ms) for number in range(40)])
    process.follow()
    alerts = {alert.rule: alert for alert in world.alerts()}
    assert {rule: alert.state for rule, alert in alerts.items()} == {
        "drift_unwatched": "firing",
        "surge:intent=3": "firing",
    }
    assert "centroids" in alerts["drift_unwatched"].summary
    again = Process(world)
    again.tick()
    assert len(world.alerts()) == 2
    world.announce("2")
    again.tick()
    assert [(a.rule, a.state) for a in world.alerts()][2:] == [("drift_unwatched", "resolved")]


def test_a_reference_that_is_there_later_ends_that_alert() -> None:
    world, random = World(), np.random.default_rng(0)
    world.references["1"] = ModelError("not there")
    world.announce("1")
    process = Process(world)
    send(world, random, 2)
    process.follow()
    world.references["1"] = REFERENCE
    world.now_ms += 61_000
    process.tick()
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved"]


def test_a_registry_that_does_not_answer_now_changes_nothing_until_it_does() -> None:
    """S-A10: a throttled read ended the monitor."""
    world, random = World(), np.random.default_rng(0)
    world.references["1"] = RegistryUnavailable("slow down")
    world.announce("1")
    process = Process(world)
    send(world, random, 2)
    with pytest.raises(RegistryUnavailable):
        process.follow()
    world.references["1"] = REFERENCE
    process.follow()
    assert process.state()["releases"][0]["events"] == 6 and process.state()["events"] == 6


def test_labels_count_as_they_stand() -> None:
    """S-A5: the same label sent three times and then withdrawn counted three."""
    world, _ = drifted()
    process = Process(world)
    world.now_ms += 1_000
    for number in range(4):
        world.label(number, "3")
    for _ in range(3):
        world.label(0, "3")
    world.label(4, "3")
    world.label(4, None)
    process.tick()
    assert world.requests() == []
    world.label(5, "3", topic="support.urgent")
    process.tick()
    assert [request.evidence["labels"] for request in world.requests()] == [5]


def test_no_label_judges_before_all_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.announce("1")
    for number in range(2):
        world.label(number, "3")
    process, judged = Process(world), list[int]()
    process.handler.take_over()
    first, second = world.records[FEEDBACK_TOPIC]
    parts = iter([([first], False), ([second], False), ([], True), ([], True)])
    monkeypatch.setattr(process.sources, "labels", lambda: next(parts))
    core = process.handler.core
    assert core is not None
    monkeypatch.setattr(core.labelled, "judge", lambda opinions: judged.append(len(list(opinions))))
    for _ in range(4):
        process.tick()
    assert judged == [2]


@pytest.mark.parametrize("offset", [None, "x", 1_000_000])
def test_an_offset_of_an_alert_that_cannot_be_is_not_believed(offset: object) -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    values = {"app": "support", "signals_offset": offset}
    alert = {"fingerprint": "0a", "rule": "drift", "severity": "warning", "state": "firing", "summary": "", "at": ""}
    world.append(ALERTS_TOPIC, orjson.dumps(alert | {"values": values, "evidence": []}), b"0a")
    process = Process(world)
    process.tick()
    send(world, random, 40)
    send(world, random, 60, new=0.6)
    process.follow()
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved", "firing"]


def test_labels_that_came_before_the_first_signal_count() -> None:
    """S-A5: after a restart the backlog of labels came first and was dropped: 5 labels, counted none."""
    world = World()
    world.announce("1")
    process = Process(world)
    for number in range(10):
        world.label(number, "3")
    process.tick()
    assert [request.evidence["labels"] for request in world.requests()] == [10]


def test_one_request_for_one_need_and_the_next_at_half_as_many_labels_more() -> None:
    world, _ = drifted()
    world.now_ms += 1_000
    for number in range(14):
        world.label(number, "3")
        Process(world).tick()  # a process for each label: what was asked stands in the topic
    assert [request.evidence["labels"] for request in world.requests()] == [5, 7, 10]
    assert len(world.requests()) == len({request.id for request in world.requests()})


def test_what_a_later_release_finds_is_told_by_the_stream_s_count_of_events() -> None:
    """An episode's own numbers begin anew with each release: the demo took one of the second release for a false alarm
    of before the drift."""
    world, process = drifted()
    random = np.random.default_rng(1)
    world.announce("2")
    before = 3 * len(world.records[APP.signals_topic])
    send(world, random, 40, version="2")
    send(world, random, 60, version="2", new=0.6)
    process.follow()
    core = process.handler.core
    assert core is not None
    first, second = core.totals.episodes
    assert (first.version, first.event) == ("1", first.episode.detected_event)
    assert (second.version, second.event) == ("2", before + second.episode.detected_event)


def test_an_episode_beside_an_open_one_takes_no_label_from_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each new episode began the count anew, so that with several subjects a request came never."""
    world, process = drifted()
    random = np.random.default_rng(1)
    core = process.handler.core
    assert core is not None and core.champion is not None and core.champion.drift is not None
    drift = core.champion.drift
    take = drift.update

    def opening(one: Any) -> None:
        take(one)
        if all(known.detected_id != "beside" for known in drift.episodes):
            drift._open.open(replace(drift.episodes[0], detected_id="beside"))

    world.now_ms += 1_000
    for number in range(3):
        world.label(number, "3")
    monkeypatch.setattr(drift, "update", opening)
    world.now_ms += 1_000
    send(world, random, 1)
    process.follow()
    assert len(drift.episodes) == 2 and world.requests() == []
    world.now_ms += 1_000
    for number in range(3, 5):
        world.label(number, "3")
    process.tick()
    assert [request.evidence["labels"] for request in world.requests()] == [5]


@pytest.mark.parametrize(
    "broken",
    [
        b"{broken",
        b"[]",
        b'{"format": 0}',
        b'{"format": 1, "app": "finance", "epoch": "0a1b2c3d"}',
        b'{"format": 1, "app": "support", "epoch": "ffffffff"}',
        b'{"format": 1, "app": "support", "epoch": "0a1b2c3d", "champions": 3}',
    ],
    ids=["no JSON", "no object", "another format", "another application", "another topic", "not whole"],
)
def test_a_state_that_cannot_be_used_is_ignored_with_one_warning(
    broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    world, process = drifted()
    before = process.state()
    world.append(MONITOR_STATE_TOPIC, broken)
    again = Process(world)
    again.tick()
    assert again.state() == {**before, "alerts": again.state()["alerts"]}
    assert caplog.text.count("the kept state cannot be used") == 1 and len(world.alerts()) == 1


def test_a_monitor_resolves_what_fires_of_rules_that_are_gone_and_says_why() -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    monitor = Process(world)
    world.signals([signal(number, "1", 3, random, world.now_ms) for number in range(40)])
    monitor.follow()
    monitor.tick()
    monitor.stop()
    (fired,) = [alert for alert in world.alerts() if alert.kind == "surge"]
    edited_app = APP.model_copy(update={"surges": ()})
    after = Process(world, app=edited_app)
    after.follow()
    after.tick()
    (over,) = [alert for alert in world.alerts() if alert.fingerprint == fired.fingerprint and alert.state != "firing"]
    assert "its rule is gone from the application's file" in over.summary
    assert after.handler.core is not None
    assert after.handler.core.totals.events == 40, "what else was known is lost"


def test_a_state_beyond_the_end_of_the_signals_is_ignored() -> None:
    world, _ = drifted()
    del world.records[APP.signals_topic][50:]
    world.committed = 50
    again = Process(world)
    again.tick()
    assert again.state()["offsets"] == {"0": 50}


def test_the_state_stays_below_what_any_broker_takes() -> None:
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    send(world, random, 60)
    process.follow()
    process.tick()
    values = [record.value or b"" for record in world.records[MONITOR_STATE_TOPIC]]
    assert values and max(map(len, values)) < MAX_BYTES


def test_alerts_and_requests_written_by_an_older_headrace_are_taken_for_what_they_are() -> None:
    """Written by d23f76a: a drift that never was resolved, and a request without `since_ms`."""
    world = World()
    world.announce("1")
    world.append(
        ALERTS_TOPIC,
        b'{"fingerprint":"0a1b2c3d4e5f6071","rule":"drift","severity":"warning","state":"firing","summary":"support: '
        b'Since about event 12 ...","values":{"app":"support","version":"1","onset_event":12},"evidence":[],'
        b'"at":"2026-11-23T10:00:00.000Z"}',
        b"0a1b2c3d4e5f6071",
    )
    for number in range(10):
        world.label(number, "3")
    world.now_ms += 1_000
    old = {"id": "support@1-10", "app": "support", "reason": "new labels", "evidence": {"version": "1", "labels": 10}}
    world.append(RETRAIN_REQUESTS_TOPIC, orjson.dumps(old | {"at": format_time(world.now_ms)}), b"support")
    process = Process(world)
    process.tick()
    assert [alert.state for alert in world.alerts()] == ["firing", "resolved"]
    assert isinstance(world.alerts()[1], Alert) and len(world.requests()) == 1


def test_signals_written_by_an_older_headrace_are_read() -> None:
    """Written by d23f76a: one decided by the fast path, one by the encoder, whose embedding is cut to 24 numbers."""
    world = World()
    world.announce("1")
    world.append(
        APP.signals_topic,
        b'[{"id":"support.chats@0a1b2c3d-0-1","at":"2026-11-24T12:00:00.000Z","path":"fast","version":"1",'
        b'"labels":{"intent":["refund",0.9876]},"oos":null,"characters":21,"unknown_share":null,"text":"money"},'
        b'{"id":"support.chats@0a1b2c3d-0-2","at":"2026-11-24T12:00:01.000Z","path":"full","version":"1",'
        b'"labels":{"intent":["fee",0.5123]},"oos":0.2512,"characters":9,"unknown_share":0.1,"text":"what fee?",'
        b'"symbols":["ACME"],"embedding":"ADwAPAA8ADwAPAA8ADwAPAA8ADwAPAA8ADwAPAA8ADwAPAA8ADwAPAA8ADwAPAA8"}]',
    )
    process = Process(world)
    process.follow()
    assert process.state()["releases"][0]["events"] == 2 and not process.handler.counts.skipped


@pytest.mark.parametrize("came", ["failed", "rejected", "broken", "of a version unheard of"])
def test_an_event_that_came_is_no_silence_whatever_became_of_it(came: str) -> None:
    """An hour in which every text made the release fail was told as an hour without events."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    app = APP.model_copy(update={"rules": (SilenceRule(kind="silence", minutes=30),)})
    process = Process(world, app=app)
    fields = {"failed": {"failed": "model_failure", "labels": {}}, "rejected": {"rejected": True}, "broken": {"id": 7}}
    for number in range(60):
        world.now_ms += 60_000
        version = "77" if came == "of a version unheard of" else "1"
        world.signals([signal(number, version, 0, random, world.now_ms) | fields.get(came, {})])
        process.follow()
        process.tick()
    assert world.alerts() == []
    world.now_ms += 31 * 60_000
    process.tick()
    assert [alert.rule for alert in world.alerts()] == ["silence"]


def test_what_somebody_looks_after_stays_over_while_nobody_can_say_so() -> None:
    """An acknowledged alert fired anew as soon as the topic of silences could not be read."""
    step = Step(kind="rolled_back", version="2", reason="labels")
    state = Release(
        model="support", champion="1", previous="2", revision=3, manifest_sha256={}, by="watch", step=step, at=AT
    )
    here = StepAlerts("support", 7.0)
    (fired,) = here.take(state)
    now_ms = milliseconds(AT) + 1_000
    assert [alert.state for alert in here.look(now_ms, {fired.fingerprint: "ann"})] == ["resolved"]
    assert here.look(now_ms, None) == [] and not here.firing
    assert [alert.state for alert in here.look(now_ms, {})] == ["firing"], "it was taken back"


def test_a_signal_of_a_text_that_a_release_failed_on_is_none_after_a_restart_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, process = drifted()
    random = np.random.default_rng(0)
    raw = [signal(1_000 + n, "1", 1, random, world.now_ms) for n in range(3)]
    world.signals([raw[0], raw[1] | {"failed": "out of memory"}, raw[2]])
    process.follow()
    core = process.handler.core
    assert core is not None and core.champion is not None and core.champion.drift is not None
    live = {seen.id: seen.event_number for seen in core.champion.drift._history}
    process.stop()
    numbers = dict[str, int]()
    restore = detector.DriftMonitor.restore

    def noted(self: detector.DriftMonitor, state: Any, signals: Any) -> None:
        numbers.update({one.id: one.event_number for one in signals})
        restore(self, state, signals)

    monkeypatch.setattr(detector.DriftMonitor, "restore", noted)
    Process(world).tick()
    assert live and live.items() <= numbers.items()


def test_a_monitor_says_that_it_rebuilds_its_state_as_long_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the watchdog leaves it the time."""
    world, seen = World(), list[bool]()
    world.announce("1")
    monitor = Process(world)
    monkeypatch.setattr(monitor.sources, "snapshot", lambda: seen.append(monitor.handler.is_rebuilding))
    monitor.tick()
    assert seen == [True] and not monitor.handler.is_rebuilding
