"""All that is told of one head: labels, confusions, reliability, groups of texts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from retrain.data import Row
from retrain.evaluation.fairness import Fairness
from retrain.evaluation.labels import ConfusedPair, ConfusionMap, LabelTable, confused_pairs, confusion_map, rounded
from retrain.evaluation.reliability import Reliability
from retrain.evaluation.robustness import Robustness
from retrain.evaluation.scoring import HeadMetrics
from retrain.evaluation.slices import SliceFigures, described_slices

JSON_PAIRS: Final = 100


@dataclass(frozen=True, slots=True)
class HeadReport:
    """metrics: what was scored. The rest is of its texts in scope, labels before rejection. confusions: None where
    nothing is confused. fairness, robustness: None where not asked for."""

    metrics: HeadMetrics
    labels: LabelTable
    pairs: tuple[ConfusedPair, ...]
    confusions: ConfusionMap | None
    reliability: Reliability
    slices: tuple[SliceFigures, ...]
    fairness: Sequence[Fairness] | None = None
    robustness: Robustness | None = None

    @classmethod
    def of(
        cls,
        metrics: HeadMetrics,
        rows: Sequence[Row],
        seed: int = 0,
        *,
        fairness: Sequence[Fairness] | None = None,
        robustness: Robustness | None = None,
    ) -> "HeadReport":
        """rows: those that `evaluate` was given. seed: of what is resampled."""
        scored = [rows[number] for number in metrics.rows.tolist()]
        wanted = np.array([row.labels[metrics.head] for row in scored], dtype=object)
        several = metrics.micro_f1 is not None
        # sets are hardly ever taken for one another: what is missed or added is told by the labels
        pairs = () if several else confused_pairs(wanted, metrics.decided)
        return cls(
            metrics,
            LabelTable.of(wanted, metrics.decided, seed, several=several),
            pairs,
            confusion_map(wanted, metrics.decided, pairs),
            Reliability.of(metrics.probabilities, metrics.right, seed),
            described_slices(scored, metrics.right, metrics.fast),
            fairness,
            robustness,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people: those of the metrics, with intervals and what else is told."""
        per_label = {one.label: {k: v for k, v in one.as_json().items() if k != "label"} for one in self.labels.labels}
        described = self.metrics.as_json() | {
            "macro_f1_ci95": rounded(self.labels.macro_f1_ci95),
            "per_label": per_label,
            "confused": [pair.as_json() for pair in self.pairs[:JSON_PAIRS]],
            "reliability": self.reliability.as_json(),
            "slices": [one.as_json() for one in self.slices],
        }
        if self.fairness is not None:
            described["fairness"] = [one.as_json() for one in self.fairness]
        if self.robustness is not None:
            described["robustness"] = self.robustness.as_json()
        return described
