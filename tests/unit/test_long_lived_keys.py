"""Customers as keys, who write for months: from the moment when they no longer count as conversations all of their
messages are watched, where before it was the first of each."""

from typing import Any

import numpy as np
import orjson
import pytest
from test_drift import LABELS, World, world

from streams.monitor.clusters import ClusterPolicy
from streams.monitor.drift.detector import DriftMonitor, DriftPolicy
from streams.monitor.drift.live_thresholds import LivePolicy
from streams.monitor.drift.reference import Reference
from streams.monitor.monitored_release import MonitoredRelease, _for_drift
from streams.monitor.signals.watch import SignalWatch
from streams.signal_specs import USUAL_SIGNALS
from streams.wire.signals import MonitorSignal

CUSTOMERS = 60
PAUSE = 2 * CUSTOMERS
POLICY = DriftPolicy(
    history_texts=300,
    live=LivePolicy(looks=()),
    clusters=ClusterPolicy(recent_texts=PAUSE, texts_per_key=15.0),
)


class Customers:
    """A stream that does not change. Who has not written for a while writes a long and clear text; what follows is
    short and less clear."""

    def __init__(self, seed: int) -> None:
        self.here: World = world(seed)
        self.arrays = self.here.reference()
        self._last: dict[int, int] = {}

    def signal(self, number: int) -> MonitorSignal:
        random = self.here.random
        customer = int(random.integers(CUSTOMERS))
        is_first = number - self._last.get(customer, -PAUSE) >= PAUSE
        self._last[customer] = number
        text = self.here.texts(np.array([number % LABELS]))
        clear = float(self.here.confidence(text)[0])
        return MonitorSignal(
            id=f"chats@0a1b2c3d-0-{number}",
            at=f"at {number}",
            version="1",
            labels={"intent": (str(number % LABELS), clear**0.5 if is_first else clear)},
            key=f"customer {customer}",
            characters=float(round(np.exp(random.normal(5.5 if is_first else 4.1, 0.5)))),
            rejected=False,
        )


def release(arrays: dict[str, Any]) -> MonitoredRelease:
    drift = DriftMonitor(Reference.from_arrays(arrays, fast_path=False), np.full(4, 14.0), POLICY)
    return MonitoredRelease("1", drift, signals=SignalWatch(USUAL_SIGNALS, 100_000))


@pytest.mark.parametrize("seed", range(2))
def test_where_keys_stop_counting_as_conversations_nothing_is_told_as_a_change(seed: int) -> None:
    customers = Customers(seed)
    watched = release(customers.arrays)
    turned = []
    for number in range(1, 1_301):
        counted = drift_of(watched).counts_keys
        watched.take(customers.signal(number), "intent", number)
        turned += [number] if drift_of(watched).counts_keys is not counted else []
        assert drift_of(watched).episodes == () and signals_of(watched).episode is None, number
    assert turned == [15 * CUSTOMERS + 1]


def test_where_keys_stop_counting_drifts_sums_and_what_they_learnt_begin_anew() -> None:
    customers = Customers(0)
    watched, fresh = release(customers.arrays), release(customers.arrays)
    drift = drift_of(watched)
    for number in range(1, 15 * CUSTOMERS + 1):
        watched.take(customers.signal(number), "intent", number)
    for cusum in drift._sums._cusums.values():
        cusum.value = 0.9 * cusum.threshold
    last = customers.signal(15 * CUSTOMERS + 1)
    for one in (watched, fresh):
        one.take(last, "intent", 15 * CUSTOMERS + 1)
    before, after = drift_of(fresh).state(), drift.state()
    assert not drift.counts_keys and drift_of(fresh).counts_keys
    assert {name: after[name] for name in ("sums", "live")} == {name: before[name] for name in ("sums", "live")}
    assert orjson.dumps(after["evidence"], option=orjson.OPT_SERIALIZE_NUMPY) == orjson.dumps(
        before["evidence"], option=orjson.OPT_SERIALIZE_NUMPY
    )


def test_stopped_where_keys_stop_counting_it_goes_on_as_if_it_never_had() -> None:
    customers = Customers(0)
    whole, stopped = release(customers.arrays), release(customers.arrays)
    taken: list[MonitorSignal] = []
    for number in range(1, 951):
        if number in (400, 900, 901, 902):
            stopped = restarted(stopped, customers.arrays, taken)
        taken.append(customers.signal(number))
        for one in (whole, stopped):
            one.take(taken[-1], "intent", number)
    assert whole.signals_state() == stopped.signals_state()
    assert whole.state() == stopped.state() and not drift_of(whole).counts_keys


def restarted(before: MonitoredRelease, arrays: dict[str, Any], taken: list[MonitorSignal]) -> MonitoredRelease:
    state = orjson.loads(orjson.dumps(before.state()))
    again = MonitoredRelease.of(state)
    fresh = release(arrays)
    again.drift, again.signals = fresh.drift, fresh.signals
    remembered = list(enumerate(taken, start=1))[-POLICY.history_texts :]
    drift_of(again).restore(state["drift"], [_for_drift(one, "intent", number, number) for number, one in remembered])
    signals_of(again).restore(orjson.loads(orjson.dumps(before.signals_state())))
    return again


def drift_of(watched: MonitoredRelease) -> DriftMonitor:
    assert watched.drift is not None
    return watched.drift


def signals_of(watched: MonitoredRelease) -> SignalWatch:
    assert watched.signals is not None
    return watched.signals
