"""Evidently's drift of embeddings, window by window: its default, a classifier that tells the window from the reference
(ROC AUC).

`python -m bench.drift.peers.evidently_windows FOLDER`
"""

import numpy as np
import pandas as pd
from evidently.legacy.metrics.data_drift.embedding_drift_methods import model

from bench.drift.peers.order import Case, Floats, Rows, answer, this_order
from bench.drift.peers.tuning import judge_windows

WINDOW = 100
REFERENCE = 500  # texts: what the classifier is fitted on with each window


def levels(case: Case, reference: Floats, rows: Rows) -> list[float]:
    """Of each whole window."""
    method, names = model(), [str(number) for number in range(reference.shape[1])]
    whole = len(rows) // WINDOW * WINDOW
    found = []
    for start in range(0, whole, WINDOW):
        current = case.embeddings[rows[start : start + WINDOW]]
        score, _, _ = method(pd.DataFrame(current, columns=names), pd.DataFrame(reference, columns=names))
        found.append(float(score))
    return found


def main() -> None:
    """Tune, then judge."""
    order = this_order()
    random = np.random.default_rng(order.seed)
    tuning, streams = [], []
    for case in order.cases:
        # of texts that the release never saw, as the windows are: training texts would be told from any window
        reference = case.embeddings[random.choice(case.tuning, REFERENCE, replace=False)]
        tuning.append(levels(case, reference, case.tuning))
        streams.append([levels(case, reference, rows) for rows in case.streams])
    answer(judge_windows(tuning, streams, WINDOW, order.every))


if __name__ == "__main__":
    main()
