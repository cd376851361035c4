"""Labels and segments whose share an episode moves, as far as that stands up to testing all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from streams.monitor.episodes.many_tests import chance_of_rise, stands

MOVES: Final = 3  # told of each kind
_MOST_VALUES: Final = 50  # of a field: one with more is a name, not a segment


@dataclass(frozen=True, slots=True)
class Move:
    """A share that rose or fell. before, after: shares, 0 to 1."""

    name: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Where an episode happens. field, value: of its texts. inside: share of the episode's texts that have it.
    elsewhere: share of all others."""

    field: str
    value: str
    inside: float
    elsewhere: float


def moved_labels(before: Iterable[str], after: Iterable[str]) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
    """Labels that rose and that fell, those that moved most first."""
    old, new = Counter(before), Counter(after)
    return _risen(old, new), tuple(Move(one.name, one.after, one.before) for one in _risen(new, old))


def segments(inside: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]) -> tuple[Segment, ...]:
    """Fields' values that the texts `inside` have more often than all others, the most telling first."""
    candidates = []
    for field in sorted({name for fields in inside for name in fields}):
        here = Counter(fields[field] for fields in inside if field in fields)
        there = Counter(fields[field] for fields in others if field in fields)
        if len(here.keys() | there.keys()) <= _MOST_VALUES and there.total():
            candidates += [
                (Segment(field, value, count / here.total(), there[value] / there.total()), count, here, there)
                for value, count in here.items()
                if count >= 2
            ]
    chances = np.array(
        [chance_of_rise(count, here.total(), there[one.value], there.total()) for one, count, here, there in candidates]
    )
    kept = [one for (one, *_), is_so in zip(candidates, stands(chances), strict=True) if is_so]
    return tuple(sorted(kept, key=lambda one: (one.elsewhere - one.inside, one.field, one.value))[:MOVES])


def _risen(old: Mapping[str, int], new: Mapping[str, int]) -> tuple[Move, ...]:
    before, after = sum(old.values()), sum(new.values())
    if not before or not after:
        return ()
    names = sorted(old.keys() | new.keys())
    chances = np.array([chance_of_rise(new.get(name, 0), after, old.get(name, 0), before) for name in names])
    moves = [
        Move(name, round(old.get(name, 0) / before, 3), round(new.get(name, 0) / after, 3))
        for name, is_so in zip(names, stands(chances), strict=True)
        if is_so
    ]
    return tuple(sorted(moves, key=lambda move: (move.before - move.after, move.name))[:MOVES])
