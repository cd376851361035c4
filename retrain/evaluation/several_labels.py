"""How good a head is that gives a text several labels: label by label, where its accuracy counts whole sets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sklearn.metrics import f1_score, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from models.label_sets import labels_of


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """micro_f1: of all labels of all texts together; None where each text has one label, as it is the accuracy then.
    macro_f1: the mean of the labels' own, of those that some text has. per_label: of those, with the number of texts
    that have it."""

    micro_f1: float | None
    macro_f1: float
    per_label: Mapping[str, Mapping[str, float]]


def label_figures(wanted: Sequence[str], given: Sequence[str]) -> LabelFigures:
    """wanted, given: each text's set as text (`models.label_sets`). Where no text has a label, none of them has a
    figure, and a head that gives none is right."""
    sets = [labels_of(text) for text in wanted], [labels_of(text) for text in given]
    tested = sorted({label for labels in sets[0] for label in labels})
    others = sorted({label for labels in sets[1] for label in labels} - set(tested))
    if not tested:
        return LabelFigures(0.0 if others else 1.0, 0.0 if others else 1.0, {})
    binarizer = MultiLabelBinarizer(classes=[*tested, *others])
    truth, answers = (binarizer.fit_transform(labels) for labels in sets)
    own = slice(0, len(tested))
    values = precision_recall_fscore_support(truth[:, own], answers[:, own], average=None, zero_division=0)
    return LabelFigures(
        float(f1_score(truth, answers, average="micro", zero_division=0)),
        float(values[2].mean()),
        {
            label: {"precision": float(p), "recall": float(r), "f1": float(f), "texts": float(n)}
            for label, p, r, f, n in zip(tested, *values, strict=True)
        },
    )
