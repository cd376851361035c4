"""Which texts tell of an episode that audits found: of the fast texts, those that the encoder saw as well.

They are a random share of the fast ones, so each stands for as many as there are for one of them.
Source: weights by one over the chance of being drawn, Horvitz and Thompson (1952), Journal of the American Statistical
Association 47; normalised by their sum, Hájek (1971).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from streams.monitor.drift.reference import Doubles
from streams.monitor.episodes.members import SeenText


def fast_only(texts: Iterable[SeenText]) -> list[SeenText]:
    """The same, those that the encoder decided told as known ones. Their selection has a place of its own, which would
    be taken for that of the new texts: they are many, audited ones few."""
    return [seen if seen.is_fast else replace(seen, surprisal=0.0, outside=None) for seen in texts]


def weights_of(texts: Sequence[SeenText]) -> Doubles:
    """How many texts each stands for: 1 of those that the encoder decided, 0 of fast ones that it never saw."""
    is_fast = np.array([seen.is_fast for seen in texts], dtype=bool)
    audited = is_fast & np.array([seen.outside is not None for seen in texts], dtype=bool)
    weights = np.where(is_fast, 0.0, 1.0)
    if audited.any():
        weights[audited] = float(is_fast.sum()) / float(audited.sum())
    return weights
