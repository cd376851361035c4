"""Counts of what goes together, and the fits that are made of them while events pass."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from models.recommendation import live_covisitation
from models.recommendation.catalogue import Catalogue
from models.recommendation.covisitation import CovisitationPolicy
from models.recommendation.live_covisitation import LiveCovisitation

ITEMS = [f"i{number}" for number in range(8)]
CATALOGUE = Catalogue(ITEMS, np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32), ITEMS)


def touched() -> LiveCovisitation:
    """Its fit is computed when it is needed."""
    together = LiveCovisitation(CATALOGUE, CovisitationPolicy(ridge=5.0, words=1.0), 8)
    for item in range(8):
        together.touched(item, np.arange(item, dtype=np.int64), at_once=False)
    return together


def test_a_fit_that_is_needed_in_two_threads_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a list, and for the state that is written down meanwhile. It overwrites the counts that it is made of."""
    items, weights = np.array([0, 3]), np.ones(2, np.float32)
    wanted, fits = touched().scores(items, weights), []

    def slowly(counts: Any, *of: Any) -> Any:
        fits.append(counts)
        time.sleep(0.05)
        return fit(counts, *of)

    fit = live_covisitation.fit_counts
    monkeypatch.setattr(live_covisitation, "fit_counts", slowly)
    together = touched()
    with ThreadPoolExecutor(1) as executor:
        writing = executor.submit(together.state())
        scores = together.scores(items, weights)
        state = writing.result()
    np.testing.assert_array_equal(scores, wanted)
    assert len(fits) == 1
    again = touched()
    again.restore(state, np.arange(8, dtype=np.int32))
    np.testing.assert_array_equal(again.scores(items, weights), wanted)
