"""How often each label usually comes at an hour of the week.

Only where a label clearly came more often at that hour than the whole stream's share gives; else the whole stream's
stands. An hour counts together with those beside it, too, and with the same hour of all days, as few texts show little.
It is learnt when it is over, and says nothing for half a day after, so that a burst is not learnt as usual while it
goes on.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.reference import Doubles
from streams.monitor.seasons.hours import HOURS_OF_DAY, HOURS_OF_WEEK
from streams.packing import pack, unpack

_LABELS: Final = 128  # those that come most
_LABELS_AN_HOUR: Final = 1_000  # who writes signals may call labels what they like
_KEPT: Final = 0.8  # of an hour's earlier texts each time that it comes again
_LATELY: Final = 12  # hours of which nothing is said yet
_CERTAIN: Final = 3.0  # standard deviations by which a label came more often than the whole stream's share gives
_MORE: Final = 3.0  # texts beyond those
_BESIDE: Final = (0, 1, 3)  # hours on either side that count with one: few texts of its own show little

_View = tuple[float, float]  # texts of an hour and those that count with it, and of the label among them


class LabelSeasons:
    """Of one stream. Not thread-safe. Memory: 168 numbers in half precision a label, of those that come most."""

    def __init__(self) -> None:
        self._texts = np.zeros(HOURS_OF_WEEK, np.float32)
        self._shares: dict[str, NDArray[np.float16]] = {}
        self._hour: int | None = None
        self._new = 0  # texts of this hour
        self._counts: Counter[str] = Counter()
        self._views: dict[str, list[_View]] = {}

    def take(self, label: str, hour: int | None) -> bool:
        """A text came. hour: since 1970; None where it counts in none. Whether another hour begins with it."""
        begins = hour is not None and hour != self._hour
        if begins:
            if self._hour is not None:
                self._learn(self._hour % HOURS_OF_WEEK)
            self._hour = hour
            self._look_up()
        if hour is not None:
            self._new += 1
            if label in self._counts or len(self._counts) < _LABELS_AN_HOUR:
                self._counts[label] += 1
        return begins

    def usual_share(self, label: str, whole: float, prior_texts: float) -> float:
        """A label's share at this hour, never below `whole`, that of the whole stream, which counts as much as
        `prior_texts`; two standard errors above what was seen at the most."""
        usual = whole
        for texts, own in self._views.get(label, ()):
            chance = whole * texts
            if own > chance + _CERTAIN * np.sqrt(chance) + _MORE:
                count = texts + prior_texts
                share = (own + prior_texts * whole) / count
                usual = max(usual, share + 2.0 * float(np.sqrt(share * (1.0 - share) / count)))
        return min(usual, 1.0 - 1e-6)

    def state(self) -> dict[str, Any]:
        """For JSON; `restore` takes it."""
        shares = np.array(list(self._shares.values()), np.float16)
        return {
            "texts": pack(self._texts),
            "labels": list(self._shares),
            "shares": pack(shares),
            "hour": self._hour,
            "new": self._new,
            "counts": dict(self._counts),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError where it does not fit."""
        labels = [str(label) for label in state["labels"]]
        shares = unpack(state["shares"], np.float16, (len(labels), HOURS_OF_WEEK))
        self._texts = unpack(state["texts"], np.float32, (HOURS_OF_WEEK,))
        self._shares = dict(zip(labels, shares, strict=True))
        self._hour = None if state["hour"] is None else int(state["hour"])
        self._new = int(state["new"])
        self._counts = Counter({str(label): int(count) for label, count in dict(state["counts"]).items()})
        self._look_up()

    def _learn(self, of_week: int) -> None:
        before, new = float(self._texts[of_week]) * _KEPT, self._new
        for label in self._counts:
            self._shares.setdefault(label, np.zeros(HOURS_OF_WEEK, np.float16))
        for label, shares in self._shares.items():
            shares[of_week] = (before * float(shares[of_week]) + self._counts[label]) / max(before + new, 1.0)
        self._texts[of_week] = before + new
        self._new, self._counts = 0, Counter()
        if len(self._shares) > _LABELS:
            sums = {label: float(self._texts @ shares) for label, shares in self._shares.items()}
            kept = sorted(sums, key=lambda label: -sums[label])[:_LABELS]
            self._shares = {label: self._shares[label] for label in kept}

    def _look_up(self) -> None:
        self._views = {}
        if self._hour is None or not self._shares:
            return
        of_week = self._hour % HOURS_OF_WEEK
        texts = self._texts.astype(np.float64)
        texts[(of_week - 1 - np.arange(_LATELY)) % HOURS_OF_WEEK] = 0.0
        own = np.array(list(self._shares.values()), np.float64) * texts
        counts = np.vstack([texts, own])
        views = [_together(counts, of_week, all_days, beside) for all_days in (False, True) for beside in _BESIDE]
        for number, label in enumerate(self._shares, start=1):
            of_label = [(float(view[0]), float(view[number])) for view in views if view[number] > _MORE]
            if of_label:
                self._views[label] = of_label


def _together(counts: Doubles, of_week: int, all_days: bool, beside: int) -> Doubles:
    """Counts (rows, 168) of an hour and those that count with it, (rows,)."""
    hours = of_week + np.arange(-beside, beside + 1)
    if all_days:
        hours = (hours[:, None] + HOURS_OF_DAY * np.arange(HOURS_OF_WEEK // HOURS_OF_DAY)).ravel()
    together: Doubles = counts[:, hours % HOURS_OF_WEEK].sum(axis=1)
    return together
