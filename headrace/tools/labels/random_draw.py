"""Decisions that are drawn for labelling whatever was decided: only their labels say how often decisions are right.

Whether one is drawn depends on a hash of its id and on how many decisions its day has, never on its text or its label:
so everybody who reads the same topic draws the same, and no choice of the model's own gets into the figure.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.application import Labelling
from streams.classify.sampling import sample_position

_SPARE = 2.0  # standard deviations above the number that is wanted of a day that is not over


@dataclass(frozen=True, slots=True)
class DecidedDay:
    """ids: decided on that day (UTC). is_whole: whether they are all: none is gone, and no more will come."""

    ids: tuple[str, ...]
    is_whole: bool


def days_of(decided: Sequence[tuple[str, str]], *, is_whole: bool = True) -> dict[str, DecidedDay]:
    """(id, decided_at in RFC 3339) by day. The last day goes on; of the first one some are gone unless `is_whole`."""
    by_day: dict[str, list[str]] = defaultdict(list)
    for identity, at in decided:
        by_day[at[:10]].append(identity)
    first, last = min(by_day, default=""), max(by_day, default="")
    return {
        day: DecidedDay(tuple(ids), day < last and (is_whole or day > first)) for day, ids in sorted(by_day.items())
    }


def drawn(days: Mapping[str, DecidedDay], settings: Labelling) -> dict[str, float]:
    """Id to the probability with which it was drawn, those that come first in their day's order first.

    All whose position is below a share that the busiest day known gives, a little above what is wanted, as fewer may
    come. Of a day that is known whole: at least `random_per_day`, where there are as many.
    """
    busiest = max((len(day.ids) for day in days.values()), default=0)
    probabilities: dict[str, float] = {}
    for day in days.values():
        positions = sorted((sample_position("labels", identity), identity) for identity in day.ids)
        share = _share(busiest, settings)
        chosen = [identity for position, identity in positions if position < share]
        wanted = min(settings.random_per_day, len(positions))
        if day.is_whole and len(chosen) < wanted:
            chosen, share = [identity for _, identity in positions[:wanted]], wanted / len(positions)
        probabilities |= dict.fromkeys(chosen, share)
    return probabilities


def first_drawn(shares: Mapping[str, float]) -> dict[str, float]:
    """Id to its probability, of those that are drawn where each is with its own, in an order of their own: by the same
    positions as above, so that with larger shares the same ones are drawn and others too."""
    positions = {identity: sample_position("labels", identity) for identity in shares}
    chosen = [identity for identity, share in shares.items() if positions[identity] < share]
    return {one: shares[one] for one in sorted(chosen, key=lambda one: (positions[one] / shares[one], one))}


def _share(busiest: int, settings: Labelling) -> float:
    wanted = settings.random_per_day
    enough = (wanted + _SPARE * math.sqrt(wanted)) / busiest if busiest else 1.0
    return min(1.0, max(settings.random_share, enough))
