"""river's change detectors behind the port: ADWIN, KSWIN, Page-Hinkley, DDM.

Their state is taken apart into numbers and lists, never pickled. What `false_alarm_every` is for does not hold for
them: how often they alarm follows from their own settings.

Sources: ADWIN, Bifet and Gavaldà (2007), SDM; KSWIN, Raab, Heusinger, Schleif (2020), Neurocomputing 416; Page (1954),
Biometrika 41, and Hinkley (1971), Biometrika 58; DDM, Gama, Medas, Castillo, Rodrigues (2004), SBIA.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from streams.monitor.signals.adwin_state import frame_of, put_together, taken_apart
from streams.monitor.signals.ports import ChangeDetector, Value

_RESCALE: Final = 1 << 20


class _OfRiver(ABC):
    """What all have in common: an alarm is `drift_detected`, after which river begins anew by itself."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._detector = make()

    @property
    def level(self) -> float:
        """1 at an alarm; what the method's own statistic says in between."""
        return 1.0 if self._detector.drift_detected else min(self._progress(), 1.0)

    @property
    def since(self) -> int:
        """See ChangeDetector."""
        return 1

    def update(self, value: Value) -> float | None:
        """See ChangeDetector."""
        self._detector.update(value)
        return self.level if self._detector.drift_detected else None

    def reset(self) -> None:
        """See ChangeDetector."""
        self._detector = self._make()

    def state(self) -> dict[str, Any]:
        """See ChangeDetector."""
        return {"alarmed": bool(self._detector.drift_detected), **self._taken_apart()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """See ChangeDetector."""
        self.reset()
        self._detector._drift_detected = bool(state["alarmed"])
        self._put_together(state)

    def _progress(self) -> float:
        return 0.0

    @abstractmethod
    def _taken_apart(self) -> dict[str, Any]:
        """What the method knows, for JSON."""

    @abstractmethod
    def _put_together(self, state: Mapping[str, Any]) -> None:
        """Give a fresh detector that back."""


class Adwin(_OfRiver):
    """Compares the means of all splits of a window that grows while nothing changes."""

    def __init__(self, **settings: Any) -> None:
        """settings: of river.drift.ADWIN."""
        from river import drift  # seconds to import, so only where one is chosen

        of_river: Any = drift.ADWIN
        super().__init__(lambda: of_river(**settings))

    @property
    def since(self) -> int:
        """What is left of the window."""
        return max(int(self._detector.width), 1)

    def _taken_apart(self) -> dict[str, Any]:
        return taken_apart(self._detector._helper.__getstate__())

    def _put_together(self, state: Mapping[str, Any]) -> None:
        helper = self._detector._helper
        helper.__setstate__(put_together(state, *frame_of(helper.__getstate__())))


class Kswin(_OfRiver):
    """Compares the newest values of a window with as many drawn from the others, by the Kolmogorov-Smirnov test.

    The draws of a value follow from its number, so that they are the same after a restart.
    """

    def __init__(self, **settings: Any) -> None:
        """settings: of river.drift.KSWIN; alpha: of one test, and one is made for each value."""
        from river.drift import KSWIN

        self._alpha = float(settings["alpha"])
        self._seed = int(settings.get("seed", 0))
        super().__init__(lambda: KSWIN(**settings))

    @property
    def since(self) -> int:
        """The newest values, which are compared with the others."""
        return int(self._detector.stat_size)

    def update(self, value: Value) -> float | None:
        """See ChangeDetector."""
        self._detector._rng.seed(self._seed * _RESCALE + self._detector.n)
        return super().update(value)

    def _progress(self) -> float:
        p_value = float(self._detector.p_value)
        return math.log(p_value) / math.log(self._alpha) if 0.0 < p_value < 1.0 else 0.0

    def _taken_apart(self) -> dict[str, Any]:
        detector = self._detector
        return {"window": list(detector.window), "values": detector.n, "p_value": float(detector.p_value)}

    def _put_together(self, state: Mapping[str, Any]) -> None:
        detector = self._detector
        window = [float(value) for value in state["window"]]
        if len(window) > detector.window_size:
            raise ValueError(f"{len(window)} values in a window of {detector.window_size}")
        detector.window = deque(window, maxlen=detector.window_size)
        detector.n, detector.p_value = int(state["values"]), float(state["p_value"])


class PageHinkley(_OfRiver):
    """Adds up how far values lie from the mean so far."""

    def __init__(self, **settings: Any) -> None:
        """settings: of river.drift.PageHinkley."""
        from river.drift import PageHinkley as OfRiver

        super().__init__(lambda: OfRiver(**settings))

    def _progress(self) -> float:
        detector = self._detector
        if detector._x_mean.n < detector.min_instances:
            return 0.0
        sums = {
            "up": detector._sum_increase - detector._min_increase,
            "down": detector._max_decrease - detector._sum_decrease,
        }
        farthest = sums[detector.mode] if detector.mode in sums else max(sums.values())
        return float(max(farthest, 0.0) / detector.threshold)

    def _taken_apart(self) -> dict[str, Any]:
        detector = self._detector
        lowest = detector._min_increase
        return {
            "mean": _mean_state(detector._x_mean),
            "sums": [detector._sum_increase, detector._sum_decrease],
            "ends": [None if math.isinf(lowest) else lowest, detector._max_decrease],
        }

    def _put_together(self, state: Mapping[str, Any]) -> None:
        detector = self._detector
        _restore_mean(detector._x_mean, state["mean"])
        detector._sum_increase, detector._sum_decrease = map(float, state["sums"])
        lowest, highest = state["ends"]
        detector._min_increase = math.inf if lowest is None else float(lowest)
        detector._max_decrease = float(highest)


class Ddm(_OfRiver):
    """Watches a share of errors: values are 0 and 1."""

    def __init__(self, **settings: Any) -> None:
        """settings: of river.drift.binary.DDM."""
        from river.drift.binary import DDM

        super().__init__(lambda: DDM(**settings))

    def _progress(self) -> float:
        detector = self._detector
        count, share = detector._p.n, detector._p.get()
        if detector._p_min is None or not detector._s_min:
            return 0.0
        above = share + math.sqrt(max(share * (1.0 - share), 0.0) / count) - detector._p_min
        return float(max(above, 0.0) / (detector.drift_threshold * detector._s_min))

    def _taken_apart(self) -> dict[str, Any]:
        detector = self._detector
        return {
            "mean": _mean_state(detector._p),
            "lowest": None if detector._p_min is None else [detector._p_min, detector._s_min],
        }

    def _put_together(self, state: Mapping[str, Any]) -> None:
        detector = self._detector
        _restore_mean(detector._p, state["mean"])
        if state["lowest"] is not None:
            detector._p_min, detector._s_min = map(float, state["lowest"])
            detector._ps_min = detector._p_min + detector._s_min


RIVER: Final = cast(
    dict[str, Callable[..., ChangeDetector]],
    {"adwin": Adwin, "kswin": Kswin, "page_hinkley": PageHinkley, "ddm": Ddm},
)


def _mean_state(mean: Any) -> list[float]:
    return [mean.n, mean._mean]


def _restore_mean(mean: Any, state: Any) -> None:
    count, value = state
    if not math.isfinite(count) or not math.isfinite(value):
        raise ValueError(f"a mean of {count} values, {value}")
    mean.n, mean._mean = float(count), float(value)
