"""What is popular of late, overall and in each segment (a country, a device): decayed counts.

How much more popular an item is in a segment than overall is shrunk to nothing where little is known of the segment or
of the item: observed over expected touches, both with the same few touches more (the gamma-Poisson shrinker of
DuMouchel, 1999, "Bayesian data mining in large frequency tables", with one component of mean 1).
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

SEGMENTS_MAX: Final = 64  # values of all fields together; a new one takes the place of the one with the least touches
NO_SEGMENT: Final = -1
_SHRINKAGE: Final = 10.0  # touches that are added to those seen and to those expected
_OVERFLOW: Final = 1e9

# What a segment is called: its number, the field, the field's value.
Segment = tuple[int, str, str]


class Popularity:
    """A function of the touches so far. Not thread-safe: one owner."""

    def __init__(self, half_life_events: float, fields: Sequence[str]) -> None:
        """half_life_events: after so many touches of all users one counts half. fields: that segments are values of."""
        self._growth = 2.0 ** (1.0 / half_life_events)
        self.fields = tuple(fields)
        self.forget()

    def forget(self) -> None:
        """Begin anew, as before the first touch."""
        self.counts = np.zeros(0)
        self.step = 1.0
        self.by_segment = np.zeros((0, 0), np.float32)
        self._rows: dict[int, int] = {}
        self._numbers: dict[tuple[str, str], int] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._next = 0

    def make_room(self, items: int) -> None:
        """For so many items."""
        more = items - len(self.counts)
        if more > 0:
            self.counts = np.pad(self.counts, (0, more))
            self.by_segment = np.pad(self.by_segment, ((0, 0), (0, more)))

    def touch(self, item: int, segments: NDArray[np.int32]) -> None:
        """Somebody of these segments did something with an item, for which there is room."""
        # Instead of ageing every item, a new touch weighs more; rescaled before it overflows.
        self.step *= self._growth
        self.count(item, segments)
        if self.step > _OVERFLOW:
            self.counts /= self.step
            if len(self.by_segment):
                self.by_segment = (self.by_segment / self.step).astype(np.float32)
            self.step = 1.0

    def count(self, items: int | NDArray[np.int64], segments: NDArray[np.int32]) -> None:
        """As `touch`, at the same moment as the last one."""
        self.counts[items] += self.step
        for row in self._rows_of(segments):
            self.by_segment[row, items] += self.step

    def overall(self, places: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Logarithm of one more than what each item was touched of late, float32 (items,). places: of some items."""
        counts = self.counts if places is None else self.counts[places]
        return np.log1p(counts / self.step).astype(np.float32)

    def touched(self, segments: NDArray[np.int32]) -> list[NDArray[np.floating]]:
        """What each item was touched of late, overall and in each of the segments: (items,), comparable within each."""
        return [self.counts, *(self.by_segment[row] for row in self._rows_of(segments))]

    def lift(self, segments: NDArray[np.int32], places: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """How much more popular than overall items are in each segment: a logarithm, 0 where nobody knows, float32
        (segments, items). segments: numbers, `NO_SEGMENT` among them. places: of some items, None: all."""
        wanted = slice(None) if places is None else places
        counts = self.counts[wanted]
        found = np.zeros((len(segments), len(counts)), np.float32)
        total = float(self.counts.sum())
        more = _SHRINKAGE * self.step
        for number, segment in enumerate(segments.tolist()):
            row = self._rows.get(segment)
            if row is not None and total > 0:
                seen = self.by_segment[row].astype(np.float64)
                expected = float(seen.sum()) / total * counts
                found[number] = np.log((seen[wanted] + more) / (expected + more))
        return found

    def name(self, segment: int) -> str:
        """As people read it."""
        field, value = self._names[segment]
        return f"{field}={value}"

    def numbers(self, values: Mapping[str, str], *, is_frozen: bool = False) -> NDArray[np.int32]:
        """The segment of each field, (fields,), `NO_SEGMENT` where there is no value. A new one gets a number, unless
        nothing more is learnt (is_frozen)."""
        found = np.full(len(self.fields), NO_SEGMENT, np.int32)
        for place, field in enumerate(self.fields):
            value = values.get(field)
            if value is not None:
                number = self._numbers.get((field, value))
                found[place] = number if number is not None else self._numbered(field, value, is_frozen)
        return found

    def segments(self) -> tuple[Segment, ...]:
        """All that are counted, in the order of `by_segment`."""
        return tuple((number, *self._names[number]) for number in self._rows)

    def row(self, segment: int) -> int:
        """Where a segment that there is stands in `by_segment`."""
        return self._rows[segment]

    def restore(self, counts: NDArray[np.float64], step: float, by_segment: NDArray[np.float32]) -> None:
        """Go on with these. by_segment: of the segments that there are, in their order, (segments, items)."""
        self.counts, self.step, self.by_segment = counts, step, np.ascontiguousarray(by_segment)

    def adopt(self, segments: Sequence[Segment]) -> dict[int, int]:
        """Have the segments that another had as well, as far as there is room. Its number to the one here."""
        moved: dict[int, int] = {}
        for number, field, value in segments:
            own = self._numbers.get((field, value), NO_SEGMENT)
            if own == NO_SEGMENT and field in self.fields and len(self._rows) < SEGMENTS_MAX:
                own = self._numbered(field, value, is_frozen=False)
            if own != NO_SEGMENT:
                moved[number] = own
        return moved

    def _rows_of(self, segments: NDArray[np.int32]) -> list[int]:
        return [self._rows[segment] for segment in segments.tolist() if segment in self._rows]

    def _numbered(self, field: str, value: str, is_frozen: bool) -> int:
        if is_frozen:
            return NO_SEGMENT
        number = self._next
        self._next += 1
        if len(self._rows) < SEGMENTS_MAX:
            self._rows[number] = len(self.by_segment)
            self.by_segment = np.pad(self.by_segment, ((0, 1), (0, 0)))
        else:
            self._take_place(number)
        self._numbers[field, value] = number
        self._names[number] = field, value
        return number

    def _take_place(self, number: int) -> None:
        """Of the segment with the least touches, which is forgotten."""
        row = int(self.by_segment.sum(axis=1).argmin())
        self.by_segment[row] = 0.0
        owners = list(self._rows)
        old, owners[row] = owners[row], number
        self._rows = {owner: place for place, owner in enumerate(owners)}
        del self._numbers[self._names.pop(old)]
