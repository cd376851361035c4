"""What came of runs, in numbers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

YOUNG_EVENTS = 3_000  # of a monitor's life, shown apart: it has not settled yet


def delay_figures(delays: Sequence[int | None]) -> dict[str, Any]:
    """Median and 90th percentile of delays in events, and how many changes were missed; None: missed, which counts as
    later than all others."""
    known = np.array([np.inf if delay is None else delay for delay in delays], float)
    return {
        "runs": len(delays),
        "median": _whole(np.percentile(known, 50, method="inverted_cdf")) if len(known) else None,
        "p90": _whole(np.percentile(known, 90, method="inverted_cdf")) if len(known) else None,
        "missed": sum(delay is None for delay in delays),
    }


@dataclass(frozen=True, slots=True)
class Watched:
    """Alarms in so many events, of one pool. young_*: within the first events of a monitor's life."""

    pool: str
    alarms: int
    events: int
    young_alarms: int = 0
    young_events: int = 0


def count_watched(pool: str, spans: Sequence[tuple[int, int]], alarms: Sequence[int]) -> Watched:
    """spans: [first, end) that one monitor each has watched. alarms: the events at which they fired."""
    young = [(first, min(first + YOUNG_EVENTS, end)) for first, end in spans]
    old = [(begin, end) for (_, begin), (_, end) in zip(young, spans, strict=True)]

    def fired(parts: Sequence[tuple[int, int]]) -> int:
        return sum(first <= alarm < end for alarm in alarms for first, end in parts)

    def seen(parts: Sequence[tuple[int, int]]) -> int:
        return sum(end - first for first, end in parts)

    return Watched(pool, fired(old), seen(old), fired(young), seen(young))


def rate_figures(pools: Sequence[Watched], stated_every: int, *, draws: int = 2_000, seed: int = 0) -> dict[str, Any]:
    """Realised over stated rate of false alarms, settled and young apart, with the 95 % interval of a bootstrap over
    pools, and the pool whose interval (Garwood's, of a Poisson count) begins highest."""
    worst = max(pools, key=lambda pool: (_garwood(pool.alarms)[0] / max(pool.events, 1), pool.alarms), default=None)
    figures: dict[str, Any] = {"stated_every": stated_every, "pools": len(pools)}
    for name, counts in {
        "settled": [(pool.alarms, pool.events) for pool in pools],
        "young": [(pool.young_alarms, pool.young_events) for pool in pools],
    }.items():
        figures[name] = _ratio(np.array(counts, float).reshape(-1, 2), stated_every, draws, seed)
    if worst is not None:
        low, high = (bound * stated_every / max(worst.events, 1) for bound in _garwood(worst.alarms))
        figures["worst_pool"] = {
            "pool": worst.pool,
            "alarms": worst.alarms,
            "events": worst.events,
            "ratio_low": round(low, 3),
            "ratio_high": round(high, 3),
        }
    return figures


def _ratio(counts: Any, stated_every: int, draws: int, seed: int) -> dict[str, Any]:
    alarms, events = counts.sum(axis=0)
    if not events:
        return {"alarms": 0, "events": 0}
    random = np.random.default_rng(seed)
    drawn = counts[random.integers(len(counts), size=(draws, len(counts)))].sum(axis=1)
    ratios = drawn[:, 0] / np.maximum(drawn[:, 1], 1) * stated_every
    # A bootstrap of counts that are all zero knows no upper end; Garwood's bound of the sum does.
    low, high = (float(np.percentile(ratios, share)) for share in (2.5, 97.5))
    garwood = [bound * stated_every / events for bound in _garwood(int(alarms))]
    return {
        "alarms": int(alarms),
        "events": int(events),
        "ratio": round(float(alarms / events * stated_every), 3),
        "ratio_ci95": [round(low, 3), round(high if alarms else garwood[1], 3)],
        "ratio_ci95_poisson": [round(bound, 3) for bound in garwood],
    }


def _garwood(count: int) -> tuple[float, float]:
    """95 % interval of a Poisson mean. Source: Garwood (1936), Biometrika 28."""
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2


def by_name(values: Mapping[str, Sequence[int | None]]) -> dict[str, Any]:
    """Delay figures of each group, and of all together."""
    everything = [delay for delays in values.values() for delay in delays]
    return delay_figures(everything) | {"by": {name: delay_figures(delays) for name, delays in values.items()}}


def median(values: Sequence[float]) -> float | None:
    """None of nothing."""
    return round(float(np.median(values)), 4) if len(values) else None


def _whole(value: Any) -> int | None:
    return int(value) if np.isfinite(value) else None
