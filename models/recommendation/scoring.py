"""From what users touched to scores of all items: what goes with it, and what is popular of late.

Scores are log-linear, log(what goes together) + popular * log(popularity): a popular item must go with something of the
user's own as well, and the share of popularity is one number.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.recommendation.covisitation import Covisitation

_LEAST: Final = 0.02  # of the user's best item: what speaks for an item at the least


@dataclass(frozen=True, slots=True)
class ScoringPolicy:
    """history_days: after so many days a touch of the user counts half; None: all count the same. popular_days: the
    same for popularity. popular: its share, 0: none."""

    history_days: float | None = 180.0
    popular_days: float | None = 14.0
    popular: float = 0.1


def decay(ages: NDArray[np.float64], half_life: float | None) -> NDArray[np.float32]:
    """What a touch counts, 1 now, 0.5 after `half_life`. ages: as long ago, in the half-life's unit."""
    if half_life is None:
        return np.ones(len(ages), np.float32)
    return np.exp2(-np.maximum(ages, 0.0) / half_life).astype(np.float32)


def recent_histories(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    ages: NDArray[np.float64] | None,
    shape: tuple[int, int],
    policy: ScoringPolicy,
) -> csr_matrix:
    """What each touch counts for its user, float32 (users, items). ages: in days, None where nobody knows."""
    weights = np.ones(len(users), np.float32) if ages is None else decay(ages, policy.history_days)
    return csr_matrix((weights, (users, items)), shape)


def popularity(
    items: NDArray[np.int64], ages: NDArray[np.float64] | None, count: int, policy: ScoringPolicy
) -> NDArray[np.float32]:
    """How much was touched of late, float32 (items,), 1: the most popular item."""
    weights = np.ones(len(items), np.float32) if ages is None else decay(ages, policy.popular_days)
    touched = np.bincount(items, weights, minlength=count).astype(np.float32)
    return np.asarray(touched / max(float(touched.max()), 1e-9), np.float32)


def scores(
    model: Covisitation, histories: csr_matrix, popular: NDArray[np.float32], policy: ScoringPolicy
) -> NDArray[np.float32]:
    """Log-scores, float32 (users, items). popular: (items,)."""
    found = log_share(model.scores(histories))
    if policy.popular:
        found += policy.popular * np.log(popular + 1e-3)
    return found


def log_share(together: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much goes with a user's items, as the logarithm of its share of what goes with them best; float32, shape as
    given, (items,) or (users, items)."""
    positive = np.maximum(together, 0.0)
    most = np.maximum(positive.max(axis=-1, keepdims=True), 1e-9)
    share: NDArray[np.float32] = np.log(positive / most + _LEAST)
    return share
