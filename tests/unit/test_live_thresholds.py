"""Thresholds of a live stream: raised where its texts depend and while it is young, the same after a restart."""

from dataclasses import replace

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from streams.monitor.drift.live_thresholds import LivePolicy, LiveThresholds

SIMULATED = np.array([10.0, 9.0, 10.0])
POLICY = LivePolicy(young_texts=400, looks=(250, 400), streams=60, stream_texts=1_000, block_texts=50)
RUN = 60_000.0


def increments(texts: int, together: int, seed: int = 0) -> NDArray[np.float64]:
    """A likelihood ratio's logarithms; `together` texts in a row say the same."""
    surprisals = np.repeat(np.random.default_rng(seed).exponential(size=(-(-texts // together), 3)), together, axis=0)
    return np.log(0.6 + 0.2 * np.exp(0.5 * surprisals))[:texts]


def after(rows: NDArray[np.float64], policy: LivePolicy = POLICY) -> LiveThresholds:
    live = LiveThresholds(SIMULATED, RUN, policy)
    for row in rows:
        live.add(row.tolist())
    return live


def test_thresholds_fall_from_young_to_what_was_simulated_where_texts_are_independent() -> None:
    assert after(increments(0, 1)).heights() == pytest.approx(1.5 * SIMULATED)
    assert after(increments(200, 1)).heights() == pytest.approx(1.25 * SIMULATED)
    assert after(increments(2_000, 1)).heights() == pytest.approx(SIMULATED, rel=0.1)


def test_thresholds_rise_with_the_streams_own_dependence() -> None:
    heights = [after(increments(2_000, together)).heights() for together in (1, 5, 20)]
    assert (heights[1] > heights[0]).all() and (heights[2] > 1.5 * heights[0]).all()


def test_a_stream_that_drifts_from_its_first_text_on_is_still_told() -> None:
    live = after(increments(2_000, 1) + 0.5)
    assert live.heights() == pytest.approx(SIMULATED, rel=2.01) and (live.heights() <= 3.0 * SIMULATED).all()


def test_the_raised_threshold_keeps_the_rate_on_a_dependent_stream() -> None:
    policy = replace(POLICY, looks=(100, 1_000), streams=200, stream_texts=2_500)
    alarms = np.zeros(2, int)
    for seed in range(3):
        rows = increments(6_000, 10, seed)
        heights = after(rows[:1_000], policy).heights()[0], SIMULATED[0]
        sums = np.zeros(2)
        for step in rows[1_000:, 0]:
            sums = np.maximum(sums + step, 0.0)
            alarms += sums >= heights
            sums[sums >= heights] = 0.0
    assert alarms[1] >= 10 and alarms[0] <= alarms[1] / 8


@pytest.mark.parametrize("stop", [0, 60, 100, 399, 401])
def test_stopped_anywhere_it_goes_on_as_if_it_never_had(stop: int) -> None:
    rows = increments(500, 3)
    whole, stopped = after(rows[:stop]), LiveThresholds(SIMULATED, RUN, POLICY)
    stopped.restore(orjson.loads(orjson.dumps(whole.state())))
    for row in rows[stop:]:
        whole.add(row.tolist())
        stopped.add(row.tolist())
        assert (whole.heights() == stopped.heights()).all()
    assert whole.state() == stopped.state()
