"""From scores to a list: the best, not ten of a kind, and a place or two for what is not known well yet."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.ranked import best

_POOL: Final = 5  # times the length: among how many of the best it is chosen


def diverse(
    scores: NDArray[np.float32], columns: NDArray[np.float32], length: int, diversity: float
) -> NDArray[np.int64]:
    """Places of the items of a list, the best first; each next one by its score less how like it is to one that stands
    there already: maximal marginal relevance (Carbonell, Goldstein, 1998). columns: unit vectors (dimensions, items).
    diversity: 0, by scores alone, to 1; in units of the spread of the scores."""
    pool = best(scores, length * (_POOL if diversity else 1))
    if not diversity or len(pool) <= 1:
        return pool[:length]
    vectors = columns[:, pool]
    given = scores[pool]
    given = given / max(float(given.std()), 1e-6)
    nearest = np.full(len(pool), -1.0, np.float32)
    left, chosen = np.ones(len(pool), bool), []
    for _ in range(min(length, len(pool))):
        worth = np.where(left, (1 - diversity) * given - diversity * np.maximum(nearest, 0.0), -np.inf)
        place = int(np.argmax(worth))
        chosen.append(place)
        left[place] = False
        nearest = np.maximum(nearest, vectors[:, place] @ vectors)
    return pool[chosen]


def explored(
    scores: NDArray[np.float32], taken: NDArray[np.int64], places: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Items for the places kept for exploration, and how probable each was to be drawn when it was: without those that
    stand in the list, by softmax over the next best. The same seed, the same items."""
    pool, weights = chances(scores, taken, places)
    rng = np.random.default_rng(seed)
    found, drawn_with = [], []
    for _ in range(min(places, len(pool))):
        place = int(rng.choice(len(pool), p=weights))
        found.append(int(pool[place]))
        drawn_with.append(float(weights[place]))
        pool = np.delete(pool, place)
        weights = _softmax(scores[pool])
    return np.array(found, np.int64), np.array(drawn_with)


def chances(
    scores: NDArray[np.float32], taken: NDArray[np.int64], places: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What may be drawn for the first of the places kept for exploration, and how probable each is."""
    rest = scores.copy()
    rest[taken] = -np.inf
    pool = best(rest, _POOL * (len(taken) + places))
    return pool, _softmax(scores[pool])


def _softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    if not len(scores):
        return np.empty(0)
    weights = np.exp((scores - scores.max()).astype(np.float64))
    normalised: NDArray[np.float64] = weights / weights.sum()
    return normalised
