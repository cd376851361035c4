"""Whether texts look new because of how they are written, as with a new channel's greeting or footer, rather than of a
subject that the model never learnt. Pure.

What is only written another way is about the same things as before, so its labels are as spread as before; what is
about one new thing falls to the few labels that lie near it. How spread labels are is told by how often two texts have
the same one. Texts about anything at all are spread as well, but the model is unsure of them.
Source: Simpson (1949), "Measurement of diversity", Nature 163.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from scipy.stats import poisson

_TIMES_USUAL: Final = 3.0  # two texts of a new subject have one label so much more often (bitext: 3.7 or more)
_CHANCE: Final = 0.05  # of so few equal labels in a new subject's texts, were pairs independent, is below this
_LEAST_LABELS: Final = 40  # in effect, before: among 20 a new subject's may be as spread (newsgroups20: 1.7 times)
_LEAST_EQUAL: Final = 30  # pairs of texts before that have one label, so that the usual share is known
_LEAST_SURE: Final = 0.5  # mean confidence, times that of before

Decided = tuple[str, float]  # the model's label of a text, and its calibrated confidence


def are_restyled(new: Sequence[Decided], before: Sequence[Decided]) -> bool:
    """Whether texts that look new are most probably known ones in another style; False also where nobody can say.

    new: texts that look new. before: those of the stream before. Copies are to be left out of both.
    """
    equal = _equal_pairs(before)
    usual = equal / max(_pairs(before), 1)
    if equal < _LEAST_EQUAL or usual > 1 / _LEAST_LABELS or not new:
        return False
    chance = poisson.cdf(_equal_pairs(new), _TIMES_USUAL * usual * _pairs(new))
    return bool(chance < _CHANCE) and _confidence(new) >= _LEAST_SURE * _confidence(before)


def _pairs(texts: Sequence[Decided]) -> int:
    return len(texts) * (len(texts) - 1) // 2


def _equal_pairs(texts: Sequence[Decided]) -> int:
    """Pairs of texts that have one label."""
    return sum(count * (count - 1) // 2 for count in Counter(label for label, _ in texts).values())


def _confidence(texts: Sequence[Decided]) -> float:
    return float(np.mean([confidence for _, confidence in texts]))
