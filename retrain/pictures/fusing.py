"""Learning how a text's and its picture's say are put together (`models.pictures.fusion`), on rows that trained
neither; where that decides no more of them rightly beyond chance, the text goes on deciding alone."""

import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.metrics import f1_score

from models.classifier import Classifier
from models.pictures.fusion import Doubles, LateFusion, log_evidence, softmax
from models.shares import wilson_interval
from retrain.crossfit import FOLDS, assign_folds
from retrain.evaluation.reliability import expected_calibration_error
from retrain.paired_bounds import drop_bound
from retrain.pictures.paired_rows import PairedRows

LEAST_ROWS: Final = 40  # that tune; fewer cannot say whether it helps
START: Final = (1.0, 1.0, 1.0)  # Bayes' rule, where both tell different things of a label
BOUNDS: Final = ((0.0, 5.0), (0.0, 5.0), (0.0, 2.0))
PULL: Final = 0.5  # towards START, in rows: a few rows that are all right would have certain answers
_AT_ONCE: Final = 512


@dataclass(frozen=True, slots=True)
class LearntFusion:
    """fusion: None where the text decides alone. described: what the manifest says of it."""

    fusion: LateFusion | None
    described: dict[str, Any]

    @property
    def words(self) -> str:
        """For people."""
        if self.fusion is None:
            return f"texts decide alone: {self.described['reason']}"
        figures = self.described["metrics"] or self.described["held_out"]
        where = "test rows" if self.described["metrics"] else "held-out rows"
        return (
            f"text and picture decide together: {figures['accuracy']:.4f} of {figures['rows']} {where} with both, by "
            f"the text alone {figures['text_accuracy']:.4f}, by the picture alone {figures['picture_accuracy']:.4f}"
        )


def learn_fusion(classifier: Classifier, rows: PairedRows, shares: Doubles, seed: int = 0) -> LearntFusion:
    """classifier: of texts. rows: with labels that both its head and the network know. shares: of the head's labels
    among its training rows, in its order. seed: of the folds."""
    labels = classifier.heads[rows.head].labels
    tuning, tested = rows.chosen(~rows.tests), rows.chosen(rows.tests)
    if len(tuning) < LEAST_ROWS:
        reason = f"{len(tuning)} held-out rows have both, {LEAST_ROWS} are needed to tell whether a picture helps"
        return LearntFusion(None, {"head": rows.head, "serves": False, "reason": reason})
    seen = _seen(classifier, tuning, shares)
    fused = seen.fused_by(_cross_fitted(seen, tuning, seed))
    held_out = _figures(seen, fused)
    fusion = LateFusion(rows.head, labels, rows.shown, _fitted(seen.evidence, seen.targets), shares)
    described = fusion.describe() | {"held_out": held_out}
    if not held_out["gain_low"] > 0:
        reason = (
            f"with the picture {held_out['accuracy']:.4f} of {len(tuning)} held-out rows are decided rightly, by the "
            f"text alone {held_out['text_accuracy']:.4f}, which is no gain beyond chance"
        )
        return LearntFusion(None, described | {"serves": False, "reason": reason, "metrics": None})
    metrics = None
    if len(tested):
        of_tests = _seen(classifier, tested, shares)
        metrics = _figures(of_tests, of_tests.fused_by(softmax(of_tests.evidence @ np.asarray(fusion.weights))))
    return LearntFusion(fusion, described | {"serves": True, "reason": None, "metrics": metrics})


@dataclass(frozen=True, slots=True)
class _Seen:
    """Rows as both classifiers see them; columns in the order of the text's labels. evidence: (rows, labels, 3).
    rejected: bool (rows,), texts that the head does not know, whose label stays."""

    targets: NDArray[np.int64]
    text: Doubles
    picture: Doubles
    evidence: Doubles
    rejected: NDArray[np.bool_]

    def fused_by(self, probabilities: Doubles) -> Doubles:
        """What is decided in the end: (rows, labels)."""
        return np.where(self.rejected[:, None], self.text, probabilities)


