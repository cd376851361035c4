"""From what a run left behind to its figures. Values in, values out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.loop.watching import Decided, Training


@dataclass(frozen=True, slots=True)
class Judged:
    """How a release decides texts that no release was trained on. mix: with the new domain's share. rejected_known:
    share of the known texts."""

    mix: float
    known: float
    new: float
    rejected_known: float


def serving(decided: Sequence[Decided]) -> list[tuple[int, str]]:
    """(event, version) where another version begins to decide, by the stream's order."""
    first: dict[str, int] = {}
    for one in decided:
        first[one.version] = min(first.get(one.version, one.number), one.number)
    return sorted((number, version) for version, number in first.items())


def figures(
    events: int,
    decided: Sequence[Decided],
    trainings: Sequence[Training],
    judged: Mapping[str, Judged],
    labels: Mapping[str, int],
    champion: str | None = None,
) -> dict[str, Any]:
    """Of one run. events: that were sent. judged: by version. labels: given, by how they were chosen. champion: when
    all was over; one that came after the last event decided none of them, and is what the loop came to all the same."""
    turns, numbers = serving(decided), Counter(one.number for one in decided)
    if champion is not None and champion not in {version for _, version in turns}:
        turns.append((events, champion))
    last = judged[turns[-1][1]]
    first = judged[turns[0][1]]
    return {
        "labels": sum(labels.values()),
        "labels_chosen": dict(labels),
        "accuracy": [[number, round(judged[version].mix, 4)] for number, version in turns],
        "accuracy_start": round(first.mix, 4),
        "accuracy_end": round(last.mix, 4),
        "known_lost": round(first.known - last.known, 4),
        "new_end": round(last.new, 4),
        "rejected_known_more": round(last.rejected_known - first.rejected_known, 4),
        "releases": len(turns) - 1,
        "trainings": [[one.kind, one.reason] for one in trainings],
        "asked_at": [_events_before(decided, one.began_ms) for one in trainings],
        "ended_at": [None if one.ended_ms is None else _events_before(decided, one.ended_ms) for one in trainings],
        "lost": events - len(numbers),
        "duplicated": numbers.total() - len(numbers),
    } | _waiting(decided, trainings)


def _events_before(decided: Sequence[Decided], at_ms: int) -> int:
    return len({one.number for one in decided if one.event_ms < at_ms})


def _waiting(decided: Sequence[Decided], trainings: Sequence[Training]) -> dict[str, Any]:
    """p99 from event to decision, milliseconds, before the first training, and while one goes on. What was written
    before the first decision waited for the roles to start, and is left out."""
    started = min((one.event_ms + one.waited_ms for one in decided), default=0)
    decided = [one for one in decided if one.event_ms >= started]
    spans = [(one.began_ms, one.ended_ms) for one in trainings if one.ended_ms is not None]
    if not spans:
        return {"p99_ms": _p99([one.waited_ms for one in decided]), "p99_ms_training": None, "p99_ratio": None}
    before = _p99([one.waited_ms for one in decided if one.event_ms < spans[0][0]])
    beside = _p99([one.waited_ms for one in decided if any(start <= one.event_ms < end for start, end in spans)])
    ratio = None if not before or beside is None else round(beside / before, 2)
    return {"p99_ms": before, "p99_ms_training": beside, "p99_ratio": ratio}


def _p99(waited_ms: Sequence[int]) -> float | None:
    """None where there are too few."""
    return round(float(np.percentile(waited_ms, 99)), 1) if len(waited_ms) >= 100 else None
