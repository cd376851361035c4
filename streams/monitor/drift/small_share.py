"""How much one text speaks for a new subject that is a small share of the stream.

The increments of the other detectors stand for a large share: each known text takes so much from them that one new text
in twenty never adds up. Here few are expected. Two parts, in natural logarithms of odds, each averaging at most about
one (before the logarithm) on a known stream:

- how unusual the text is (distance and confidence together), were one in twenty new;
- of texts that the encoder sees, where they point: half of it by their agreement with the direction of the unusual
  texts of late, half by the nearest of these (streams/monitor/drift/neighbours.py). Known texts agree in heavy tails,
  so both are divided by what they give on this stream.

Sources: mixture alternatives, see streams/monitor/drift/evidence.py; a CUSUM for a share that is known only to be small
stands for the lower end, Lorden (1971), Annals of Mathematical Statistics 42.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.neighbours import likelihood_ratio
from streams.monitor.drift.reference import Doubles

_SHARE: Final = 0.05  # of new texts among all
_SHARE_FULL: Final = 0.1  # and among those that the encoder sees
_SHIFT: Final = 1.5  # standard deviations by which a new text agrees with the direction
_CUT: Final = (-2.0, 4.0)  # standard deviations, clipped


class SmallShare:
    """For `runs` streams at once. Not thread-safe."""

    def __init__(self, runs: int) -> None:
        self._usual = np.ones(runs)

    def pointing(self, agreement: Doubles, near: Doubles, seen: NDArray[np.bool_], memory: Doubles) -> Doubles:
        """What the texts' embeddings add, (runs,); 0 where none was seen.

        agreement: (runs,), with the direction, in standard deviations. near, memory: see UnusualTexts.odds. seen:
        (runs,), which texts the encoder saw.
        """
        along = likelihood_ratio(np.clip(agreement, *_CUT), _SHIFT)
        odds = 0.5 * along / self._usual + 0.5 * near
        self._usual += seen * (along - self._usual) / memory
        return np.where(seen, np.log1p(_SHARE_FULL * (odds - 1.0)), 0.0)

    def learnt(self) -> dict[str, NDArray[Any]]:
        """All that it knows, by name; may be written to."""
        return {"along": self._usual}


def unusual(ratios: Doubles) -> Doubles:
    """What it adds that a text is as unusual as it is. ratios: density of a new text's tail probability there, against
    1 of known ones."""
    return np.log1p(_SHARE * (ratios - 1.0))


def new_share(ratios: Doubles) -> Doubles:
    """Probability that a text is a new one, were one in twenty. ratios: see `unusual`."""
    weights = _SHARE * ratios
    share: Doubles = weights / (1.0 - _SHARE + weights)
    return share
