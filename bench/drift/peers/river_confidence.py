"""river's ADWIN and KSWIN on the confidence of each decision, or on whether it was wrong where labels come.

`python -m bench.drift.peers.river_confidence FOLDER adwin|kswin confidence|wrong`
"""

import sys
from collections.abc import Callable
from typing import Any

from river.drift import ADWIN, KSWIN

from bench.drift.peers.order import Case, alarms_of, answer, this_order
from bench.drift.peers.tuning import bisect

RANGES = {"adwin": (1e-12, 0.9), "kswin": (1e-8, 0.05)}  # of delta and alpha: fewer alarms, more alarms
ROUGH = {"adwin": 200_000, "kswin": 40_000}


class OnValues:
    """A detector of river's on one number for each event."""

    def __init__(self, kind: str, setting: float, values: Any) -> None:
        self._values = values
        detectors: dict[str, Any] = {"adwin": ADWIN, "kswin": KSWIN}
        options = {"delta": setting, "clock": 1} if kind == "adwin" else {"alpha": setting, "seed": 0}
        self._detector = detectors[kind](**options)

    def update(self, event: int) -> bool:
        """See Detector."""
        self._detector.update(self._values[event])
        return bool(self._detector.drift_detected)


def main() -> None:
    """Tune, then judge."""
    order, kind, by = this_order(), sys.argv[2], sys.argv[3]

    def values(case: Case, place: int | None) -> list[float]:
        if by == "wrong":
            return [float(one) for one in (case.tuning_wrong if place is None else case.wrong[place])]
        rows = case.tuning if place is None else case.streams[place]
        return [float(one) for one in case.confidence[rows]]

    def fresh(setting: float, numbers: list[float]) -> Callable[[], OnValues]:
        return lambda: OnValues(kind, setting, numbers)

    tuning = [values(case, None) for case in order.cases]

    def alarms(setting: float, events: int) -> int:
        each = events // len(tuning)
        return sum(len(alarms_of(fresh(setting, numbers), min(each, len(numbers)))) for numbers in tuning)

    events = sum(len(numbers) for numbers in tuning)
    low, high = RANGES[kind]
    setting, count = bisect(alarms, low, high, events=events, every=order.every, rough=ROUGH[kind])
    judged = [
        [alarms_of(fresh(setting, values(case, place)), len(case.streams[place])) for place in range(len(case.streams))]
        for case in order.cases
    ]
    answer({"setting": setting, "tuned_alarms": count, "tuned_events": events, "alarms": judged})


if __name__ == "__main__":
    main()
