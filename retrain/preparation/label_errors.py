"""Labels that are probably wrong: models that have not seen a row are sure of another label.

Source: Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels (2021). The package
cleanlab has it too, and brings pandas; it is a few lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn

from models.heads import Floats, label_probabilities
from models.ngrams import find_ngrams, share_without_spaces
from retrain.crossfit import POLICIES_WITHOUT_SPACES, CrossFit, Features, Task, assign_folds
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy
from retrain.fitting.vocabulary import build_vocabulary
from retrain.progress import Progress, no_progress

# All chosen on sets with 5 % of the labels flipped: CLINC150, Bitext's support questions, Twitter's financial topics,
# and for few labels AG News and Financial PhraseBank. As many rows as the confident joint counts off its diagonal were
# tried as well: on CLINC150 0.99 of them were flipped and 0.84 of the flipped ones found (by the threshold 0.96 and
# 1.00), on the topics, where models err often and the joint counts their errors, 0.73 and 0.95 (0.84 and 0.91).
DOUBTED: Final = 0.02
_OF_CHANCE: Final = 0.2  # where labels are few, a wrong one has a higher probability: below this share of chance's
_ENOUGH: Final = 20_000  # texts, of which so many epochs are enough; of more texts, fewer
# less freedom than a head that serves has: it must not learn the wrong labels by heart
POLICY: Final = LinearPolicy(words=1.0, characters=1.0, strength=4.0)


@dataclass(frozen=True, slots=True)
class Suspects:
    """rows: numbers of the rows, (suspects,), the surest first. suggested: number of the label that the models give.
    scores: the probability of the label that the row has, in [0, 1]."""

    rows: NDArray[np.int64]
    suggested: NDArray[np.int64]
    scores: Floats


def out_of_fold(
    texts: Sequence[str],
    embeddings: Floats,
    targets: NDArray[np.int64],
    labels: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Floats:
    """Calibrated probabilities of every label for every text, (texts, labels), by models that were fitted on the other
    folds; texts of one key, and of one group, are in one fold.

    embeddings: (texts, dimensions). targets: (texts,), numbers in `labels`; each stands in five different texts or
    more.
    """
    dense = share_without_spaces(texts) > 0.5
    policy = POLICIES_WITHOUT_SPACES[0] if dense else POLICY
    policy = replace(policy, epochs=int(np.clip(policy.epochs * _ENOUGH / len(texts), 2, policy.epochs)))
    rows = np.arange(len(texts))
    counts = find_ngrams(texts).counted()
    vocabulary = build_vocabulary(counts, rows, len(labels), without_spaces=dense)
    features = Features.of(embeddings, vocabulary.weigh(counts), vocabulary.words)
    folds = assign_folds(texts, targets, seed, groups)
    task = Task("labels", tuple(labels), targets, rows, folds, np.empty(0, dtype=np.int64), (policy,))
    with threadpool_limits(1):  # the folds run side by side; BLAS threads would stand in each other's way
        held_out = CrossFit(task, features, seed, progress).held_out(policy)
    probabilities = np.empty((len(texts), len(labels)), dtype=np.float32)
    temperature = fit_temperature(held_out.logits, held_out.targets)
    probabilities[held_out.rows] = label_probabilities(held_out.logits, temperature)
    return probabilities


def suspects(probabilities: Floats, targets: NDArray[np.int64]) -> Suspects:
    """The rows whose own label has a probability below DOUBTED (the self-confidence of confident learning), or below a
    fifth of what chance would give it.

    probabilities: (rows, labels), out of fold, calibrated. targets: (rows,), the labels that they have.
    """
    own = probabilities[np.arange(len(targets)), targets]
    suggested = probabilities.argmax(axis=1)
    least = max(DOUBTED, _OF_CHANCE / probabilities.shape[1])
    doubted = np.flatnonzero((own < least) & (suggested != targets))
    rows = doubted[np.argsort(own[doubted], kind="stable")]
    return Suspects(rows, suggested[rows].astype(np.int64), own[rows])
