"""DriftLens as its authors set it up: one verdict for each window, by the threshold of windows of unseen texts.

`python -m bench.drift.peers.driftlens_setup FOLDER`. Of a case, `tuning` are the rows of which threshold windows are
drawn and `streams` are the windows. Labels play no part: the whole window is judged. Threshold: the highest distance
below the 99th percentile of those of SAMPLES windows (authors: 10,000).
"""

import contextlib
import sys

import numpy as np
from driftlens.driftlens import DriftLens

from bench.drift.peers.order import Floats, Rows, answer, this_order

COMPONENTS = 150
SAMPLES = 500


def main() -> None:
    """Judge each case's windows."""
    order, judged, thresholds = this_order(), [], []
    for case in order.cases:
        lens, random = DriftLens(), np.random.default_rng(order.seed)
        baseline = case.reference_embeddings.astype(np.float64)
        # one label for all: of its distances only that of the whole window is used
        lens.estimate_baseline(baseline, np.zeros(len(baseline), int), [0], COMPONENTS, 2)

        def level(rows: Rows, lens: DriftLens = lens, embeddings: Floats = case.embeddings) -> float:
            window = embeddings[rows].astype(np.float64)
            distances = lens.compute_window_distribution_distances(window, np.zeros(len(rows), int))
            return float(np.real(distances["per-batch"]))

        size = len(case.streams[0])
        with contextlib.redirect_stdout(sys.stderr):
            drawn = np.array([level(random.choice(case.tuning, size)) for _ in range(SAMPLES)])
            threshold = float(drawn[drawn < np.quantile(drawn, 0.99)].max())
            judged.append([[len(rows) - 1] if level(rows) > threshold else [] for rows in case.streams])
        thresholds.append(threshold)
    answer({"setting": thresholds, "tuned_alarms": 0, "tuned_events": 0, "alarms": judged})


if __name__ == "__main__":
    main()
