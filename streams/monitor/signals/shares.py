"""A change detector of what is yes or no and independent, such as labels of decisions drawn at random: does the share
rise?

A CUSUM of the logarithms of likelihood ratios: the share so far against one that is 15 % of the rest higher. Under the
share so far each ratio averages 1, so the CUSUM reaches log c at most once in c values on average. The share so far is
learnt from values before the sum's present climb only, else a rise is learnt as usual before it is found; it is taken
one standard error higher, as few values tell it roughly. Unlike ranks, which hold for any distribution, it knows that
values are yes or no: it needs half as many after a rise.

Sources: CUSUM, Page (1954), Biometrika; its rate, Lorden (1971), Annals of Mathematical Statistics; e-detectors, Shin,
Ramdas, Rinaldo (2024), NEJSDS.
"""

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

from streams.monitor.signals.ports import Value

_GAP: Final = 0.15  # of the rest, by which a share that rose is taken to be higher
_ERRORS: Final = 1.0  # standard errors above what was seen
_HIGHEST: Final = 0.95  # a share above it cannot rise by much


class Share:
    """A ChangeDetector of 0 and 1. Memory: five numbers."""

    def __init__(self, side: Literal["up", "down"], false_alarm_every: float) -> None:
        """side: whether the share of ones alarms where it rises or where it falls. false_alarm_every: values between
        two false alarms, on average at the least."""
        self._is_down = side == "down"
        self._threshold = math.log(max(false_alarm_every, 2.0))
        self.reset()

    def reset(self) -> None:
        """See ChangeDetector."""
        self._usual, self._climb = (0, 0), (0, 0)  # values, and those that count, before the climb and in it
        self._sum, self._alarmed = 0.0, False

    @property
    def level(self) -> float:
        """See ChangeDetector."""
        return 1.0 if self._alarmed else min(self._sum / self._threshold, 1.0)

    @property
    def since(self) -> int:
        """See ChangeDetector."""
        return max(self._climb[0], 1)

    def update(self, value: Value) -> float | None:
        """See ChangeDetector."""
        if self._alarmed:
            self.reset()
        counts = (float(value) >= 0.5) is not self._is_down
        share = self._share()
        higher = share + _GAP * (1.0 - share)
        self._sum += math.log(higher / share) if counts else math.log((1.0 - higher) / (1.0 - share))
        self._climb = self._climb[0] + 1, self._climb[1] + counts
        if self._sum <= 0.0:
            self._usual = self._usual[0] + self._climb[0], self._usual[1] + self._climb[1]
            self._climb, self._sum = (0, 0), 0.0
        self._alarmed = self._sum >= self._threshold
        return 1.0 if self._alarmed else None

    def state(self) -> dict[str, Any]:
        """See ChangeDetector."""
        return {"usual": list(self._usual), "climb": list(self._climb), "sum": self._sum, "alarmed": self._alarmed}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ChangeDetector."""
        (values, ones), (climbed, climbed_ones) = state["usual"], state["climb"]
        if not 0 <= ones <= values or not 0 <= climbed_ones <= climbed:
            raise ValueError(f"{ones} of {values} values, and {climbed_ones} of {climbed}")
        self._usual, self._climb = (int(values), int(ones)), (int(climbed), int(climbed_ones))
        self._sum, self._alarmed = float(state["sum"]), bool(state["alarmed"])

    def _share(self) -> float:
        values, ones = self._usual
        share = (ones + 1.0) / (values + 2.0)
        return min(share + _ERRORS * math.sqrt(share * (1.0 - share) / (values + 2.0)), _HIGHEST)
