"""Soft labels that a model gives to texts that it does not know: its own folds stand for a teacher.

A model is sure of every text that it was fitted on, right or wrong. Fitted on the other folds it says what the texts
say, and wrong labels stand out.
"""

from collections.abc import Mapping
from dataclasses import replace

from models.heads import Floats, label_probabilities
from retrain.fitting.tuning.texts import LabelledTexts


def with_soft_labels(training: LabelledTexts, answers: Mapping[str, Floats], temperature: float) -> LabelledTexts:
    """The training texts with soft labels. answers: see `out_of_fold_answers`. temperature: the plan's.

    Source: Hinton et al., Distilling the Knowledge in a Neural Network, 2015; Furlanello et al., Born-Again Neural
    Networks, 2018.
    """
    return replace(training, soft={head: label_probabilities(logits, temperature) for head, logits in answers.items()})
