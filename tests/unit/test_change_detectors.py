"""The port of change detectors: taken apart and put together anywhere, it alarms as if it never had been."""

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.monitor.signals.adwin_state import frame_of, put_together, taken_apart
from streams.monitor.signals.ports import ChangeDetector
from streams.monitor.signals.ranks import Ranks, doubt_bin, log_bin
from streams.monitor.signals.river_detectors import Adwin, Ddm, Kswin, PageHinkley

MAKERS: dict[str, Callable[[], ChangeDetector]] = {
    "adwin": lambda: Adwin(delta=0.05, clock=8),
    "kswin": lambda: Kswin(alpha=0.001, window_size=40, stat_size=15, seed=3),
    "page_hinkley": lambda: PageHinkley(threshold=4.0, min_instances=10, mode="down"),
    "ddm": lambda: Ddm(warm_start=20),
    "ranks": lambda: Ranks(("up", "down"), 200),
}


def numbers(seed: int, *, binary: bool) -> list[float]:
    """Three stretches, each with a mean of its own."""
    random = np.random.default_rng(seed)
    means = np.repeat(random.choice([0.1, 0.5, 0.9], size=3), 60)
    values = random.random(180) < means if binary else np.clip(means + 0.15 * random.standard_normal(180), 0.0, 1.0)
    return [float(value) for value in values]


def again(kind: str, detector: ChangeDetector) -> ChangeDetector:
    restored = MAKERS[kind]()
    restored.restore(orjson.loads(orjson.dumps(detector.state())))
    return restored


@pytest.mark.parametrize("kind", MAKERS)
@given(seed=st.integers(0, 1_000), stops=st.sets(st.integers(0, 179), max_size=4))
@settings(deadline=None, max_examples=15)
def test_stopped_anywhere_it_alarms_at_the_same_values(kind: str, seed: int, stops: set[int]) -> None:
    whole, stopped = MAKERS[kind](), MAKERS[kind]()
    for number, value in enumerate(numbers(seed, binary=kind == "ddm")):
        if number in stops:
            stopped = again(kind, stopped)
            assert stopped.state() == whole.state()
        assert stopped.update(value) == whole.update(value)
        assert stopped.level == whole.level
    assert stopped.state() == whole.state()


@pytest.mark.parametrize("kind", MAKERS)
def test_a_change_alarms_and_a_reset_forgets_it(kind: str) -> None:
    detector, random = MAKERS[kind](), np.random.default_rng(1)
    before = [float(random.random() < 0.1) if kind == "ddm" else 0.9 + 0.02 * random.random() for _ in range(100)]
    after = [float(random.random() < 0.8) if kind == "ddm" else 0.3 + 0.02 * random.random() for _ in range(100)]
    for value in before:
        detector.update(value)
    alarms = [level for value in after if (level := detector.update(value)) is not None]
    assert alarms and set(alarms) == {1.0}
    detector.reset()
    assert detector.state() == MAKERS[kind]().state() and detector.level == 0.0


def test_the_state_of_adwin_stays_small() -> None:
    detector, random = MAKERS["adwin"](), np.random.default_rng(0)
    for value in random.random(20_000).tolist():
        detector.update(value)
    assert len(orjson.dumps(detector.state())) < 5_000


@pytest.mark.parametrize(
    ("kind", "broken"),
    [
        ("adwin", {"buckets": []}),
        ("adwin", {"buckets": [[1, [0.0], [0.0]]]}),
        ("adwin", {"buckets": [[99, [0.0] * 6, [0.0] * 6]]}),
        ("adwin", {"sums": [float("nan")] * 4}),
        ("adwin", {"sums": [1.0]}),
        ("adwin", {"counts": [-1, 0, 0, 0]}),
        ("kswin", {"window": [0.0] * 41}),
        ("page_hinkley", {"mean": [1.0]}),
        ("ddm", {"mean": [float("inf"), 0.0]}),
        ("ddm", {"lowest": "x"}),
        ("ranks", {"bins": [[900, 1]]}),
        ("ranks", {"sums": []}),
    ],
)
def test_a_state_that_does_not_fit_is_refused(kind: str, broken: dict[str, Any]) -> None:
    detector = MAKERS[kind]()
    detector.update(0.5)
    with pytest.raises((ValueError, KeyError, TypeError)):
        MAKERS[kind]().restore({**detector.state(), **broken})


def test_bytes_of_another_layout_are_no_state_of_adwin() -> None:
    held = Adwin(delta=0.002)._detector._helper.__getstate__()
    assert put_together(taken_apart(held), *frame_of(held)) == held
    for broken in (b"", held[:-30], held[:80] + b"\xff" * 80 + held[160:], held[:100]):
        with pytest.raises(ValueError):
            taken_apart(broken)


@pytest.mark.parametrize("kind", ["even", "rare", "long-tailed"])
def test_ranks_alarm_on_an_unchanged_stream_no_more_often_than_stated(kind: str) -> None:
    """The bound is far from what happens: a CUSUM lies below the sum that it is of."""
    random, every, alarms = np.random.default_rng(7), 100.0, 0
    detector = Ranks(("up", "down"), 2 * every)
    even = random.random(20_000)
    values = {"even": even, "rare": (even < 0.03) * 1.0, "long-tailed": random.pareto(2.0, 20_000)}[kind]
    for value in values.tolist():
        alarms += detector.update(float(value)) is not None
    assert alarms <= 20_000 / every


def test_ranks_of_kinds_alarm_where_a_rare_one_comes_often() -> None:
    detector, random = Ranks(("rare",), 10_000), np.random.default_rng(3)
    usual = random.choice(["en", "de", "fr"], size=800, p=[0.9, 0.08, 0.02]).tolist()
    assert all(detector.update(language) is None for language in usual)
    assert any(detector.update("zh" if random.random() < 0.3 else "en") for _ in range(100))
    assert 10 <= detector.since <= 200


def test_values_that_depend_raise_the_threshold_of_ranks() -> None:
    random = np.random.default_rng(5)
    dependent, independent = Ranks(("up",), 1e9), Ranks(("up",), 1e9)
    for block in random.random(60).tolist():
        for _ in range(40):
            dependent.update(block + 0.01 * random.random())
            independent.update(float(random.random()))
    assert dependent._height > 1.5 * independent._height
    assert independent._height == independent._threshold


def test_a_number_of_any_size_has_a_bin() -> None:
    assert log_bin(1e308) == log_bin(1e7) < 512 and log_bin(-1e308) == 0
    assert 0 <= doubt_bin(1e308) < 512 and 0 <= doubt_bin(-1e308) < 512


def test_bins_grow_with_their_numbers() -> None:
    for bins, numbers in ((log_bin, [0.0, 0.001, 0.5, 3.0, 1e6]), (doubt_bin, [0.0, 0.2, 0.9, 0.99, 0.999, 1.0])):
        places = [bins(number) for number in numbers]
        assert places == sorted(set(places)) and places[0] >= 0 and places[-1] < 512
