"""How many of the dead letters written in some minutes are an application's, of however many: by a sample where there
are too many to read, spread over all of that time, so that nobody else's letters hide them. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from connectors.deadletters import Origin, read_origin
from connectors.ports import Record
from streams.monitor.rules.outside import Undecided

READ_AT_MOST = 20_000  # records at a look
_STRETCHES = 20
_NAMED = 10


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
        self._letters, self._reasons, self._ids = 0.0, Counter[str](), list[str]()
        self._is_sample = False

    def take(self, record: Record, stands_for: float = 1.0) -> None:
        """Take a record of the topic in. stands_for: so many of its kind."""
        self._is_sample = self._is_sample or stands_for > 1.0
        try:
            origin = read_origin(record.headers)
        except ValueError:
            return
        place = origin.topic, origin.partition, origin.offset
        if place in self._seen or not self._is_own(origin):  # a repeat is no second event
            return
        self._seen.add(place)
        self._letters += stands_for
        self._reasons[origin.reason] += stands_for  # type: ignore[assignment]
        self._ids = [*self._ids[-_NAMED + 1 :], f"{origin.topic}-{origin.partition}-{origin.offset}"]

    def undecided(self, decided: int) -> Undecided:
        """decided: events of the same time."""
        reasons = {reason: round(number) for reason, number in self._reasons.items()}
        return Undecided(round(self._letters), decided, reasons, self._ids, is_estimate=self._is_sample)

    def _is_own(self, origin: Origin) -> bool:
        """Two applications may read one topic; letters of earlier versions do not say whose they are."""
        if origin.topic not in self._topics or origin.app not in (None, self._app):
            return False
        ends = self._ends.get(origin.topic)
        return ends is None or 0 <= origin.offset < ends.get(origin.partition, 0)
