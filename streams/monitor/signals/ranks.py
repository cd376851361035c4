"""The default change detector: where a value stands among all values so far.

While values are exchangeable (in no order that matters), the rank of each among those so far, ties broken at random,
is uniform and independent of the ranks before. So a bet on ranks (on high ones, on low ones, on rare kinds) multiplies
by 1 on average, whatever the values' distribution; no reference is needed. The sum of such bets since each event
reaches c only once in c values on average at the most, and the CUSUM of one bet lies below it. Where bets share c by
their number, all together do not alarm more often.

A live stream's values depend. So thresholds are higher while it is young, and multiplied by how much more the means of
blocks of values vary than those of independent ones would, where that is certain.

Sources: conformal test martingales for change detection, Vovk et al. (2021), "Retrain or not retrain", COPA;
e-detectors, Shin, Ramdas, Rinaldo (2024), NEJSDS; the long-run variance in a CUSUM's threshold, Siegmund (1985),
"Sequential Analysis".
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from streams.monitor.signals.ports import Value

Side = Literal["up", "down", "rare"]

_SHARE, _POWER = 0.4, 0.5  # of the bet: a share of values whose rank p has the density power * p ** (power - 1)
_LEAST: Final = 1e-6  # of a rank
_BINS: Final = 512
_HIGHEST: Final = 2.0**22 * 0.95  # the last bin
_KINDS: Final = 1_000
_OTHER: Final = ""  # kinds beyond those
_YOUNG, _YOUNG_FACTOR = 500, 1.5  # values, until which thresholds are higher
_BLOCK: Final = 50  # values
_LATE_BLOCKS: Final = 4  # a change must not be learnt as dependence before it is found
_MOST_BLOCKS: Final = 40
_MOST_FACTOR: Final = 3.0
_CERTAIN: Final = 2.33  # standard errors


class Ranks:
    """A ChangeDetector. Memory: a count for each of 512 bins, or of 1,000 kinds."""

    def __init__(
        self, sides: Sequence[Side], false_alarm_every: float, bin_of: Callable[[float], int] | None = None
    ) -> None:
        """sides: which changes alarm: numbers that rise, that fall; kinds that were rare. false_alarm_every: values
        between two false alarms of one side, on average at the least. bin_of: of a number, below 512, growing with it;
        numbers of one bin are equal."""
        self._sides, self._bin_of = tuple(sides), bin_of or log_bin
        self._threshold = math.log(max(false_alarm_every, 2.0))
        self.reset()

    def reset(self) -> None:
        """See ChangeDetector."""
        self._counts: dict[int | str, int] = {}
        self._bins = np.zeros(_BINS, np.int64)
        self._values = 0
        self._sums: list[tuple[float, int]] = [(0.0, 0)] * len(self._sides)  # height, and values since it was zero
        self._block: list[float] = []
        self._blocks: list[float] = []
        self._factor = 1.0
        self._alarmed = False

    @property
    def level(self) -> float:
        """See ChangeDetector."""
        return 1.0 if self._alarmed else min(max(self._sums)[0] / self._height, 1.0)

    @property
    def since(self) -> int:
        """See ChangeDetector."""
        return max(int(max(self._sums)[1]), 1)

    def update(self, value: Value) -> float | None:
        """See ChangeDetector."""
        if self._alarmed:
            self.reset()
        self._values += 1
        rank = self._rank_of_kind(value) if isinstance(value, str) else self._rank_of_number(value)
        self._learn_dependence(rank)
        sums = []
        for (height, values), side in zip(self._sums, self._sides, strict=True):
            place = max(1.0 - rank if side == "down" else rank, _LEAST)
            height = max(height + math.log(1.0 - _SHARE + _SHARE * _POWER * place ** (_POWER - 1.0)), 0.0)
            sums.append((height, values + 1 if height > 0.0 else 0))
        self._sums = sums
        self._alarmed = max(self._sums)[0] >= self._height
        return 1.0 if self._alarmed else None

    def state(self) -> dict[str, Any]:
        """See ChangeDetector."""
        numbers = [[int(place), int(self._bins[place])] for place in np.flatnonzero(self._bins)]
        return {
            "values": self._values,
            "bins": numbers,
            "kinds": {str(kind): count for kind, count in self._counts.items()},
            "sums": [list(one) for one in self._sums],
            "block": list(self._block),
            "blocks": list(self._blocks),
            "alarmed": self._alarmed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ChangeDetector."""
        self.reset()
        for place, count in state["bins"]:
            if not 0 <= place < _BINS:
                raise ValueError(f"bin {place} of {_BINS}")
            self._bins[place] = count
        self._counts = {str(kind): int(count) for kind, count in dict(state["kinds"]).items()}
        sums = [(float(height), int(values)) for height, values in state["sums"]]
        if len(sums) != len(self._sides):
            raise ValueError(f"{len(sums)} sums for {len(self._sides)} sides")
        self._sums, self._values = sums, int(state["values"])
        self._block, self._blocks = [float(one) for one in state["block"]], [float(one) for one in state["blocks"]]
        self._factor, self._alarmed = self._dependence(), bool(state["alarmed"])

    def _rank_of_number(self, value: float) -> float:
        """Share of the numbers so far that are higher, this one among them."""
        place = min(max(self._bin_of(value), 0), _BINS - 1)
        self._bins[place] += 1
        return float(self._bins[place + 1 :].sum() + self._chance() * self._bins[place]) / self._values

    def _rank_of_kind(self, kind: str) -> float:
        """Share of the values so far whose kinds are rarer, this one among them."""
        known = kind if kind in self._counts or len(self._counts) < _KINDS else _OTHER
        self._counts[known] = count = self._counts.get(known, 0) + 1
        rarer = sum(other for other in self._counts.values() if other < count)
        same = sum(other for other in self._counts.values() if other == count)
        return (rarer + self._chance() * same) / self._values

    def _chance(self) -> float:
        """Uniform in (0, 1), the same for the same number of a value.

        Source: splitmix64, Steele, Lea, Flood (2014), OOPSLA.
        """
        mixed = self._values * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        return ((mixed ^ mixed >> 31) + 0.5) / 2.0**64

    def _learn_dependence(self, rank: float) -> None:
        if len(self._blocks) >= _MOST_BLOCKS + _LATE_BLOCKS:
            return
        self._block.append(2.0 * rank - 1.0)
        if len(self._block) == _BLOCK:
            self._blocks.append(sum(self._block))
            self._block, self._factor = [], self._dependence()

    @property
    def _height(self) -> float:
        return self._threshold * (_YOUNG_FACTOR if self._values < _YOUNG else self._factor)

    def _dependence(self) -> float:
        """How many times as much as independent values those of blocks vary, where that is certainly more than once."""
        blocks = self._blocks[: max(len(self._blocks) - _LATE_BLOCKS, 1)]
        expected = len(blocks) * _BLOCK / 3.0  # a uniform number in (-1, 1) has the variance 1/3
        times = sum(one * one for one in blocks) / max(expected, 1.0)
        is_certain = times > 1.0 + _CERTAIN * math.sqrt(2.0 / max(len(blocks), 1))
        return min(times, _MOST_FACTOR) if is_certain else 1.0


def log_bin(value: float) -> int:
    """Of a number of any size: steps of about 4 % of it, from a thousandth on; negative ones count as zero, and those
    above four million as that."""
    return round(16.0 * math.log2(1.0 + 1_024.0 * min(max(value, 0.0), _HIGHEST)))


def doubt_bin(share: float) -> int:
    """Of a share that is mostly near 1: steps by its distance from 1."""
    return _BINS - 1 - log_bin(1.0 - min(max(share, 0.0), 1.0))
