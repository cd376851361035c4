"""Texts that are nearly the same, found among many: MinHash of their runs of characters, compared where bands meet.

Source: Broder, On the resemblance and containment of documents (1997); Leskovec, Rajaraman, Ullman, Mining of Massive
Datasets, chapter 3 (bands).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from datasketch import MinHash  # type: ignore[import-untyped]
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from retrain.progress import Progress, no_progress
from retrain.text_keys import NearCopies, character_runs, text_key

_PERMUTATIONS: Final = 128
_BANDS: Final = 32  # of 4: a pair as alike as 0.7 meets in one of them with a probability of 0.9998
_ROWS: Final = _PERMUTATIONS // _BANDS
_LOOKED_BACK: Final = 64  # in a band that very many share, each is compared with so many before it: they form a chain
_CHUNK: Final = 2_000


@dataclass(frozen=True, slots=True)
class NearPairs:
    """first, second: numbers of texts, (pairs,), that are nearly the same, first < second; not all pairs of many that
    are alike, but enough that they hang together. groups: of each text, (texts,), what hangs together."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    groups: NDArray[np.int64]


def near_pairs(texts: Sequence[str], progress: Progress = no_progress) -> NearPairs:
    """Pairs of texts of one key, or that share at least 0.7 of their runs of five characters (estimated)."""
    keys: dict[str, int] = {}
    number = np.array([keys.setdefault(text_key(text), len(keys)) for text in texts], dtype=np.int64)
    hashes = _hashes(list(keys), progress)
    near = _near(hashes, progress)
    firsts = np.full(len(keys), -1, dtype=np.int64)
    firsts[number[::-1]] = np.arange(len(texts))[::-1]
    own = np.flatnonzero(firsts[number] != np.arange(len(texts)))
    pairs = np.concatenate([np.column_stack([firsts[number[own]], own]), np.sort(firsts[near], axis=1)])
    links = sparse.coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(len(texts),) * 2)
    groups = connected_components(links, directed=False)[1].astype(np.int64)
    return NearPairs(pairs[:, 0], pairs[:, 1], groups)


def _hashes(keys: Sequence[str], progress: Progress) -> NDArray[np.uint32]:
    """MinHash values, (keys, permutations)."""
    empty = MinHash(num_perm=_PERMUTATIONS)  # making its permutations takes far longer than a text's runs do
    hashes = np.empty((len(keys), _PERMUTATIONS), dtype=np.uint32)
    for number, key in enumerate(keys):
        if number % _CHUNK == 0:
            progress("looking for copies", number, len(keys))
        hashed = empty.copy()
        hashed.update_batch(character_runs(key))
        hashes[number] = hashed.hashvalues
    progress("looking for copies", len(keys), len(keys))
    return hashes


def _near(hashes: NDArray[np.uint32], progress: Progress) -> NDArray[np.int64]:
    """Pairs of rows, (pairs, 2), the smaller first."""
    found: list[NDArray[np.int64]] = [np.empty((0, 2), dtype=np.int64)]
    for band in range(_BANDS):
        part = np.ascontiguousarray(hashes[:, band * _ROWS : (band + 1) * _ROWS])
        for members in _sharing(part):
            for back in range(1, min(len(members), _LOOKED_BACK + 1)):
                one, other = members[:-back], members[back:]
                alike = (hashes[one] == hashes[other]).mean(axis=1) >= NearCopies.SIMILARITY
                found.append(np.column_stack([one[alike], other[alike]]))
        progress("comparing copies", band + 1, _BANDS)
    pairs: NDArray[np.int64] = np.unique(np.concatenate(found), axis=0)
    return pairs


def _sharing(part: NDArray[np.uint32]) -> Iterable[NDArray[np.int64]]:
    """Rows that are equal, two or more of them, in order."""
    if not len(part):
        return []
    same = part.view(np.dtype((np.void, part.dtype.itemsize * part.shape[1])))[:, 0]
    order = np.argsort(same, kind="stable").astype(np.int64)
    edges = np.flatnonzero(same[order][1:] != same[order][:-1]) + 1
    return [members for members in np.split(order, edges) if len(members) > 1]


def by_group(groups: NDArray[np.int64]) -> list[list[int]]:
    """Members of every group of two or more, in order of the first."""
    members: dict[int, list[int]] = defaultdict(list)
    for number, group in enumerate(groups.tolist()):
        members[group].append(number)
    return [numbers for numbers in members.values() if len(numbers) > 1]
