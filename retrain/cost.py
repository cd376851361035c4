"""What a training took: time, processor time, energy. Pure but for the default clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

WATTS_PER_CORE: Final = 10.0  # of a busy core, where no counter says; memory, cooling and the rest of the machine aside


@dataclass(frozen=True, slots=True)
class Reading:
    """seconds: of a monotonic clock. processor_seconds: of all threads of this process. joules: of the machine's energy
    counter; None where it has none that may be read."""

    seconds: float
    processor_seconds: float
    joules: float | None = None


Meter = Callable[[], Reading]


def processor_clock() -> Reading:
    """The meter of a machine that counts no energy."""
    return Reading(time.monotonic(), time.process_time())


def cost_between(before: Reading, after: Reading) -> dict[str, Any]:
    """seconds, processor_seconds, energy_wh (watt-hours), energy_from: `counter` (of the whole machine in that time) or
    `estimate` (`WATTS_PER_CORE` for each processor second: runtime times the power of the cores in use, after
    Lannelongue, Grealey and Inouye 2021, "Green algorithms: quantifying the carbon footprint of computation")."""
    processor_seconds = after.processor_seconds - before.processor_seconds
    if before.joules is None or after.joules is None:
        joules, source = processor_seconds * WATTS_PER_CORE, "estimate"
    else:
        joules, source = after.joules - before.joules, "counter"
    return {
        "seconds": round(after.seconds - before.seconds, 1),
        "processor_seconds": round(processor_seconds, 1),
        "energy_wh": float(f"{joules / 3600:.3g}"),
        "energy_from": source,
    }
