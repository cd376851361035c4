"""How many of the dead letters written in some minutes are an application's, of however many: by a sample where there
are too many to read, spread over all of that time, so that nobody else's letters hide them. Pure.

A sample's error is told from how much neighbouring stretches differ (systematic sampling, successive differences:
Wolter (2007), "Introduction to Variance Estimation", chapter 8), and is at least that of as many letters at random.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from connectors.deadletters import Origin, read_origin
from connectors.ports import Record
from streams.monitor.rules.outside import Sample, Undecided

READ_AT_MOST = 20_000  # records at a look
_STRETCHES = 20
_NAMED = 10
_CERTAIN = 2.33  # standard errors: 99 % on each side, as it is looked at every minute


@dataclass(frozen=True, slots=True)
class Stretch:
    """Offsets of a partition, the last one exclusive. stands_for: so many records, each of them."""

    partition: int
    first: int
    end: int
    stands_for: float = 1.0


def stretches(first: Mapping[int, int], ends: Mapping[int, int], at_most: int = READ_AT_MOST) -> list[Stretch]:
    """What to read between two offsets of each partition: all of it, or stretches at even distances."""
    records = {partition: max(ends.get(partition, begin) - begin, 0) for partition, begin in first.items()}
    total = sum(records.values())
    if total <= at_most:
        return [Stretch(partition, first[partition], ends[partition]) for partition, n in records.items() if n]
    chosen = []
    for partition, length in records.items():
        pieces = max(round(_STRETCHES * length / total), 1) if length else 0
        for piece in range(pieces):
            begin, end = (first[partition] + length * one // pieces for one in (piece, piece + 1))
            size = min(max(at_most * length // total // pieces, 1), end - begin)
            if size:
                middle = begin + (end - begin - size) // 2
                chosen.append(Stretch(partition, middle, middle + size, (end - begin) / size))
    return chosen


class Letters:
    """Counts the letters of one application. Not thread-safe."""

    def __init__(self, app: str, source_topics: Collection[str], ends: Mapping[str, Mapping[int, int]]) -> None:
        """ends: of the source topics, partition to the next offset, where they are known: what claims to be of a record
        that never was is no letter."""
        self._app, self._topics, self._ends = app, frozenset(source_topics), ends
        self._seen: set[tuple[str, int, int]] = set()
        self._reasons, self._ids = Counter[str](), list[str]()
        self._stretches: list[tuple[float, int]] = [(1.0, 0)]  # what each record stands for, and letters read

    def begin(self, stretch: Stretch) -> None:
        """What is taken in from now on is of a stretch."""
        self._stretches.append((stretch.stands_for, 0))

    def take(self, record: Record) -> None:
        """Take a record of the topic in."""
        try:
            origin = read_origin(record.headers)
        except ValueError:
            return
        place = origin.topic, origin.partition, origin.offset
        if place in self._seen or not self._is_own(origin):  # a repeat is no second event
            return
        self._seen.add(place)
        stands_for, letters = self._stretches[-1]
        self._stretches[-1] = stands_for, letters + 1
        self._reasons[origin.reason] += stands_for  # type: ignore[assignment]
        self._ids = [*self._ids[-_NAMED + 1 :], f"{origin.topic}-{origin.partition}-{origin.offset}"]

    def undecided(self, decided: int) -> Undecided:
        """decided: events of the same time."""
        reasons = {reason: round(number) for reason, number in self._reasons.items()}
        read, letters = (sum(weight**power * n for weight, n in self._stretches) for power in (0, 1))
        if all(stands_for == 1.0 for stands_for, _ in self._stretches):
            return Undecided(round(letters), decided, reasons, self._ids)
        error = _CERTAIN * math.sqrt(self._variance())
        between = max(letters - error, float(read)), letters + error
        return Undecided(round(letters), decided, reasons, self._ids, Sample(round(read), between))

    def _variance(self) -> float:
        """Of the estimated number of letters."""
        by_chance = sum(stands_for * (stands_for - 1.0) * letters for stands_for, letters in self._stretches)
        stood_for = [stands_for * letters for stands_for, letters in self._stretches if stands_for > 1.0]
        steps = [(after - before) ** 2 for before, after in pairwise(stood_for)]
        return max(by_chance, 0.5 * len(stood_for) * sum(steps) / max(len(steps), 1))

    def _is_own(self, origin: Origin) -> bool:
        """Two applications may read one topic; letters of earlier versions do not say whose they are."""
        if origin.topic not in self._topics or origin.app not in (None, self._app):
            return False
        ends = self._ends.get(origin.topic)
        return ends is None or 0 <= origin.offset < ends.get(origin.partition, 0)
