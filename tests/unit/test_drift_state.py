"""The drift monitor's state: one that starts from it goes on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from repeats import repeats

from streams.monitor.clusters import ClusterPolicy
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy, Signal
from streams.monitor.drift.evidence import TAILS, Evidence, EvidencePolicy
from streams.monitor.drift.fast_audits import FAST_AUDITS
from streams.monitor.drift.live_thresholds import LivePolicy
from streams.monitor.drift.thresholds import SimulationPolicy
from streams.packing import pack, unpack

DIMENSIONS, LABELS = 24, 4
POLICY = DriftPolicy(
    EvidencePolicy(lag_events=10, settle_events=120),
    SimulationPolicy(runs=32, events=400),
    history_texts=80,
    clusters=ClusterPolicy(recent_texts=60),
    quiet_events=60,
    live=LivePolicy(young_texts=100, looks=(40, 120), streams=20, stream_texts=300, block_texts=20),
)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
RANDOM = np.random.default_rng(5)
SUBJECTS = RANDOM.standard_normal((LABELS + 1, DIMENSIONS)).astype(np.float32)


def embeddings(subjects: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float32]:
    near = SUBJECTS[subjects] / np.linalg.norm(SUBJECTS[subjects], axis=1, keepdims=True)
    near = near + 0.15 * random.standard_normal(near.shape)
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def reference(*, with_fast: bool) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(1)
    known = embeddings(random.integers(LABELS, size=400), random)
    centroids = SUBJECTS[:LABELS] / np.linalg.norm(SUBJECTS[:LABELS], axis=1, keepdims=True)
    arrays = {
        "centroids": centroids,
        "reference_distances": 1.0 - (known @ centroids.T).max(axis=1),
        "reference_confidence": random.uniform(0.5, 1.0, len(known)).astype(np.float32),
        "reference_embeddings": known,
    }
    if with_fast:
        fast = np.arange(len(known)) % 3 > 0
        arrays |= {"reference_fast": fast.astype(np.uint8), "reference_full_embeddings": known[~fast]}
    return arrays


REFERENCES = {with_fast: reference(with_fast=with_fast) for with_fast in (False, True)}
FRESH = {
    with_fast: DriftMonitor.from_reference(arrays, false_alarm_every=2_000, seed=0, policy=POLICY)
    for with_fast, arrays in REFERENCES.items()
}


def fresh(*, with_fast: bool) -> DriftMonitor:
    """As `from_reference` makes one, without its second."""
    ready = FRESH[with_fast]
    return DriftMonitor(ready._reference, ready._sums.live._simulated, POLICY, false_alarm_every=2_000)


def stream(seed: int, events: int, *, new_from: int, new_to: int, with_fast: bool) -> list[Signal]:
    """Known texts; between two events half of them about a fifth subject. Some texts come again. Of fast texts every
    fourth event is audited."""
    random = np.random.default_rng(seed)
    numbers = np.arange(events)
    is_new = (numbers >= new_from) & (numbers < new_to) & (random.random(events) < 0.5)
    subjects = np.where(is_new, LABELS, random.integers(LABELS, size=events))
    vectors = embeddings(subjects, random)
    signals: list[Signal] = []
    for number in range(events):
        fast = with_fast and not is_new[number] and bool(random.random() < 0.5)
        text = None if random.random() < 0.1 else f"text {'abcdefgh'[random.integers(8)] * int(random.integers(1, 9))}"
        signals.append(
            Signal(
                f"s@1-0-{number}",
                number + 1,
                text,
                str(subjects[number]),
                float(random.uniform(0.2, 0.5) if is_new[number] else random.uniform(0.5, 1.0)),
                None,
                None if fast and number % 4 else vectors[number],
                fast,
                (MONDAY + timedelta(hours=8 * (number // 12))).isoformat() if number % 7 else "",
                number // 3,
                None if random.random() < 0.2 else f"key {random.integers(60)}",
            )
        )
    return signals


def restored(monitor: DriftMonitor, signals: list[Signal], *, with_fast: bool) -> DriftMonitor:
    state: Mapping[str, Any] = orjson.loads(orjson.dumps(monitor.state()))
    first, end = state["offsets"]
    again = fresh(with_fast=with_fast)
    again.restore(state, [signal for signal in signals if first <= signal.offset < end])
    return again


def same(one: DriftMonitor, other: DriftMonitor) -> bool:
    texts = [[replace(seen, outside=None) for seen in watch._history] for watch in (one, other)]
    vectors = [[seen.outside for seen in watch._history if seen.outside is not None] for watch in (one, other)]
    return (
        one.state() == other.state()
        and one.levels == other.levels
        and texts[0] == texts[1]
        and len(vectors[0]) == len(vectors[1])
        and all(np.array_equal(a, b) for a, b in zip(*vectors, strict=True))
    )


@example(28, [28], 20, 10, False)  # a threshold that fell below its sum
@given(
    st.integers(0, 50),
    st.lists(st.integers(0, 320), min_size=1, max_size=3),
    st.integers(20, 200),
    st.integers(10, 120),
    st.booleans(),
)
@settings(deadline=None, max_examples=repeats(8, 40))
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(
    seed: int, stops: list[int], new_from: int, new_events: int, with_fast: bool
) -> None:
    """S-A5: sums, episode and what was learnt of the stream began at nothing after each restart."""
    signals = stream(seed, 320, new_from=new_from, new_to=new_from + new_events, with_fast=with_fast)
    whole, stopped = fresh(with_fast=with_fast), fresh(with_fast=with_fast)
    for number, signal in enumerate(signals):
        if number in stops:
            stopped = restored(stopped, signals[:number], with_fast=with_fast)
            assert same(stopped, whole)
        assert whole.update(signal) == stopped.update(signal)
    assert same(stopped, whole)


def test_the_streams_of_these_tests_hold_episodes_that_begin_and_end() -> None:
    """Else the test above would say little."""
    begun = ended = 0
    for seed in range(10):
        watch = fresh(with_fast=False)
        for signal in stream(seed, 320, new_from=60, new_to=140, with_fast=False):
            before = watch.episode
            begun += watch.update(signal) is not None
            ended += before is not None and watch.episode is None
    assert begun >= 5 and ended >= 3


def test_of_texts_that_wait_none_is_kept_once_all_is_learnt() -> None:
    evidence = Evidence(EvidencePolicy(lag_events=10, settle_events=20), 1, 2, 1.0)
    for _ in range(40):
        evidence.add(np.ones((1, 3)), np.ones((1, 2), np.float32))
    assert evidence.state()["waiting"] == []


def test_what_retention_has_dropped_shortens_the_memory_only() -> None:
    signals = stream(1, 200, new_from=300, new_to=300, with_fast=False)
    watch = fresh(with_fast=False)
    for signal in signals:
        watch.update(signal)
    again = fresh(with_fast=False)
    again.restore(watch.state(), signals[170:])
    assert again.levels == watch.levels
    assert [seen.id for seen in again._history] == [signal.id for signal in signals[170:]]
    assert [seen.copies for seen in again._history] == [seen.copies for seen in watch._history][-30:]


def test_a_state_from_before_there_was_a_sum_for_small_shares_goes_on_with_the_others() -> None:
    signals = stream(1, 60, new_from=300, new_to=300, with_fast=False)
    watch, again = fresh(with_fast=False), fresh(with_fast=False)
    for signal in signals:
        watch.update(signal)
    state = watch.state()
    del state["sums"]["small_share"]
    state["evidence"] = {name: value for name, value in state["evidence"].items() if "small" not in name}
    del state["evidence"]["allowances"]
    live = state["live"]
    live["drawn"] = pack(unpack(live["drawn"], np.float64, (4,))[:3])
    live["increments"] = pack(np.ascontiguousarray(unpack(live["increments"], np.float64, (-1, 4))[:, :3]))
    again.restore(orjson.loads(orjson.dumps(state)), signals)
    assert again.levels["small_share"] == 0.0
    for name in TAILS:
        assert (again.levels[name], again.thresholds[name]) == (watch.levels[name], watch.thresholds[name])
    again.update(signals[0])


def test_a_state_from_before_there_were_seasons_goes_on_and_learns_them() -> None:
    signals = stream(1, 60, new_from=300, new_to=300, with_fast=False)
    watch, again = fresh(with_fast=False), fresh(with_fast=False)
    for signal in signals:
        watch.update(signal)
    state = watch.state()
    del state["hours"], state["evidence"]["seasons"], state["bursts"]["seasons"]
    again.restore(orjson.loads(orjson.dumps(state)), signals)
    assert again.levels == watch.levels
    for signal in signals:
        again.update(signal)
    assert again.state()["hours"] == watch.state()["hours"]
    assert again.state()["bursts"]["seasons"] == watch.state()["bursts"]["seasons"]


def test_a_state_from_before_audits_had_a_sum_goes_on_with_the_others() -> None:
    signals = stream(1, 60, new_from=300, new_to=300, with_fast=True)
    watch, again = fresh(with_fast=True), fresh(with_fast=True)
    for signal in signals:
        watch.update(signal)
    state = watch.state()
    assert state[FAST_AUDITS]["audits"] > 0
    del state[FAST_AUDITS]
    again.restore(orjson.loads(orjson.dumps(state)), signals)
    assert again.levels == watch.levels | {FAST_AUDITS: 0.0}
    again.update(signals[0])


@pytest.mark.parametrize(
    "broken",
    [
        {"evidence": {}},
        {"hours": {"clock": [0.0]}},
        {"sums": {"unheard of": [1.0, 2]}},
        {"sums": {"both": "x"}},
        {"clusters": {"next": 1}},
        {"history": None},
        {"episodes": {"open": [{"story": {"onset_event": 1}}], "candidate": None}},
        {"episodes": None},
    ],
    ids=str,
)
def test_a_state_that_does_not_fit_is_refused(broken: dict[str, Any]) -> None:
    watch = fresh(with_fast=False)
    for signal in stream(1, 50, new_from=300, new_to=300, with_fast=False):
        watch.update(signal)
    with pytest.raises((ValueError, KeyError, TypeError)):
        fresh(with_fast=False).restore(watch.state() | broken, [])
