"""How often a champion that is no worse is rolled back within 100,000 texts, and how soon one that is: by simulation.

Nothing is tuned on these streams; the rates stand in `docs/releases.md`.
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from streams.release_watch.comparison import ERRORS, Sums, allowed_after
from streams.release_watch.evidence import SHARES

pytestmark = pytest.mark.slow
STREAMS, TEXTS = 200, 100_000
BETS = np.array(SHARES)[:, None]


def rejected(
    random: np.random.Generator, rate: float, texts: int, conversation: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Texts in conversations, each with a rate of its own that differs as much as it can (beta, correlation 0.67), and
    how much each text counts."""
    weights = 1.0 / (np.arange(texts) % conversation + 1)
    if conversation == 1:
        return random.random(texts) < rate, weights
    rates = random.beta(0.5 * rate, 0.5 * (1 - rate), texts // conversation + 1).repeat(conversation)[:texts]
    return random.random(texts) < rates, weights


def rolled_back_after(
    random: np.random.Generator, before_rate: float, rate: float, conversation: int, known: int = 2_500
) -> int | None:
    """Texts until a new champion is rolled back; None: it stays. known: texts of the one before."""
    before, weights = rejected(random, before_rate, known, conversation)
    allowed = allowed_after(Sums(float(weights.sum()), float(weights @ before), 0.0))["rejected"]
    win, lose = np.log1p(BETS * (1 - allowed) / allowed), np.log1p(-BETS)
    texts, weights = rejected(random, rate, TEXTS, conversation)
    stakes = np.zeros(len(BETS))
    for start in range(0, TEXTS, 20_000):
        part = slice(start, start + 20_000)
        logs = np.cumsum(np.where(texts[part], win, lose) * weights[part], axis=1) + stakes[:, None]
        evidence = np.logaddexp.reduce(logs, axis=0) - math.log(len(BETS))
        reached = np.flatnonzero(evidence >= -math.log(ERRORS["rejected"] / 2))
        if len(reached):
            return start + int(reached[0]) + 1
        stakes = logs[:, -1]
    return None


@pytest.mark.parametrize("conversation", [1, 5, 10])
@pytest.mark.parametrize("rate", [0.02, 0.05, 0.2])
def test_a_champion_that_is_no_worse_is_seldom_rolled_back(rate: float, conversation: int) -> None:
    random = np.random.default_rng(11)
    ends = [rolled_back_after(random, rate, rate, conversation) for _ in range(STREAMS)]
    assert sum(end is not None for end in ends) <= 0.05 * STREAMS


def test_a_champion_that_rejects_three_times_as_much_is_rolled_back_within_some_hundred_texts() -> None:
    random = np.random.default_rng(12)
    delays = [rolled_back_after(random, 0.05, 0.15, 1) or TEXTS for _ in range(STREAMS)]
    assert np.median(delays) <= 300 and np.quantile(delays, 0.95) <= 1_000
