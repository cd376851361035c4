"""Evidence on releases: rarely wrong however often one looks, and soon there where something is wrong."""

import math

import numpy as np
import pytest

from streams.release_watch.evidence import (
    SHARES,
    Bets,
    counted_evidence,
    exceeds,
    split_evidence,
    upper_bound,
)


def alarms(
    random: np.random.Generator, streams: int, events: int, rates: tuple[float, float, float], alpha: float
) -> float:
    """Share of streams in which paired evidence ever reaches alpha. rates: of -1, 0 and 1; looked at after each."""
    values = random.choice([-1.0, 0.0, 1.0], size=(streams, events), p=rates)
    logs = np.log1p(np.array(SHARES)[:, None, None] * values).cumsum(axis=2)
    evidence = np.logaddexp.reduce(logs, axis=0) - math.log(len(SHARES))
    return float((evidence.max(axis=1) >= math.log(1 / alpha)).mean())


@pytest.mark.parametrize("differing", [0.01, 0.1, 0.5])
def test_looked_at_after_every_event_a_release_that_is_no_worse_is_seldom_called_worse(differing: float) -> None:
    random = np.random.default_rng(1)
    rates = (differing / 2, 1 - differing, differing / 2)
    assert alarms(random, 400, 2_000, rates, alpha=0.05) <= 0.05


def test_bets_taken_one_by_one_are_the_counted_ones() -> None:
    bets = Bets()
    for value in (1, 0, -1, 1, 1, 0, -1):
        bets.take(float(value), lowest=-1.0)
    assert bets.log_evidence == pytest.approx(counted_evidence(3, 2))
    coins = Bets()
    for event in (1, 0, 0, 1):
        coins.take(event - 0.2, lowest=-0.2)
    assert coins.log_evidence == pytest.approx(exceeds(2, 4, 0.2))


def test_a_share_three_times_as_high_is_found_within_some_hundred_events() -> None:
    random, delays = np.random.default_rng(2), []
    for _ in range(100):
        bets, events = Bets(), 0
        while bets.log_evidence < math.log(100):
            bets.take((random.random() < 0.15) - 0.05, lowest=-0.05)
            events += 1
        delays.append(events)
    assert np.median(delays) < 200 and np.quantile(delays, 0.95) < 500


def test_what_counts_little_moves_the_evidence_little() -> None:
    light, heavy = Bets(), Bets()
    light.take(1.0, lowest=-1.0, weight=0.1)
    heavy.take(1.0, lowest=-1.0)
    assert 0 < light.log_evidence < heavy.log_evidence / 5


@pytest.mark.parametrize(("events", "of"), [(0, 500), (5, 500), (250, 500), (500, 500)])
def test_a_bound_is_above_what_was_seen_and_comes_nearer_with_more_of_it(events: int, of: int) -> None:
    bound = upper_bound(events, of, 0.01)
    assert events / of <= upper_bound(10 * events, 10 * of, 0.01) <= bound <= 1.0
    assert upper_bound(0, 0, 0.01) == 1.0


def test_a_bound_is_seldom_below_the_truth() -> None:
    seen = np.random.default_rng(3).binomial(1_000, 0.03, size=500)
    assert np.mean([upper_bound(float(count), 1_000.0, 0.05) < 0.03 for count in seen]) <= 0.05


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_a_right_split_is_seldom_called_broken_and_a_wrong_one_soon(share: float) -> None:
    random = np.random.default_rng(4)
    limit = math.log(1 / 0.01)

    def first_alarm(rate: float, units: int) -> int | None:
        taken = (random.random(units) < rate).cumsum()
        return next((n for n in range(1, units + 1) if split_evidence(int(taken[n - 1]), n, share) >= limit), None)

    assert sum(first_alarm(share, 1_500) is not None for _ in range(100)) <= 3
    delays = [first_alarm(2 * share if share < 0.5 else 0.7, 3_000) for _ in range(30)]
    assert None not in delays and np.median([delay for delay in delays if delay]) < 600
