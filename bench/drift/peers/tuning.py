"""Tuning to a measured rate of false alarms. Pure; numpy alone."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 7


def bisect(
    alarms: Callable[[float, int], int], low: float, high: float, *, events: int, every: int, rough: int
) -> tuple[float, int]:
    """The setting, between `low` (fewer alarms) and `high` (more), on a logarithmic scale, that gives one alarm in
    `every` events, and its alarms in all of them.

    alarms: of a setting, in the first so many events. rough: events that most rounds look at.
    """
    target = 1 / every
    for number in range(ROUNDS):
        middle = float(np.sqrt(low * high))
        seen = events if number >= ROUNDS - 2 else min(rough, events)
        if alarms(middle, seen) / seen > target:
            high = middle
        else:
            low = middle
    setting = float(np.sqrt(low * high))
    return setting, alarms(setting, events)


def threshold_of_windows(levels: Sequence[float], window: int, every: int) -> float:
    """The height that windows of so many events pass once in `every` events."""
    share = window / every
    return float(np.quantile(np.asarray(levels, float), max(1.0 - share, 0.0), method="higher"))


def window_alarms(levels: Sequence[float], window: int, threshold: float) -> list[int]:
    """The last event of each window above the threshold."""
    return [(number + 1) * window - 1 for number, level in enumerate(levels) if level > threshold]


def level_alarms(ratios: NDArray[np.float64], threshold: float, refill: int) -> list[int]:
    """Events at which a running level passes the threshold; after an alarm nothing is said for `refill` events, as a
    fresh detector must fill its window."""
    alarms, free = list[int](), 0
    for event in np.flatnonzero(ratios > threshold).tolist():
        if event >= free:
            alarms.append(event)
            free = event + refill
    return alarms


def judge_windows(
    tuning: Sequence[Sequence[float]], streams: Sequence[Sequence[Sequence[float]]], window: int, every: int
) -> dict[str, Any]:
    """One threshold for all cases. tuning: levels of each case's stationary stream; streams: of its other streams."""
    together = [level for levels in tuning for level in levels]
    threshold = threshold_of_windows(together, window, every)
    return {
        "setting": {"window": window, "threshold": threshold},
        "tuned_alarms": sum(level > threshold for level in together),
        "tuned_events": window * len(together),
        "alarms": [[window_alarms(levels, window, threshold) for levels in case] for case in streams],
    }
