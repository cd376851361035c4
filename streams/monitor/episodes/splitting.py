"""Whether the texts of one episode are of two subjects that began together.

Texts of one subject, however broad, agree with each other more than by chance, even those of its two halves that are
least alike; two subjects have nothing in common. So the texts are divided in two as well as can be, by each half
of them, and the cosine of the two groups' means is taken with each text where the other half puts it (cross-fitting).

Sources: 2-means begun along principal axes, Ding and He (2004), "K-means clustering via principal component analysis",
ICML; choosing groups and judging them on different texts, Tibshirani and Walther (2005), "Cluster validation by
prediction strength", JCGS 14; delete-one jackknife, Efron and Stein (1981), Annals of Statistics 9.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import ClusterError, kmeans2
from scipy.stats import norm

from streams.monitor.drift.reference import Doubles

Sides = NDArray[np.bool_]

_APART: Final = 0.05  # cosine of two subjects' means, at the most; halves of one subject: mostly 0.12 and more
_CERTAIN: Final = 0.99  # that it is less, at each look
_LEAST: Final = 20  # texts of each group, in each half
_AGREE: Final = 0.8  # share of the texts that both divisions put alike
_SAME: Final = 1e-6  # by which numbers of unit vectors differ, where texts differ
_STARTS: Final = 5
_ROUNDS: Final = 30


def two_subjects(vectors: Doubles) -> Sides | None:
    """Which texts are of the second of two subjects, the smaller one; None where they may be of one.

    vectors: (texts, kept), parts outside the span of an episode's texts, in order of arrival, no copies.
    """
    if len(vectors) < 4 * _LEAST:
        return None
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    halves = np.arange(len(unit)) % 2 == 0
    if any(np.ptp(unit[half], axis=0).max() < _SAME for half in (halves, ~halves)):
        return None
    divided = [_sides(unit, _two_means(unit[half])) for half in (halves, ~halves)]
    alike = float(np.mean(divided[0] == divided[1]))
    if alike < 0.5:
        divided[1], alike = ~divided[1], 1.0 - alike
    judged = np.where(halves, divided[1], divided[0])  # each text by the division that it did not choose
    groups = [half & side for half in (halves, ~halves) for side in (judged, ~judged)]
    if alike < _AGREE or min(group.sum() for group in groups) < _LEAST or _highest_cosine(unit, judged) >= _APART:
        return None
    sides = _sides(unit, _two_means(unit))
    return sides if sides.mean() <= 0.5 else ~sides


def step_row(is_own: Sides, before: float, since: float) -> int:
    """The row from which on a subject's texts come, of those that say best that their share rose there from `before` to
    `since` (maximum likelihood: Hinkley (1971), Biometrika 58)."""
    gains = np.where(is_own, np.log(since / before), np.log((1.0 - since) / (1.0 - before)))
    return int(np.cumsum(gains[::-1])[::-1].argmax())


def _two_means(unit: Doubles) -> Doubles:
    """Directions of two groups, (2, kept): the best of several starts, each a division along a principal axis."""
    _, _, axes = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    best, fit = unit[:2], -np.inf
    for axis in axes[:_STARTS]:
        along = unit @ axis
        sides = along > np.median(along)
        if not 0 < sides.sum() < len(sides):
            continue
        start = np.stack([unit[side].mean(axis=0) for side in (~sides, sides)])
        try:
            centres, _ = kmeans2(unit, start, iter=_ROUNDS, minit="matrix", missing="raise")
        except ClusterError:  # one group lost all its texts
            continue
        centres = centres / np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
        nearness = float((unit @ centres.T).max(axis=1).sum())
        if nearness > fit:
            best, fit = centres, nearness
    return best


def _sides(unit: Doubles, centres: Doubles) -> Sides:
    nearness = unit @ centres.T
    sides: Sides = nearness[:, 1] > nearness[:, 0]
    return sides


def _highest_cosine(unit: Doubles, sides: Sides) -> float:
    """Of the two groups' means, without what each text has in common with itself; its upper bound. Infinite where the
    texts of a group have nothing in common."""
    groups = [unit[~sides], unit[sides]]
    counts = [len(group) for group in groups]
    sums = [group.sum(axis=0) for group in groups]
    squares, across = [float(one @ one) for one in sums], float(sums[0] @ sums[1])
    whole = _cosine(across, squares[0], squares[1], counts[0], counts[1])
    left = []
    for own in (0, 1):
        other = 1 - own
        square = squares[own] - 2.0 * groups[own] @ sums[own] + 1.0
        left.append(_cosine(across - groups[own] @ sums[other], square, squares[other], counts[own] - 1, counts[other]))
    without = np.concatenate(left)
    texts = len(without)
    error = np.sqrt((texts - 1) / texts * np.sum((without - without.mean()) ** 2))
    bound = whole + norm.ppf(_CERTAIN) * error
    return float(bound) if np.isfinite(bound) else np.inf


def _cosine(across: Doubles | float, one: Doubles | float, other: Doubles | float, texts: int, others: int) -> Doubles:
    """one, other: squared lengths of the groups' sums of unit vectors; across: their product."""
    own = (np.asarray(one) - texts) / (texts * (texts - 1.0))
    theirs = (np.asarray(other) - others) / (others * (others - 1.0))
    agree = (own > 0.0) & (theirs > 0.0)
    product = np.where(agree, own * theirs, 1.0)
    return np.where(agree, np.asarray(across) / (texts * others) / np.sqrt(product), np.inf)
