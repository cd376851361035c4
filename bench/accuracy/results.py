"""What a campaign found: a line for each training, a line of the table for each set and strategy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Any

from bench.accuracy.sets import PublicSet


@dataclass(frozen=True, slots=True)
class Run:
    """One training, scored once. accuracy: before rejection. in_scope_accuracy, oos_recall: at the release's threshold,
    a rejected text counted as wrong; None without out-of-scope texts. ece: expected calibration error, None of the
    floor. texts_a_second: the whole release on the test texts, neither fast path nor cache."""

    set: str
    strategy: str
    draw: int
    commit: str
    accuracy: float
    macro_f1: float | None = None
    serves: str | None = None
    in_scope_accuracy: float | None = None
    oos_recall: float | None = None
    ece: float | None = None
    seconds: float | None = None
    model_bytes: int | None = None
    texts_a_second: float | None = None

    def as_json(self) -> dict[str, Any]:
        """What `run_from` reads."""
        return asdict(self)


def run_from(value: Mapping[str, Any]) -> Run:
    """A run as it was written down."""
    return Run(**value)


def table(runs: Sequence[Run], sets: Mapping[str, PublicSet]) -> list[dict[str, Any]]:
    """A line for each set and strategy that was run, in the order of the runs: mean and spread (standard deviation)
    over its draws, what is asked, and whether that is met; None where nothing is asked."""
    keys = dict.fromkeys((run.set, run.strategy) for run in runs)
    return [
        _line(sets[name], strategy, [run for run in runs if (run.set, run.strategy) == (name, strategy)])
        for name, strategy in keys
    ]


def _line(chosen: PublicSet, strategy: str, runs: Sequence[Run]) -> dict[str, Any]:
    scores = [run.accuracy if run.in_scope_accuracy is None else run.in_scope_accuracy for run in runs]
    recalls = [run.oos_recall for run in runs if run.oos_recall is not None]
    asked = {"floor": None}.get(strategy, chosen.goals["quick" if strategy == "quick" else "best"])
    oos_asked = chosen.oos_goals.get("quick" if strategy == "quick" else "best") if recalls else None
    met = None if asked is None else mean(scores) >= asked
    if met and oos_asked is not None:
        met = mean(recalls) >= oos_asked
    return {
        "set": chosen.name,
        "strategy": strategy,
        "draws": len(runs),
        "accuracy": round(mean(scores), 4),
        "spread": round(stdev(scores), 4) if len(scores) > 1 else None,
        "asked": asked,
        "oos_recall": round(mean(recalls), 4) if recalls else None,
        "oos_asked": oos_asked,
        "met": met,
        "ece": _mean_of([run.ece for run in runs]),
        "seconds": _mean_of([run.seconds for run in runs]),
        "model_bytes": _mean_of([run.model_bytes for run in runs]),
        "texts_a_second": _mean_of([run.texts_a_second for run in runs]),
        "published": chosen.published,
    }


def _mean_of(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(mean(there), 4) if there else None