def _seen(classifier: Classifier, rows: PairedRows, shares: Doubles) -> _Seen:
    labels = classifier.heads[rows.head].labels
    text, rejected = text_probabilities(classifier, rows.head, rows.texts)
    picture = rows.pictures[:, [rows.shown.index(label) for label in labels]].astype(np.float64)
    targets = np.array([labels.index(label) for label in rows.labels], dtype=np.int64)
    return _Seen(targets, text, picture, log_evidence(text, picture, shares), rejected)


def text_probabilities(classifier: Classifier, head: str, texts: tuple[str, ...]) -> tuple[Doubles, NDArray[np.bool_]]:
    """What a head says of each text as it serves, with the fast path: calibrated probabilities (texts, labels), and
    whether it rejects the text."""
    labels = classifier.heads[head].labels
    asked = copy.copy(classifier)  # one that tells all labels' probabilities, as one with a fusion does
    asked.fusion = LateFusion(head, labels, labels, (1.0, 0.0, 0.0), np.full(len(labels), 1 / len(labels)))
    probabilities, rejected = np.empty((len(texts), len(labels))), np.zeros(len(texts), dtype=bool)
    for start in range(0, len(texts), _AT_ONCE):
        for number, answer in enumerate(asked.classify_texts(texts[start : start + _AT_ONCE]), start):
            probabilities[number], rejected[number] = answer.distribution, answer.heads[head].rejected
    return probabilities, rejected


def _cross_fitted(seen: _Seen, rows: PairedRows, seed: int) -> Doubles:
    """Probabilities of each row by weights that were fitted on the other folds."""
    folds = assign_folds(rows.texts, seen.targets, seed)
    probabilities = np.empty_like(seen.text)
    for fold in range(FOLDS):
        judged = folds == fold
        if judged.any():
            weights = _fitted(seen.evidence[~judged], seen.targets[~judged])
            probabilities[judged] = softmax(seen.evidence[judged] @ np.asarray(weights))
    return probabilities


def _fitted(evidence: Doubles, targets: NDArray[np.int64]) -> tuple[float, float, float]:
    """The weights with the lowest cross-entropy, held near START by PULL."""
    rows, start = np.arange(len(targets)), np.asarray(START)

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        probabilities = softmax(evidence @ weights)
        given = np.maximum(probabilities[rows, targets], 1e-12)
        slope = (probabilities[:, :, None] * evidence).sum(axis=1) - evidence[rows, targets]
        apart = weights - start
        return float(-np.log(given).sum() + PULL * apart @ apart), slope.sum(axis=0) + 2 * PULL * apart

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=BOUNDS)
    text, picture, prior = (float(weight) for weight in found.x)
    return text, picture, prior


def _figures(seen: _Seen, fused: Doubles) -> dict[str, Any]:
    """Of rows with both: each side alone, and both. won, lost: rows that are decided rightly only with the picture,
    only without it. gain_low: lower 95 % bound of what it adds to accuracy."""
    given = fused.argmax(axis=1)
    right, before = given == seen.targets, seen.text.argmax(axis=1) == seen.targets
    won, lost, rows = int((right & ~before).sum()), int((before & ~right).sum()), len(right)
    labels = np.unique(seen.targets)
    return {
        "rows": rows,
        "accuracy": _round(right.mean()),
        "accuracy_ci95": [_round(bound) for bound in wilson_interval(int(right.sum()), rows)],
        "macro_f1": _round(f1_score(seen.targets, given, labels=labels, average="macro", zero_division=0)),
        "ece": _round(expected_calibration_error(fused.max(axis=1), right)),
        "text_accuracy": _round(before.mean()),
        "picture_accuracy": _round((seen.picture.argmax(axis=1) == seen.targets).mean()),
        "won": won,
        "lost": lost,
        "gain_low": _round(-drop_bound(lost, won, rows)),
    }


def _round(value: float) -> float:
    return round(float(value), 4)
