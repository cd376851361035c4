"""The machine's energy counter, where the kernel lets this process read one."""

import time
from pathlib import Path
from typing import Final

from retrain.cost import Reading

POWERCAP: Final = Path("/sys/class/powercap")
_MICRO: Final = 1e-6


class EnergyMeter:
    """A `retrain.cost.Meter` on the packages' RAPL counters, which begin again at zero when they are full."""

    def __init__(self, root: Path = POWERCAP) -> None:
        """root: where the kernel shows its zones; only whole packages count, as their parts lie within them."""
        self._zones = sorted(path for path in root.glob("*-rapl:*") if path.name.count(":") == 1)
        self._last: list[int] | None = None
        self._joules = 0.0

    def __call__(self) -> Reading:
        """Clocks, and the joules since the first call."""
        return Reading(time.monotonic(), time.process_time(), self._read())

    def _read(self) -> float | None:
        try:
            now = [int((zone / "energy_uj").read_text()) for zone in self._zones]
            full = [int((zone / "max_energy_range_uj").read_text()) for zone in self._zones]
        except (OSError, ValueError):  # root's alone on most machines, and nowhere on virtual ones
            return None
        if not now:
            return None
        for before, value, most in zip(self._last or now, now, full, strict=True):
            self._joules += _MICRO * (value - before if value >= before else value - before + most)
        self._last = now
        return self._joules
