"""How far out, and where, the texts of an hour of the week lie on this stream.

What an hour is like is learnt when it is over, so that it says something of its like a day later at the soonest: a
drift is not learnt as normal before it is seen. It may only explain: a text is never taken for more unusual than the
whole stream says. So what was learnt of an incident makes a stream less watchful at that hour for some time, and never
gives an alarm.

The texts of an open episode are set aside while it goes on, as what is unusual of others must not be measured by them.
Once it has ceased by itself they count: what comes by night and is gone by day is told in the first night.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.reference import Doubles, Floats
from streams.monitor.seasons.hours import HOURS_OF_WEEK
from streams.monitor.seasons.pooling import Expected, expected_of_hour
from streams.packing import pack, unpack

_TAILS: Final = 3
_ALWAYS: Final = 1  # the confidence's: known without an embedding, too
_STEPS: Final = 127  # that a place's numbers are kept in: much finer than chance leaves them
_KEPT: Final = 0.8  # of an hour's earlier texts each time that it comes again: weeks count less and less
_ASIDE: Final = 24  # hours of open episodes
_LEAST_TEXTS: Final = 200.0  # of all hours, below which nothing is said


class _Sums:
    """Of the texts of one hour. counts, squares: (4,), behind each of the three exponents and behind the place, and
    sums of their squares, those of the place together. tails: (3,), sums of exponents; place: (dimensions,)."""

    def __init__(self, dimensions: int) -> None:
        self.counts, self.squares = [0.0] * (_TAILS + 1), [0.0] * (_TAILS + 1)
        self.tails = [0.0] * _TAILS
        self.place = np.zeros(dimensions, np.float32)

    def add(self, surprisals: Doubles, outside: Floats | None, *, has_tail: bool) -> None:
        for tail, surprisal in enumerate(surprisals.tolist()):
            if has_tail or tail == _ALWAYS:
                self.counts[tail] += 1.0
                self.tails[tail] += surprisal
                self.squares[tail] += surprisal**2
        if outside is not None:
            self.counts[_TAILS] += 1.0
            self.place += outside
            self.squares[_TAILS] += float(outside @ outside)

    def state(self) -> list[Any]:
        return [self.counts, self.squares, self.tails, pack(self.place)]

    def restored(self, state: list[Any]) -> "_Sums":
        counts, squares, tails, place = state
        self.counts, self.squares, self.tails = [[float(one) for one in part] for part in (counts, squares, tails)]
        self.place = unpack(place, np.float32, self.place.shape)
        return self


class TextSeasons:
    """Of one stream. Not thread-safe. Memory: 168 means of the parts outside the span, a byte a number."""

    def __init__(self, dimensions: int, spread: float) -> None:
        """dimensions, spread: of the parts outside the span (`Reference.basis`, `Reference.spread`)."""
        self._dimensions, self._spread = dimensions, spread
        self._texts = np.zeros((HOURS_OF_WEEK, _TAILS + 1), np.float32)
        self._means = np.zeros((HOURS_OF_WEEK, _TAILS), np.float32)
        self._places, self._steps = np.zeros((HOURS_OF_WEEK, dimensions), np.int8), np.zeros(HOURS_OF_WEEK, np.float32)
        self._totals = np.zeros((2, _TAILS + 1))  # texts, and their squares
        self._hour: int | None = None
        self._counts = False
        self._sums, self._aside = _Sums(dimensions), dict[int, _Sums]()
        self.exponents: Doubles | None = None
        self.place: Floats | None = None
        self.squared_error = 0.0

    def enter(self, hour: int | None) -> None:
        """The hour of the next text, since 1970; None where it counts in none. What is expected of it then stands in
        `exponents` (3,) and in `place` (dimensions,), which is wrong by `squared_error`: minus infinity, or None, where
        no season is seen."""
        self._counts = hour is not None
        if hour is None or hour == self._hour:
            return
        if self._hour is not None:
            self._learn(self._hour % HOURS_OF_WEEK, self._sums)
        self._hour, self._sums = hour, _Sums(self._dimensions)
        self._look_up()

    def add(self, surprisals: Doubles, outside: Floats | None, *, has_tail: bool, of_episode: bool = False) -> None:
        """Take a text in. surprisals: (3,). outside: (dimensions,), None where no embedding counts. has_tail: whether
        the first and the third surprisal count. of_episode: whether it lies at the place of an open one."""
        if not self._counts or self._hour is None:
            return
        sums = self._set_aside(self._hour) if of_episode else self._sums
        sums.add(surprisals, outside, has_tail=has_tail)

    def end_episodes(self, *, ceased: bool) -> None:
        """None is open any more. ceased: by themselves; else their texts are left out for good."""
        for hour, sums in self._aside.items() if ceased else ():
            self._learn(hour % HOURS_OF_WEEK, sums, again=False)
        self._aside = {}
        self._look_up()

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        return {name: pack(array) for name, array in self._arrays().items()} | {
            "hour": self._hour,
            "sums": self._sums.state(),
            "aside": [[hour, sums.state()] for hour, sums in self._aside.items()],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        for name, array in self._arrays().items():
            array[...] = unpack(state[name], array.dtype, array.shape)
        self._hour = None if state["hour"] is None else int(state["hour"])
        self._sums = _Sums(self._dimensions).restored(state["sums"])
        self._aside = {int(hour): _Sums(self._dimensions).restored(sums) for hour, sums in state["aside"]}
        self._look_up()

    def _set_aside(self, hour: int) -> _Sums:
        if hour not in self._aside:
            self._aside[hour] = _Sums(self._dimensions)
            for oldest in list(self._aside)[:-_ASIDE]:
                del self._aside[oldest]
        return self._aside[hour]

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "texts": self._texts,
            "means": self._means,
            "places": self._places,
            "steps": self._steps,
            "totals": self._totals,
        }

    def _learn(self, of_week: int, sums: _Sums, *, again: bool = True) -> None:
        """Join what an hour was like to what it was like before. again: whether it is another one than the last."""
        counts = np.array(sums.counts)
        texts = self._texts[of_week] * (_KEPT if again else 1.0) + counts
        shares = counts / np.maximum(texts, 1.0)
        of_hour = np.array(sums.tails) / np.maximum(counts[:_TAILS], 1.0)
        self._means[of_week] += shares[:_TAILS] * (of_hour - self._means[of_week])
        before = self._places[of_week] * self._steps[of_week]
        place = before + np.float32(shares[_TAILS]) * (sums.place / np.float32(max(counts[_TAILS], 1.0)) - before)
        self._steps[of_week] = np.abs(place).max(initial=1e-12) / _STEPS
        self._places[of_week] = np.rint(place / self._steps[of_week])
        self._texts[of_week] = texts
        self._totals += np.stack([counts, np.array(sums.squares)])

    def _look_up(self) -> None:
        self.exponents, self.place, self.squared_error = None, None, 0.0
        if self._hour is None:
            return
        tails = [self._expected(tail, self._means[:, [tail]], 1.0) for tail in range(_TAILS)]
        if any(expected is not None for expected in tails):
            self.exponents = np.array([-np.inf if one is None else one.mean[0] for one in tails])
        expected = (
            self._expected(_TAILS, self._places * self._steps[:, None], self._spread) if self._dimensions else None
        )
        if expected is not None:
            self.place, self.squared_error = expected.mean.astype(np.float32), expected.squared_error

    def _expected(self, column: int, means: NDArray[Any], spread: float) -> Expected | None:
        texts = self._texts[:, column].astype(np.float64)
        count, squares = self._totals[:, column].tolist()
        if self._hour is None or texts.sum() < _LEAST_TEXTS:
            return None
        whole = texts @ means / texts.sum()
        variance = squares / count - float(whole @ whole)
        if variance <= 0.0:
            return None
        return expected_of_hour(self._hour % HOURS_OF_WEEK, texts, means, variance, spread)
