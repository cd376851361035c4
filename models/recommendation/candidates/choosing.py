"""Which items of a large catalogue are scored for a user: the best of each source, as each stands for one feature.

Sources: what reads like what the user touched, what goes together with it, what is popular overall and in his segments;
always his own items. An item that is far down in all of these has a low score in all that is weighed.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.recommendation.ranked import best

_LEAST: Final = 100  # candidates, where that many items may be shown


def chosen(
    near: Sequence[NDArray[np.int64]],
    scores: Sequence[NDArray[np.floating]],
    always: Sequence[NDArray[np.int64]],
    allowed: NDArray[np.bool_],
    each: int,
) -> NDArray[np.int64]:
    """Places of candidates, in their order. near: from neighbours. scores: of all items, by source, not above 0 where
    nothing speaks for an item; of each the best `each`. always: candidates whatever they are. allowed: what may be
    shown, (items,)."""
    found = [*always, *(places[allowed[places]] for places in near)]
    for source in scores:
        found.append(best(np.where(allowed[: len(source)] & (source > 0), source, -np.inf), each))
    places = np.unique(np.concatenate(found))
    if np.count_nonzero(allowed[places]) < _LEAST:
        places = np.union1d(places, np.flatnonzero(allowed)[:_LEAST])
    return places.astype(np.int64)


def with_others(
    places: NDArray[np.int64], allowed: NDArray[np.bool_], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Candidates and, of the items that are none, some that are drawn, the same ones each time; and the logarithm of
    how many items each stands for, so that what is learnt of them is learnt of the whole catalogue: sampled softmax
    with the correction of Bengio, Senecal (2008), "Adaptive importance sampling to accelerate training of a neural
    probabilistic language model"."""
    rest = allowed.copy()
    rest[places] = False
    others = np.flatnonzero(rest)
    if not len(others):
        return places, np.zeros(len(places), np.float32)
    drawn = np.random.default_rng(crc32(places.tobytes())).choice(others, min(most, len(others)), replace=False)
    whole = np.concatenate([places, drawn])
    order = np.argsort(whole)
    stands_for = np.zeros(len(whole), np.float32)
    stands_for[len(places) :] = np.log(len(others) / len(drawn))
    return whole[order], stands_for[order]
