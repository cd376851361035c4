"""NDCG, hit rate and recall of the first ten, over full rankings: every item that is not the user's own yet is ranked.

No sampling of items (Krichene, Rendle, 2020, "On sampled metrics for item recommendation").
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from models.recommendation.ranked import best

LENGTH: Final = 10
_BLOCK: Final = 512  # users at a time, so that memory does not grow with their number
_DISCOUNTS: Final = 1 / np.log2(np.arange(2, LENGTH + 2))

# Scores of all items for these users, (users, items).
Scorer = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def figures(scorer: Scorer, seen: csr_matrix, wanted: csr_matrix) -> dict[str, float]:
    """Means over the users who have something in `wanted`; seen: what is not ranked for them. Both (users, items).

    ndcg: binary, against the best order there could be; hit_rate: at least one of the ten is wanted; recall: of ten or
    all that are wanted, whichever is less; coverage: share of the items that stand in some list.
    """
    found: dict[str, list[float]] = {"ndcg": [], "hit_rate": [], "recall": []}
    shown = np.zeros(seen.shape[1], bool)
    for items, list_of in _lists(scorer, seen, wanted):
        shown[list_of] = True
        for name, value in _of_list(list_of, items).items():
            found[name].append(value)
    means = {name: float(np.mean(values)) if values else 0.0 for name, values in found.items()}
    return {name: round(value, 4) for name, value in {**means, "coverage": float(shown.mean())}.items()}


def _lists(
    scorer: Scorer, seen: csr_matrix, wanted: csr_matrix
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Of each user with something wanted: what is wanted, and the ten that are shown."""
    users = np.flatnonzero(np.diff(wanted.indptr))
    for start in range(0, len(users), _BLOCK):
        block = users[start : start + _BLOCK]
        scores = np.array(scorer(block), np.float32)
        scores[seen[block].nonzero()] = -np.inf
        for user, row in zip(block, scores, strict=True):
            yield wanted.indices[wanted.indptr[user] : wanted.indptr[user + 1]], best(row, LENGTH)


def _of_list(shown: NDArray[np.int64], wanted: NDArray[np.int64]) -> Mapping[str, float]:
    hits = np.isin(shown, wanted)
    ideal = _DISCOUNTS[: min(LENGTH, len(wanted))].sum()
    return {
        "ndcg": float(_DISCOUNTS[: len(shown)][hits].sum() / ideal),
        "hit_rate": float(hits.any()),
        "recall": float(hits.sum() / min(LENGTH, len(wanted))),
    }
