"""Whether texts look new because of how they are written, as with a new channel's greeting or footer, rather than of a
subject that the model never learnt. Pure.

What is only written another way is about the same things as before, so its labels are as spread as before; what is
about something new falls to the few labels that lie near it. How spread labels are is told by how often two texts have
the same one. Source: Simpson (1949), "Measurement of diversity", Nature 163.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from scipy.stats import poisson

_SUBJECT: Final = 3.0  # times as often as usual two texts of a new subject have one label (bitext: 3.7 or more)
_CHANCE: Final = 0.05  # of so few equal labels in texts of a new subject, that must be below this
_LABELS: Final = 40.0  # in effect, before: among 20 a new subject's may be as spread (newsgroups20: 1.7 times)


def are_spread_as_before(new: Sequence[str], before: Sequence[str]) -> bool:
    """new: labels that the model gives texts that look new. before: those of the stream before."""
    usual = _share_equal(before)
    if not 0.0 < usual * _LABELS <= 1.0:
        return False
    pairs = len(new) * (len(new) - 1) / 2
    return bool(poisson.cdf(round(_share_equal(new) * pairs), _SUBJECT * usual * pairs) < _CHANCE)


def _share_equal(labels: Sequence[str]) -> float:
    """Of all pairs of them, those that are equal; 0 of fewer than two."""
    pairs = len(labels) * (len(labels) - 1)
    return sum(count * (count - 1) for count in Counter(labels).values()) / max(pairs, 1)
