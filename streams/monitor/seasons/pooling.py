"""What an hour of the week is like, by what it and others were like so far: partial pooling.

An hour's own mean is drawn towards that of the same hour of all days, and this one towards the whole stream's, the
farther the fewer texts it stands on and the less hours differ beyond chance. Where they do not clearly differ there is
no season, and nothing is said of any hour.

Source: random effects by moments, DerSimonian and Laird (1986), "Meta-analysis in clinical trials", Controlled Clinical
Trials 7.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from streams.monitor.drift.reference import Doubles
from streams.monitor.seasons.hours import HOURS_OF_DAY

_CERTAIN: Final = 3.0  # standard deviations by which hours differ beyond chance where there is a season
_LEAST_FREEDOM: Final = 2  # of hours that can be compared
_LEAST: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Expected:
    """Of an hour. mean: (values,). squared_error: that is likely left in it, summed over the values."""

    mean: NDArray[Any]
    squared_error: float


def expected_of_hour(
    of_week: int, texts: Doubles, means: NDArray[Any], variance: float, spread: float
) -> Expected | None:
    """What the texts of an hour of the week are expected to be like; None where no season is seen.

    texts: (168,), that each hour of the week has had. means: (168, values), 0 of an hour without a text. variance: of
    one text, summed over the values; above 0. spread: the squares of its parts' shares, summed: 1 of one value, less of
    many.
    """
    total = float(texts.sum())
    of_day = texts.reshape(-1, HOURS_OF_DAY).sum(axis=0)
    weighted = texts[:, None].astype(means.dtype) * means
    sums = weighted.reshape(-1, HOURS_OF_DAY, means.shape[1]).sum(axis=0)
    daily = sums / np.maximum(of_day, _LEAST)[:, None].astype(means.dtype)
    whole = sums.sum(axis=0) / total
    # texts times squared lengths: what lies between two of these is the squares about the wider group's mean
    of_weeks, of_days, of_all = (
        float(np.vdot(weighted, means)),
        float(np.vdot(sums, daily)),
        total * float(whole @ whole),
    )
    days = int(np.count_nonzero(of_day))
    between_hours = _variance_between(of_day, of_days - of_all, days - 1, variance, spread)
    freedom = int(np.count_nonzero(texts)) - days
    between_days = _variance_between(texts, of_weeks - of_days, freedom, variance, spread)
    if between_hours == 0.0 and between_days == 0.0:
        return None
    of_hour = of_week % HOURS_OF_DAY
    mean, error = _drawn(whole, variance / total, daily[of_hour], of_day[of_hour], between_hours, variance)
    return Expected(*_drawn(mean, error, means[of_week], texts[of_week], between_days, variance))


def _drawn(
    wide: NDArray[Any], wide_error: float, own: NDArray[Any], texts: float, between: float, variance: float
) -> tuple[NDArray[Any], float]:
    """A mean drawn towards that of the wider group, and its squared error. between: variance between such means."""
    if between == 0.0 or texts <= 0.0:
        return wide, wide_error
    weight = between / (between + variance / texts)
    return wide + weight * (own - wide), float(weight * variance / texts)


def _variance_between(texts: Doubles, squares: float, freedom: int, variance: float, spread: float) -> float:
    """By how much groups' means vary beyond chance; 0 where that is not clear. squares: of their deviations, times
    texts, summed; freedom: how many of these are free."""
    if freedom < _LEAST_FREEDOM:
        return 0.0
    excess = squares / variance - freedom
    if excess <= _CERTAIN * np.sqrt(2.0 * spread * freedom):
        return 0.0
    total = float(texts.sum())
    return variance * excess / max(total - float(texts @ texts) / total, _LEAST)
