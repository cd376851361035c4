"""What the texts themselves say of their labels: a linear head on the embeddings, asked about texts that it has not
seen with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.heads import Floats, label_probabilities
from retrain.crossfit import CrossFit, Features, Ints, Task, assign_folds
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy
from retrain.progress import no_progress

_POLICY: Final = LinearPolicy(words=0.0, characters=0.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Probabilities of labels, calibrated on texts of the corpus.

    labels: sorted. probabilities: (texts, labels), each text's by a head that was not fitted on it. usual: (labels,),
    the mean probability of a label on the texts that have it, those of the corpus where it has some: what being sure
    means for this label.
    """

    labels: tuple[str, ...]
    probabilities: Floats
    usual: NDArray[np.float64]

    def of(self, label: str, row: int) -> float:
        """How probable a label is for a text."""
        return float(self.probabilities[row, self.labels.index(label)])

    def best(self, row: int) -> str:
        """The most probable label."""
        return self.labels[int(self.probabilities[row].argmax())]

    def is_sure(self, row: int) -> bool:
        """Whether the most probable label is as probable as is usual on texts that have it.

        Source: Northcutt, Jiang and Chuang, Confident Learning (2021).
        """
        best = int(self.probabilities[row].argmax())
        return bool(self.probabilities[row, best] >= self.usual[best])


def cross_fitted(
    texts: Sequence[str],
    groups: Sequence[str],
    embeddings: Floats,
    labels: Sequence[str],
    corpus: NDArray[np.bool_],
    *,
    fitted: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Evidence | None:
    """Evidence on every text.

    texts, groups, embeddings, labels: of all. corpus: (texts,), which of them are the corpus's. fitted: (texts,), on
    which of them heads are fitted: each of those is judged by a head of the other folds, the rest by a head of all;
    None: on all. None where the corpus has no two labels, or all that is fitted is one text.
    """
    fitted = np.ones(len(texts), dtype=bool) if fitted is None else fitted
    rows = np.flatnonzero(fitted)
    names = tuple(sorted({labels[row] for row in rows.tolist()}))
    number = {label: index for index, label in enumerate(names)}
    targets = np.array([number.get(label, -1) for label in labels], dtype=np.int64)
    if len({labels[row] for row in np.flatnonzero(corpus & fitted).tolist()}) < 2:
        return None
    folds = assign_folds(
        [texts[row] for row in rows.tolist()], targets[rows], seed, [groups[row] for row in rows.tolist()]
    )
    if len(np.unique(folds)) < 2:
        return None
    known = corpus & fitted
    with threadpool_limits(1):
        logits = _logits(
            Task("", names, targets, rows, folds, rows[:0], is_new=_is_new(targets, known)), embeddings, seed
        )
    probabilities = label_probabilities(logits, fit_temperature(logits[known], targets[known]))
    return Evidence(names, probabilities, _usual(probabilities, targets, known, fitted))


def _logits(task: Task, embeddings: Floats, seed: int) -> Floats:
    nothing = sparse.csr_array((len(embeddings), 0), dtype=np.float32)
    features = Features(embeddings, nothing, 0, None)  # by mini-batches: as good here, and several times as fast
    cross = CrossFit(task, features, seed, no_progress)
    held_out = cross.held_out(_POLICY)
    logits = np.empty((len(embeddings), len(task.labels)), dtype=np.float32)
    logits[held_out.rows] = held_out.logits
    others = np.setdiff1d(np.arange(len(embeddings)), task.rows)
    if len(others):
        logits[others] = cross.fit(_POLICY).logits(embeddings[others], nothing[others])
    return logits


def _is_new(targets: Ints, corpus: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """By label, whether the corpus has none of it: few texts of it must not make each of them unlikely."""
    absent: NDArray[np.bool_] = np.bincount(targets[corpus], minlength=targets.max() + 1) == 0
    return absent


def _usual(
    probabilities: Floats, targets: Ints, corpus: NDArray[np.bool_], fitted: NDArray[np.bool_]
) -> NDArray[np.float64]:
    usual = np.empty(probabilities.shape[1])
    for label in range(len(usual)):
        has = (targets == label) & corpus
        has = has if has.any() else (targets == label) & fitted
        usual[label] = probabilities[has, label].mean(dtype=np.float64)
    return usual
