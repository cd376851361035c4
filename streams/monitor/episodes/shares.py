"""How large a share of a stream is new, told from how many of its texts look as known ones do."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.shares import wilson_interval

Doubles = NDArray[np.float64]
Weights = tuple[Doubles, Doubles]  # how many texts each text before and after stands for

_CUTS: Final = np.linspace(0.5, 0.99, 15)  # shares of the texts before that lie below them
_CAUTION: Final = 2.0  # standard errors by which a cut must do better: the best of several says too much by chance
_BY_SELECTION: Final = 2  # new texts that stand at onset and detection because these were chosen so
_LEAST_LATER: Final = (
    20.0  # texts after the detection, of those that stand for others, before which they say too little
)


def share_since(
    before: Doubles, after: Doubles, is_later: Sequence[bool], weights: Weights | None = None
) -> tuple[float, tuple[float, float]]:
    """`new_share` after an onset that was found.

    is_later: (after,), whether a text came after the detection; where such are, and not too few, they alone count. At
    first all do: where onset and detection lie was chosen by new texts, which are left out (inverse binomial sampling:
    Haldane (1945), Biometrika 33).
    """
    later = np.asarray(is_later, dtype=bool)
    if weights is None:
        if later.any():
            return new_share(before, after[later])
        share, (_, high) = new_share(before, after)
        total, each = float(len(after)), 1.0
    else:
        if _size(weights[1][later]) >= _LEAST_LATER:
            return new_share(before, after[later], (weights[0], weights[1][later]))
        share, (_, high) = new_share(before, after, weights)
        total, each = float(weights[1].sum()), float(weights[1].max(initial=1.0))
    texts = max(total / each - _BY_SELECTION, 1.0)
    count = max(share * total / each - _BY_SELECTION, 0.0)
    return count / texts, (round(wilson_interval(count, texts)[0], 3), high)


def new_share(before: Doubles, after: Doubles, weights: Weights | None = None) -> tuple[float, tuple[float, float]]:
    """The share of new texts `after`, and its 95 % interval, from scores that are higher the newer a text looks.

    Known texts lie below a cut as often after the onset as they did before it; new ones hardly ever do. So the share
    below it has fallen by the share of new texts, at the least. Of all cuts that one is taken which says most, less its
    error. Where nothing was before, nothing is known: 0 to 1. weights: how many texts each stands for; None: one.
    Sources: best bin estimation, Garg, Wu, Smola, Balakrishnan, Lipton (2021), "Mixture proportion estimation and PU
    learning: a modern approach", NeurIPS; effective sample size of weighted texts, Kish (1965), Survey Sampling.
    """
    sizes = (len(before), len(after)) if weights is None else (_size(weights[0]), _size(weights[1]))
    if not all(sizes):
        return 0.0, (0.0, 1.0)
    if weights is None:
        cuts = np.unique(np.quantile(before, _CUTS, method="lower"))
        usual = np.searchsorted(np.sort(before), cuts, side="right") / len(before)
        now = np.searchsorted(np.sort(after), cuts, side="right") / len(after)
    else:
        order = np.argsort(before, kind="stable")
        below = np.cumsum(weights[0][order]) / weights[0].sum()
        cuts = np.unique(before[order][np.minimum(np.searchsorted(below, _CUTS), len(order) - 1)])
        usual, now = (
            np.minimum(((scores[:, None] <= cuts) * weight[:, None]).sum(axis=0) / weight.sum(), 1.0)
            for scores, weight in zip((before, after), weights, strict=True)
        )
    error = np.sqrt(now * (1 - now) / sizes[1] + (now / usual) ** 2 * usual * (1 - usual) / sizes[0]) / usual
    best = int(np.argmax(1.0 - now / usual - _CAUTION * error))
    share = float(np.clip(1.0 - now[best] / usual[best], 0.0, 1.0))
    low, high = wilson_interval(now[best] * sizes[1], sizes[1])
    slack = 1.96 * float(np.sqrt(usual[best] * (1 - usual[best]) / sizes[0]) / usual[best]) * (1.0 - share)
    return share, (
        round(float(np.clip(1.0 - high / usual[best] - slack, 0.0, 1.0)), 3),
        round(float(np.clip(1.0 - low / usual[best] + slack, 0.0, 1.0)), 3),
    )


def _size(weights: Doubles) -> float:
    """Of how many texts of equal weight they say as much."""
    return float(weights.sum() ** 2 / max(float((weights**2).sum()), 1e-12))
