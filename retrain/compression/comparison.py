"""A smaller release beside the one that it was made from, on the same test texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.decision import Classification
from models.shares import wilson_interval
from retrain.data import Row
from retrain.gate.speed import measure_speeds
from retrain.paired_bounds import drop_bound
from retrain.progress import Progress, no_progress

_SIDE: Final = 0.975  # each side of a two-sided interval of 95 %
_BATCH_TEXTS: Final = 256


class Classifies(Protocol):
    """What is compared of a `models.classifier.Classifier`."""

    def classify_texts(self, texts: list[str], *, fast: bool = True) -> Sequence[Classification]:
        """All steps at once. fast: False leaves the fast path out."""


@dataclass(frozen=True, slots=True)
class Side:
    """One release. accuracy: of the primary head on texts in scope, every text by the encoder. texts_per_second: of one
    core's own time. encoder_bytes: of the file that serves."""

    accuracy: float
    accuracy_ci95: tuple[float, float]
    texts_per_second: float
    encoder_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {
            "accuracy": round(self.accuracy, 4),
            "accuracy_ci95": [round(bound, 4) for bound in self.accuracy_ci95],
            "texts_per_second": round(self.texts_per_second, 1),
            "encoder_bytes": self.encoder_bytes,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """change: of accuracy, in [-1, 1], with its paired interval of 95 %. texts: compared."""

    before: Side
    after: Side
    change: float
    change_ci95: tuple[float, float]
    texts: int

    def holds(self, limit_points: float) -> bool:
        """Whether no more than so many points of accuracy are lost."""
        return bool(-100 * self.change <= limit_points + 1e-9)

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "texts": self.texts,
            "accuracy_change": round(self.change, 4),
            "accuracy_change_ci95": [round(bound, 4) for bound in self.change_ci95],
            "speed_ratio": round(self.after.texts_per_second / self.before.texts_per_second, 2),
            "size_ratio": round(self.after.encoder_bytes / max(1, self.before.encoder_bytes), 3),
        }


def compare_sizes(
    classifiers: tuple[Classifies, Classifies],
    encoder_bytes: tuple[int, int],
    rows: Sequence[Row],
    head: str,
    *,
    oos_label: str | None = None,
    progress: Progress = no_progress,
) -> Comparison:
    """The larger release and the smaller one on the same texts, without the fast path; speeds in turns in one run.

    rows: with a label of the head, some of them in scope.
    """
    scored = [row for row in rows if head in row.labels and row.labels[head] != oos_label]
    texts, wanted = [row.text for row in scored], np.array([row.labels[head] for row in scored], dtype=object)
    right: list[NDArray[np.bool_]] = []
    for number, classifier in enumerate(classifiers):
        decided: list[str] = []
        for start in range(0, len(texts), _BATCH_TEXTS):
            answers = classifier.classify_texts(texts[start : start + _BATCH_TEXTS], fast=False)
            decided += [answer.heads[head].label for answer in answers]
            progress("comparing both", number * len(texts) + len(decided), 2 * len(texts))
        right.append(np.array(decided, dtype=object) == wanted)
    speeds = measure_speeds(classifiers, texts)
    sides = [
        Side(float(one.mean()), wilson_interval(int(one.sum()), len(one)), speed.texts_per_second, size)
        for one, speed, size in zip(right, speeds, encoder_bytes, strict=True)
    ]
    lost, won = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    bounds = -drop_bound(lost, won, len(texts), _SIDE), drop_bound(won, lost, len(texts), _SIDE)
    return Comparison(sides[0], sides[1], (won - lost) / len(texts), bounds, len(texts))
