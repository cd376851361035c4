"""How much two classifiers may differ, by what was seen of them."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from retrain.paired_bounds import accuracy_drop_bound, drop_bound


def test_drop_bound_covers_the_true_drop_at_least_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(1000):
        before = random.random(1500) < 0.9
        right = np.where(random.random(1500) < 0.01, ~before, before)  # true drop: 0.01 * (0.9 - 0.1)
        covered += accuracy_drop_bound(right, before) >= 0.008
    assert covered >= 930


@pytest.mark.parametrize(
    ("lost", "won", "texts"), [(0, 0, 300), (3, 0, 60), (0, 9, 60), (60, 5, 3000), (0, 40, 40), (1, 39, 41)]
)
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.995])
def test_at_the_bound_the_score_statistic_is_at_its_quantile(
    lost: int, won: int, texts: int, confidence: float
) -> None:
    """Tango's statistic with the nuisance share at its restricted maximum likelihood, found here by search."""
    bound = drop_bound(lost, won, texts, confidence)
    assert bound >= (lost - won) / texts
    if bound >= 1 - 1e-6:
        return
    shares = np.linspace(max(0.0, -bound) + 1e-9, (1 - bound) / 2 - 1e-9, 40_001)
    kept = texts - lost - won
    with np.errstate(divide="ignore", invalid="ignore"):
        likelihood = (
            won * np.log(shares)
            + (lost * np.log(shares + bound) if lost else 0.0)
            + (kept * np.log(1 - 2 * shares - bound) if kept else 0.0)
        )
    won_share = shares[np.nanargmax(likelihood)]
    spread = math.sqrt(texts * (2 * won_share + bound - bound * bound))
    assert (lost - won - texts * bound) / spread == pytest.approx(-norm.ppf(confidence), abs=0.02)


def test_without_texts_or_with_all_of_them_lost_anything_is_possible() -> None:
    assert drop_bound(0, 0, 0) == drop_bound(7, 0, 7) == 1.0
