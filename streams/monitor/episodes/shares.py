"""How large a share of a stream is new, told from how many of its texts look as known ones do."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.shares import wilson_interval

Doubles = NDArray[np.float64]

_CUTS: Final = np.linspace(0.5, 0.99, 15)  # shares of the texts before that lie below them
_CAUTION: Final = 2.0  # standard errors by which a cut must do better: the best of several says too much by chance


def new_share(before: Doubles, after: Doubles) -> tuple[float, tuple[float, float]]:
    """The share of new texts `after`, and its 95 % interval, from scores that are higher the newer a text looks.

    Known texts lie below a cut as often after the onset as they did before it; new ones hardly ever do. So the share
    below it has fallen by the share of new texts, at the least. Of all cuts that one is taken which says most, less its
    error. Where nothing was before, nothing is known: 0 to 1.
    Source: best bin estimation, Garg, Wu, Smola, Balakrishnan, Lipton (2021), "Mixture proportion estimation and PU
    learning: a modern approach", NeurIPS.
    """
    if not len(before) or not len(after):
        return 0.0, (0.0, 1.0)
    cuts = np.unique(np.quantile(before, _CUTS, method="lower"))
    usual = np.searchsorted(np.sort(before), cuts, side="right") / len(before)
    now = np.searchsorted(np.sort(after), cuts, side="right") / len(after)
    error = np.sqrt(now * (1 - now) / len(after) + (now / usual) ** 2 * usual * (1 - usual) / len(before)) / usual
    best = int(np.argmax(1.0 - now / usual - _CAUTION * error))
    share = float(np.clip(1.0 - now[best] / usual[best], 0.0, 1.0))
    low, high = wilson_interval(now[best] * len(after), len(after))
    slack = 1.96 * float(np.sqrt(usual[best] * (1 - usual[best]) / len(before)) / usual[best]) * (1.0 - share)
    return share, (
        round(float(np.clip(1.0 - high / usual[best] - slack, 0.0, 1.0)), 3),
        round(float(np.clip(1.0 - low / usual[best] + slack, 0.0, 1.0)), 3),
    )
