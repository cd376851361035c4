"""Labelled pictures in, the picture part of a release out: trained, proved to serve as it was trained, calibrated, and
scored once on pictures that took no part."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score, precision_recall_fscore_support

from models.errors import ModelError
from models.heads import Floats, label_probabilities
from models.pictures.classifier import PictureClassifier
from models.shares import wilson_interval
from retrain.cost import Meter, cost_between, processor_clock
from retrain.evaluation.reliability import expected_calibration_error
from retrain.pictures.dataset import PictureSet
from retrain.pictures.fitting import PicturePlan, fit_network
from retrain.progress import Progress, no_progress

SERVES_AS_TRAINED: Final = 1e-4  # of a logit's size, between torch and the graph that serves


@dataclass(frozen=True, slots=True)
class TrainedPictures:
    """classifier: what serves. described: what the manifest says of it. known: keys of the pictures that trained or
    tuned it."""

    classifier: PictureClassifier
    described: dict[str, Any]
    known: frozenset[str] = frozenset()


def train_pictures(
    pictures: PictureSet,
    *,
    seed: int = 0,
    plan: PicturePlan | None = None,
    progress: Progress = no_progress,
    meter: Meter = processor_clock,
) -> TrainedPictures:
    """Raises ConfigError where torch is missing, ModelError where the graph does not serve as torch trained."""
    started, plan = meter(), plan or PicturePlan()
    fitted = fit_network(pictures, seed=seed, plan=plan, progress=progress)
    pixels, targets = pictures.part("valid")
    classifier = PictureClassifier(fitted.model, pictures.labels, pictures.size)
    logits, _ = classifier.logits(pixels)
    apart = float(np.abs(logits - fitted.valid_logits).max() / max(1.0, float(np.abs(fitted.valid_logits).max())))
    if not apart <= SERVES_AS_TRAINED:
        raise ModelError(f"the picture network serves logits that are {apart:.2g} off from torch's; report this")
    temperature = careful_temperature(logits, targets)
    classifier = PictureClassifier(fitted.model, pictures.labels, pictures.size, temperature)
    metrics = score_pictures(classifier, *pictures.part("test"))
    training = {
        "fingerprint": pictures.fingerprint,
        **{f"{part}_pictures": count for part, count in pictures.counts().items()},
        "rejected_pictures": len(pictures.rejected),
        "dropped_duplicates": pictures.dropped_duplicates,
        "seed": seed,
        "choices": {
            "epochs": fitted.epochs,
            "best_epoch": fitted.best_epoch,
            "width": plan.width,
            "mirror": plan.mirror,
        },
        "cost": cost_between(started, meter()),
    }
    known = frozenset(key for key, part in zip(pictures.keys, pictures.parts, strict=True) if part != "test")
    return TrainedPictures(classifier, classifier.describe() | {"metrics": metrics, "training": training}, known)


def careful_temperature(logits: Floats, targets: NDArray[np.int64]) -> float:
    """The temperature, in [0.05, 20], with the lowest cross-entropy, where one picture more might have been wrong.

    A few tuning pictures are often all decided rightly, and then the lowest temperature is always the best: every
    answer would be certain. So each label has the probability that Laplace's rule gives it after as many right ones,
    (n + 1) / (n + 2). Source: Platt (1999), "Probabilistic outputs for support vector machines", section 2.2.
    """
    count, labels = logits.shape
    missed = 1 / (count + 2)
    wanted = np.full((count, labels), missed / max(labels - 1, 1))
    wanted[np.arange(count), targets] = 1 - missed

    def loss(log_temperature: float) -> float:
        probabilities = label_probabilities(logits, float(np.exp(log_temperature)))
        return float(-(wanted * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def score_pictures(
    classifier: PictureClassifier, pixels: NDArray[np.uint8], targets: NDArray[np.int64]
) -> dict[str, Any]:
    """Figures as people read them: pictures, accuracy, accuracy_ci95 (Wilson), macro_f1, ece, per_label.

    pixels: uint8 (pictures, size, size, 3). targets: (pictures,), numbers of the classifier's labels.
    """
    probabilities = label_probabilities(classifier.logits(pixels)[0], classifier.temperature)
    given = probabilities.argmax(axis=1)
    right = given == targets
    labels = list(range(len(classifier.labels)))
    there = np.unique(targets)
    per_label = precision_recall_fscore_support(targets, given, labels=labels, zero_division=0)
    return {
        "pictures": len(targets),
        "accuracy": _round(right.mean()),
        "accuracy_ci95": [_round(bound) for bound in wilson_interval(int(right.sum()), len(right))],
        "macro_f1": _round(f1_score(targets, given, labels=there, average="macro", zero_division=0)),
        "ece": _round(expected_calibration_error(probabilities.max(axis=1).astype(np.float64), right)),
        "per_label": {
            name: {"precision": _round(p), "recall": _round(r), "f1": _round(f), "pictures": int(n)}
            for name, p, r, f, n in zip(classifier.labels, *per_label, strict=True)
        },
    }


def _round(value: float) -> float:
    return round(float(value), 4)
