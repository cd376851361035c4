"""Heads: small linear classifiers over [embedding ; weighted n-grams], one for each thing to decide about a text.

A head gives calibrated probabilities and, where it was trained with one, an out-of-scope score with its threshold.
Rows never meet: the dense product runs row by row (BLAS picks other kernels for other row counts, and the last bits
change), the sparse one does so by itself. So a text's logits have the same bits alone and in any batch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save
from scipy import sparse

from models.decision import HeadDecision, LabelAnswer
from models.errors import ReleaseCorrupt
from models.several_labels import SeveralLabels, chances

Floats = NDArray[np.float32]
Targets = (
    NDArray[np.int64] | NDArray[np.bool_]
)  # (texts,) number of each text's label; or (texts, labels), which it has


def multiply_rows(rows: Floats, matrix: Floats) -> Floats:
    """rows (n, d) times matrix (d, m), each row by itself, so that its result has the same bits in any batch."""
    product: Floats = (rows[:, None, :] @ matrix)[:, 0, :]
    return product


def label_probabilities(logits: Floats, temperature: float = 1.0) -> Floats:
    """Turn logits into probabilities, row by row.

    logits: shape (texts, labels), finite. temperature: above 0, divides the logits (calibration). Each row sums to 1.
    Source: Guo et al., On Calibration of Modern Neural Networks (2017), temperature scaling.
    """
    scaled = logits / np.float32(temperature)
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    probabilities: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def unit_centroids(embeddings: Floats, targets: Targets, labels: int) -> Floats:
    """Each label's mean embedding scaled to unit length, shape (labels, dimensions); zero for a label without texts. A
    text of several labels counts for each."""
    sums = np.zeros((labels, embeddings.shape[1]), dtype=np.float64)
    if targets.ndim == 2:
        texts, columns = np.nonzero(targets)
        np.add.at(sums, columns, embeddings[texts])
    else:
        np.add.at(sums, targets, embeddings)
    lengths = np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    return np.asarray(sums / lengths, dtype=np.float32)


def centroid_distances(embeddings: Floats, centroids: Floats) -> Floats:
    """Cosine distance of each embedding to the nearest label centroid, in [0, 2], shape (texts,)."""
    distances: Floats = np.float32(1.0) - multiply_rows(embeddings, np.ascontiguousarray(centroids.T)).max(axis=1)
    return distances


@dataclass(frozen=True, slots=True)
class OutOfScope:
    """How far a text is from what the head knows: low energy of the logits, distance from every label, and doubt
    between them.

    centroids: (labels, dimensions), unit length. The means and spreads are those of each part on held-out in-scope
    training texts, so that a score of 0 is an ordinary text. threshold: a higher score is rejected. temperature:
    divides the logits, as in the calibration. doubt_mean, doubt_spread: None leaves doubt out, as in releases from
    before there was any, which score as they did. direction: (dimensions,), along which known out-of-scope texts lie
    farther; None where none were known, then strangeness_mean and strangeness_spread are None as well.
    least_probability: a text whose label has less is rejected too, whatever its score.
    Source: Liu et al., Energy-based Out-of-distribution Detection (2020); doubt: Hendrycks and Gimpel, A Baseline for
    Detecting Misclassified and Out-of-Distribution Examples (2017).
    """

    centroids: Floats
    energy_mean: float
    energy_spread: float
    distance_mean: float
    distance_spread: float
    threshold: float
    temperature: float = 1.0
    doubt_mean: float | None = None
    doubt_spread: float | None = None
    strangeness_mean: float | None = None
    strangeness_spread: float | None = None
    least_probability: float = 0.0
    direction: Floats | None = None

    @classmethod
    def fitted(
        cls,
        centroids: Floats,
        logits: Floats,
        distances: Floats,
        temperature: float,
        direction: Floats | None = None,
        strangeness: Floats | None = None,
    ) -> Self:
        """The scale by held-out texts in scope; nothing is rejected yet. logits: (texts, labels). distances: (texts,),
        of `centroid_distances`. strangeness: (texts,), how far each lies along the direction."""
        scaled = logits / np.float32(temperature)
        energy, doubt = logit_energy(scaled), logit_doubt(scaled)
        return cls(
            centroids,
            energy_mean=float(energy.mean()),
            energy_spread=_spread(energy),
            distance_mean=float(distances.mean()),
            distance_spread=_spread(distances),
            threshold=float("inf"),
            temperature=temperature,
            doubt_mean=float(doubt.mean()),
            doubt_spread=_spread(doubt),
            strangeness_mean=None if strangeness is None else float(strangeness.mean()),
            strangeness_spread=None if strangeness is None else _spread(strangeness),
            direction=direction,
        )

    def scores(self, embeddings: Floats, logits: Floats) -> Floats:
        """Shape (texts,), higher is farther."""
        strangeness = None
        if self.direction is not None:
            strangeness = multiply_rows(embeddings, np.ascontiguousarray(self.direction[:, None]))[:, 0]
        return self.combined(logits, centroid_distances(embeddings, self.centroids), strangeness)

    def combined(self, logits: Floats, distances: Floats, strangeness: Floats | None = None) -> Floats:
        """The score: the mean of its parts, each standardised. logits: (texts, labels). distances, strangeness:
        (texts,); the latter where there is a direction."""
        scaled = logits / np.float32(self.temperature)
        parts = [
            _standardised(logit_energy(scaled), self.energy_mean, self.energy_spread),
            _standardised(distances, self.distance_mean, self.distance_spread),
        ]
        if self.doubt_mean is not None and self.doubt_spread is not None:
            parts.append(_standardised(logit_doubt(scaled), self.doubt_mean, self.doubt_spread))
        if strangeness is not None and self.strangeness_mean is not None and self.strangeness_spread is not None:
            parts.append(_standardised(strangeness, self.strangeness_mean, self.strangeness_spread))
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return np.asarray(total / len(parts), dtype=np.float32)

    def rejects(self, scores: Floats, probabilities: Floats) -> NDArray[np.bool_]:
        """Whether each text is rejected. probabilities: (texts,), calibrated, of the label decided."""
        rejected: NDArray[np.bool_] = scores.astype(np.float64) > self.threshold
        return rejected | (probabilities.astype(np.float64) < self.least_probability)

    def describe(self) -> dict[str, float]:
        """The numbers, without the arrays."""
        arrays = ("centroids", "direction")
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in arrays}
        return {name: value for name, value in values.items() if value is not None}


def _spread(values: Floats) -> float:
    return max(float(values.std()), 1e-6)


def _standardised(values: Floats, mean: float, spread: float) -> Floats:
    standardised: Floats = (values - np.float32(mean)) / np.float32(spread)
    return standardised


def logit_energy(logits: Floats) -> Floats:
    """Minus the logarithm of the summed exponentials, shape (texts,): high where no label has a high logit."""
    highest = logits.max(axis=1)
    energy: Floats = -(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))
    return energy


def logit_doubt(logits: Floats) -> Floats:
    """Minus the log-odds of the most probable label against all others together, shape (texts,): 0 where it has half of
    the probability, below where it has more. logits: two labels or more."""
    others = logits.copy()
    best = logits.argmax(axis=1)[:, None]
    np.put_along_axis(others, best, -np.inf, axis=1)
    doubt: Floats = -logit_energy(others) - np.take_along_axis(logits, best, axis=1)[:, 0]
    return doubt


@dataclass(frozen=True, slots=True)
class Head:
    """One linear classifier.

    dense: (dimensions, labels). ngrams: (kept n-grams, labels). bias: (labels,). temperature: of the calibration.
    several: of a head that may give a text several labels, how it does; None of one that gives one.
    """

    name: str
    labels: tuple[str, ...]
    dense: Floats
    ngrams: Floats
    bias: Floats
    temperature: float
    out_of_scope: OutOfScope | None = None
    several: SeveralLabels | None = None

    def logits(self, embeddings: Floats, ngrams: sparse.csr_array) -> Floats:
        """Unnormalised, uncalibrated scores, shape (texts, labels)."""
        logits: Floats = multiply_rows(embeddings, self.dense) + np.asarray(ngrams @ self.ngrams) + self.bias
        return logits

    def predict(self, embeddings: Floats, ngrams: sparse.csr_array) -> Floats:
        """Calibrated probabilities, shape (texts, labels). Each row sums to 1, but where a text may have several."""
        return self.probabilities(self.logits(embeddings, ngrams))

    def probabilities(self, logits: Floats) -> Floats:
        """What `predict` makes of `logits`."""
        if self.several is not None:
            return chances(self._calibrated(logits))
        return label_probabilities(logits, self.temperature)

    def decided(self, logits: Floats) -> list[str]:
        """The label of each row: the most probable one, or the set's text of all that it gives."""
        if self.several is not None:
            return self.several.texts(self._calibrated(logits), self.labels)
        return [self.labels[column] for column in logits.argmax(axis=1).tolist()]

    def surest(self, logits: Floats) -> Floats:
        """The probability of what each row decides, (texts,)."""
        if self.several is not None:
            return self.several.set_probabilities(self._calibrated(logits))
        highest: Floats = label_probabilities(logits, self.temperature).max(axis=1)
        return highest

    def clearly_decided(self, logits: Floats, tolerance: float) -> NDArray[np.bool_]:
        """Whether each row decides the same wherever its logits are off by at most `tolerance`, (texts,)."""
        if self.several is not None:
            return self.several.clear(self._calibrated(logits), tolerance / self.temperature)
        top = np.sort(logits, axis=1)
        clear: NDArray[np.bool_] = top[:, -1] - top[:, -2] > 2 * tolerance
        return clear

    def decide(self, embeddings: Floats, ngrams: sparse.csr_array) -> list[HeadDecision]:
        """The most probable label of every text, with its calibrated probability and out-of-scope score; or all labels
        that it gives the text."""
        logits = self.logits(embeddings, ngrams)
        if self.several is not None:
            return self.several.decide(self._calibrated(logits), self.labels)
        probabilities = label_probabilities(logits, self.temperature)
        best = logits.argmax(axis=1)
        scores = self.out_of_scope.scores(embeddings, logits) if self.out_of_scope else None
        labels = [self.labels[column] for column in best.tolist()]
        highest = np.take_along_axis(probabilities, best[:, None], axis=1)[:, 0]
        given = highest.tolist()
        runners_up = self._runners_up(probabilities, best)
        if self.out_of_scope is None or scores is None:
            return [
                HeadDecision(label, probability, runner_up=second)
                for label, probability, second in zip(labels, given, runners_up, strict=True)
            ]
        rejected = self.out_of_scope.rejects(scores, highest).tolist()
        return [
            HeadDecision(label, probability, score, is_rejected, runner_up=second)
            for label, probability, score, is_rejected, second in zip(
                labels, given, scores.tolist(), rejected, runners_up, strict=True
            )
        ]

    def _runners_up(self, probabilities: Floats, best: NDArray[np.int64]) -> list[LabelAnswer | None]:
        """The most probable label of every text beside its best one."""
        if len(self.labels) < 2:
            return [None] * len(probabilities)
        others = probabilities.copy()
        np.put_along_axis(others, best[:, None], -1.0, axis=1)
        columns = others.argmax(axis=1)
        given = np.take_along_axis(others, columns[:, None], axis=1)[:, 0]
        return [LabelAnswer(self.labels[column], p) for column, p in zip(columns.tolist(), given.tolist(), strict=True)]

    def _calibrated(self, logits: Floats) -> Floats:
        calibrated: Floats = logits / np.float32(self.temperature)
        return calibrated

    def rounded(self) -> Self:
        """The head as it comes back from `to_bytes`: weights in float16, which no measured accuracy shows."""
        return type(self).from_parts(self.describe(), self.to_bytes())

    def to_bytes(self) -> bytes:
        """The weights as safetensors; the rest is in `describe`."""
        tensors = {
            "dense": self.dense.astype(np.float16),
            "ngrams": self.ngrams.astype(np.float16),
            "bias": self.bias,
        }
        if self.out_of_scope:
            tensors["centroids"] = self.out_of_scope.centroids.astype(np.float16)
            if self.out_of_scope.direction is not None:
                tensors["direction"] = self.out_of_scope.direction
        return save({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()})

    def describe(self) -> dict[str, Any]:
        """Everything but the weights, for the manifest."""
        description: dict[str, Any] = {
            "name": self.name,
            "labels": list(self.labels),
            "temperature": self.temperature,
        }
        if self.out_of_scope:
            description["out_of_scope"] = self.out_of_scope.describe()
        if self.several:
            description["several"] = self.several.describe()
        return description

    @classmethod
    def from_parts(cls, description: Mapping[str, Any], weights: bytes) -> Self:
        """The reverse of `describe` and `to_bytes`. Raises ReleaseCorrupt when they do not fit together."""
        try:
            tensors = {name: np.ascontiguousarray(tensor, dtype=np.float32) for name, tensor in load(weights).items()}
            numbers = description.get("out_of_scope")
            head = cls(
                name=description["name"],
                labels=tuple(description["labels"]),
                dense=tensors["dense"],
                ngrams=tensors["ngrams"],
                bias=tensors["bias"],
                temperature=float(description["temperature"]),
                out_of_scope=OutOfScope(
                    tensors["centroids"],
                    **numbers,
                    direction=tensors["direction"] if "strangeness_mean" in numbers else None,
                )
                if numbers
                else None,
                several=SeveralLabels(**description["several"]) if "several" in description else None,
            )
        except Exception as error:  # the parts come from outside: a release made elsewhere or altered
            raise ReleaseCorrupt(f"a head cannot be read ({error!r}); publish the release again") from error
        if {head.dense.shape[1], head.ngrams.shape[1], *head.bias.shape} != {len(head.labels)}:
            raise ReleaseCorrupt(f"head {head.name!r} has weights for another number of labels; publish it again")
        return head
