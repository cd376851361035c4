"""DriftLens, window by window: the Fréchet distance of a window's embeddings from the baseline's, all labels together.

`python -m bench.drift.peers.driftlens_windows FOLDER`
"""

from typing import Any

import numpy as np
from driftlens.driftlens import DriftLens

from bench.drift.peers.order import Case, Rows, answer, this_order
from bench.drift.peers.tuning import judge_windows

WINDOW = 200
COMPONENTS = 60  # of the window's embeddings: fewer than its texts, or their covariance says nothing


def levels(lens: Any, case: Case, rows: Rows) -> list[float]:
    """Of each whole window."""
    whole, one = len(rows) // WINDOW * WINDOW, np.zeros(WINDOW, int)
    found = []
    for start in range(0, whole, WINDOW):
        window = case.embeddings[rows[start : start + WINDOW]].astype(np.float64)
        found.append(float(np.real(lens.compute_window_distribution_distances(window, one)["per-batch"])))
    return found


def main() -> None:
    """Tune, then judge."""
    order = this_order()
    tuning, streams = [], []
    for case in order.cases:
        lens = DriftLens()
        baseline = case.reference_embeddings.astype(np.float64)
        # one label for all: of its distances only that of the whole window is used
        lens.estimate_baseline(baseline, np.zeros(len(baseline), int), [0], COMPONENTS, 2)
        tuning.append(levels(lens, case, case.tuning))
        streams.append([levels(lens, case, rows) for rows in case.streams])
    answer(judge_windows(tuning, streams, WINDOW, order.every))


if __name__ == "__main__":
    main()
