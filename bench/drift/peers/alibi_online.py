"""alibi-detect's online MMD and LSDD on embeddings.

`python -m bench.drift.peers.alibi_online FOLDER mmd|lsdd`

Its own threshold, for an expected run of `every`, is not what a stream gives; so the level at each event is its
statistic over that threshold, and the height that is passed once in `every` events is read off the stationary stream.
"""

import os
import sys
from typing import Any

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from alibi_detect.cd import LSDDDriftOnline, MMDDriftOnline
from numpy.typing import NDArray

from bench.drift.peers.order import Case, Rows, answer, this_order
from bench.drift.peers.tuning import level_alarms

WINDOW = 50
REFERENCE = 500
BOOTSTRAPS = 2_500


def main() -> None:
    """Tune, then judge."""
    order, kind = this_order(), sys.argv[2]
    random = np.random.default_rng(order.seed)
    tuning, streams = [], []
    for case in order.cases:
        reference = case.embeddings[random.choice(case.tuning, REFERENCE, replace=False)]
        make = MMDDriftOnline if kind == "mmd" else LSDDDriftOnline
        detector = make(
            reference,
            ert=float(order.every),
            window_size=WINDOW,
            backend="tensorflow",
            n_bootstraps=BOOTSTRAPS,
            verbose=False,
        )
        tuning.append(_levels(detector, case, case.tuning))
        streams.append([_levels(detector, case, rows) for rows in case.streams])
    events = sum(len(levels) for levels in tuning)
    candidates = np.unique(np.quantile(np.concatenate(tuning), 1 - np.geomspace(1e-5, 0.05, 200)))
    counts = [sum(len(level_alarms(levels, height, WINDOW)) for levels in tuning) for height in candidates]
    best = int(np.argmin(np.abs(np.array(counts) - events / order.every)))
    height = float(candidates[best])
    answer(
        {
            "setting": {"window": WINDOW, "of_its_own_threshold": height},
            "tuned_alarms": counts[best],
            "tuned_events": events,
            "alarms": [[level_alarms(levels, height, WINDOW) for levels in case] for case in streams],
        }
    )


def _levels(detector: Any, case: Case, rows: Rows) -> NDArray[np.float64]:
    detector.reset_state()
    levels = np.zeros(len(rows))
    for event, row in enumerate(rows.tolist()):
        said = detector.predict(case.embeddings[row], return_test_stat=True)["data"]
        if event >= WINDOW:
            levels[event] = said["test_stat"] / max(said["threshold"], 1e-12)
    return levels


if __name__ == "__main__":
    main()
