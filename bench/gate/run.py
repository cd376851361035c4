"""headrace bench gate: every row, so many runs of each; no model, no Kafka."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.gate.rows import KINDS, Kind, run
from models.shares import wilson_interval
from retrain.progress import Progress, no_progress


def report(runs: int, seed: int, kinds: Sequence[str] = (), progress: Progress = no_progress) -> dict[str, Any]:
    """kinds: names of rows; all without. Each run has a stream of its own, so that more runs begin with the same."""
    names = [name for name in KINDS if not kinds or any(part in name for part in kinds)]
    return {"runs": runs, "seed": seed, "rows": {name: row(name, KINDS[name], runs, seed, progress) for name in names}}


def row(name: str, kind: Kind, runs: int, seed: int, progress: Progress = no_progress) -> dict[str, Any]:
    """Of one kind: how often one was released, with Wilson's 95 % interval, at which look, and what refused the
    last."""
    looks: Counter[int] = Counter()
    refused_by: Counter[str] = Counter()
    more_labels = 0
    number = list(KINDS).index(name)
    for count in range(runs):
        look, verdict = run(kind, np.random.default_rng([seed, number, count]))
        looks[look] += 1
        if not look:
            more_labels += verdict.more_texts is not None
            refused_by.update({_kind_of(check.name) for check in verdict.checks if check.outcome == "refused"})
        progress(name, count + 1, runs)
    released = runs - looks[0]
    low, high = wilson_interval(released, runs)
    return {
        "looks": kind.looks,
        "released": released,
        "runs": runs,
        "share": round(released / runs, 4),
        "ci95": [round(low, 4), round(high, 4)],
        "at_most": kind.at_most,
        "at_least": kind.at_least,
        "released_at_look": {str(look): looks[look] for look in sorted(looks) if look},
        "refused_last_with_more_labels": more_labels,
        "refused_last_by": dict(refused_by.most_common()),
        "holds": _holds(kind, released / runs),
    }


def _holds(kind: Kind, share: float) -> bool | None:
    if kind.at_most is not None:
        return share <= kind.at_most
    return None if kind.at_least is None else share >= kind.at_least


def _kind_of(check: str) -> str:
    """Without the name of a label or group, of which there are many."""
    if "=" not in check:
        return check
    head, _, group = check.partition("=")[0].partition(" on ")
    return f"a {group} of {head}" if group else f"a label of {head}"
