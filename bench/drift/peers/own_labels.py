"""The monitor's signal `errors`, as peers hear labels: whether each decision was wrong. Tuned as they are."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from bench.drift.peers.tuning import bisect
from streams.monitor.signals.shares import Share

RANGE: Final = (200_000.0, 2.0)  # labels between two false alarms, as stated: fewer alarms, more alarms
SHIPPED: Final = 900_000.0  # what the nine directions of the default signals leave it, of one in 100,000

Wrong = np.ndarray[Any, np.dtype[np.bool_]]


def alarms_of(wrong: Wrong, every: float) -> list[int]:
    """Events at which it alarms. every: as stated."""
    share = Share("up", every)
    return [event for event, one in enumerate(wrong.tolist()) if share.update(float(one)) is not None]


def tuned(tuning: Sequence[Wrong], *, events: int, every: int, rough: int) -> tuple[float, int]:
    """The stated rate at which the measured one is one alarm in `every`, and its alarms in `events` of all streams
    together. rough: see `bisect`."""

    def alarms(setting: float, seen: int) -> int:
        return sum(len(alarms_of(wrong[: seen // len(tuning)], setting)) for wrong in tuning)

    return bisect(alarms, *RANGE, events=events, every=every, rough=rough)
