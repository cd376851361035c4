"""What a teacher says of labelled texts: heads on its embeddings, each text answered by one that does not know it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from models.heads import Floats
from retrain.fitting.calibration import fit_temperature
from retrain.fitting.linear import LinearPolicy, fit_softmax
from retrain.fitting.tuning.texts import NO_LABEL, LabelledTexts

_UNKNOWN: Final = -30.0
_POLICY: Final = LinearPolicy(words=0.0, characters=0.0, epochs=20)


def teacher_answers(
    embeddings: Floats,
    tuning_embeddings: Floats,
    training: LabelledTexts,
    tuning: LabelledTexts,
    folds: NDArray[np.int64],
    seed: int,
) -> dict[str, Floats]:
    """By head, calibrated logits (training texts, labels), each by a linear head that was fitted on the other folds and
    calibrated on the tuning texts. A label that no other fold has is very unlikely.

    embeddings, tuning_embeddings: the teacher's, of the training and of the tuning texts. folds: (training texts,).
    """
    answers = {}
    for head, labels in training.labels.items():
        count = training.label_count(head, tuning)
        answers[head] = np.full((len(training), count), _UNKNOWN, dtype=np.float32)
        for fold in np.unique(folds):
            inside, learnt = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & (labels != NO_LABEL))
            if not len(learnt):
                continue
            known = np.unique(labels[learnt])
            targets = np.searchsorted(known, labels[learnt])
            nothing = sparse.csr_array((len(learnt), 0), dtype=np.float32)
            fitted = fit_softmax(embeddings[learnt], nothing, targets, len(known), _POLICY, words=0, seed=seed)
            logits, tuned = (values @ fitted.dense + fitted.bias for values in (embeddings[inside], tuning_embeddings))
            judged = np.isin(tuning.labels[head], known)  # those with a label that the fold's head knows
            wanted = np.searchsorted(known, tuning.labels[head][judged])
            temperature = fit_temperature(tuned[judged], wanted) if judged.any() else 1.0
            answers[head][np.ix_(inside, known)] = logits / temperature
    return answers
