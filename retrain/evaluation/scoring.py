"""How good a classifier is on held-out texts, and how sure we are of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_recall_fscore_support, roc_auc_score

from models.classifier import Classifier
from models.decision import Classification, HeadDecision
from models.errors import TrainingDataError
from models.shares import wilson_interval
from retrain.data import Row
from retrain.evaluation.reliability import expected_calibration_error
from retrain.evaluation.several_labels import LabelFigures, label_figures
from retrain.evaluation.slices import slices_of
from retrain.progress import Progress, no_progress
from retrain.rejection.curve import Curve

_BATCH_TEXTS: Final = 256


@dataclass(frozen=True, slots=True)
class OosMetrics:
    """How out-of-scope texts are told apart. auroc: of the score. recall: share of them that is rejected.

    in_scope_accuracy: at the threshold, a rejected in-scope text counting as an error; before_rejection: without it.
    rejected_in_scope: share of in-scope texts that is rejected. The threshold itself stands in the manifest.
    """

    auroc: float
    recall: float
    in_scope_accuracy: float
    in_scope_accuracy_before_rejection: float
    rejected_in_scope: float
    in_scope_texts: int
    texts: int


@dataclass(frozen=True, slots=True)
class FastPathMetrics:
    """What the fast path does to one head. coverage: share of the in-scope texts that it decides. accuracy: with it,
    before rejection. accuracy_full: without it. agreement: share of the texts it decides where the full path decides
    the same label and does not reject. oos_coverage, oos_recall_full: of out-of-scope texts; None where there are none.
    """

    coverage: float
    accuracy: float
    accuracy_full: float
    agreement: float
    oos_coverage: float | None
    oos_recall_full: float | None


@dataclass(frozen=True, slots=True)
class HeadMetrics:
    """One head's figures on in-scope texts, before rejection, as served: with the fast path where the release has one.

    ci95: Wilson's interval. ece: expected calibration error. fast_path: both ways compared. right: for each scored text
    whether it was decided rightly (for paired tests). rows: which of the given texts those are. rejected: whether each
    was rejected. decided: the label that each got. probabilities: of that label. strange_rows, strange_rejected: the
    same of the known out-of-scope texts. curve: accuracy against the share of texts answered, by its own `as_json`.
    fast: whether the fast path decided each scored text; None of a release without one. micro_f1: of a head that gives
    several labels, over all labels of all texts; None of others. Its accuracy counts whole sets, its macro F1 and
    per_label the single labels.
    """

    head: str
    texts: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    macro_f1: float
    ece: float
    per_label: Mapping[str, Mapping[str, float]]
    per_slice: Mapping[str, Mapping[str, float]]
    oos: OosMetrics | None
    right: NDArray[np.bool_] = field(repr=False)
    rows: NDArray[np.int64] = field(repr=False)
    rejected: NDArray[np.bool_] = field(repr=False)
    probabilities: NDArray[np.float64] = field(repr=False)
    strange_rows: NDArray[np.int64] = field(repr=False)
    strange_rejected: NDArray[np.bool_] = field(repr=False)
    decided: NDArray[np.object_] = field(repr=False)
    fast_path: FastPathMetrics | None = None
    curve: Curve | None = field(default=None, repr=False)
    fast: NDArray[np.bool_] | None = field(default=None, repr=False)
    micro_f1: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded for people."""
        oos = None if self.oos is None else {name: _round(getattr(self.oos, name)) for name in OosMetrics.__slots__}
        return {
            "texts": self.texts,
            "accuracy": _round(self.accuracy),
            "accuracy_ci95": [_round(bound) for bound in self.accuracy_ci95],
            "macro_f1": _round(self.macro_f1),
            **({} if self.micro_f1 is None else {"micro_f1": _round(self.micro_f1)}),
            "ece": _round(self.ece),
            "per_label": {label: {k: _round(v) for k, v in values.items()} for label, values in self.per_label.items()},
            "per_slice": {name: {k: _round(v) for k, v in values.items()} for name, values in self.per_slice.items()},
            "oos": oos,
            "fast_path": None if self.fast_path is None else _rounded(self.fast_path),
        }


def evaluate(
    classifier: Classifier,
    rows: Sequence[Row],
    *,
    oos_label: str | None = None,
    progress: Progress = no_progress,
) -> dict[str, HeadMetrics]:
    """Score every head that the rows have labels for, as the release serves; with a fast path, also without it.

    oos_label: of the primary head. Raises TrainingDataError.
    """
    served: list[Classification] = []
    full: list[Classification] = []
    for start in range(0, len(rows), _BATCH_TEXTS):
        texts = [row.text for row in rows[start : start + _BATCH_TEXTS]]
        served += classifier.classify_texts(texts)
        if classifier.fast_path is not None:
            full += classifier.classify_texts(texts, fast=False)
        progress("scoring texts", start + len(texts), len(rows))
    metrics = {}
    for number, name in enumerate(classifier.heads):
        scored = [index for index, row in enumerate(rows) if name in row.labels]
        if scored:
            strange = oos_label if number == 0 else None
            given = [served[i].heads[name] for i in scored]
            several = classifier.heads[name].several is not None
            found = score_head(name, [rows[i] for i in scored], given, scored, strange, several=several)
            if full:
                fast = np.array([served[i].path == "fast" for i in scored])
                found = replace(
                    found,
                    fast=fast[np.isin(scored, found.rows)],
                    fast_path=_fast_path_metrics(
                        [rows[i].labels[name] for i in scored],
                        fast,
                        given,
                        [full[i].heads[name] for i in scored],
                        strange,
                    ),
                )
            metrics[name] = found
    if not metrics:
        raise TrainingDataError(
            f"no row has a label for any of the heads {', '.join(classifier.heads)}; check the columns"
        )
    return metrics


def _fast_path_metrics(
    wanted: Sequence[str],
    fast: NDArray[np.bool_],
    served: Sequence[HeadDecision],
    full: Sequence[HeadDecision],
    oos_label: str | None,
) -> FastPathMetrics:
    in_scope = np.array([label != oos_label for label in wanted])
    right = np.array([decision.label == label for decision, label in zip(served, wanted, strict=True)])
    full_right = np.array([decision.label == label for decision, label in zip(full, wanted, strict=True)])
    rejected = np.array([decision.rejected for decision in full])
    same = np.array([one.label == other.label for one, other in zip(served, full, strict=True)])
    taken = fast & in_scope
    strange = not in_scope.all()
    return FastPathMetrics(
        coverage=float(fast[in_scope].mean()),
        accuracy=float(right[in_scope].mean()),
        accuracy_full=float(full_right[in_scope].mean()),
        agreement=float((same & ~rejected)[taken].mean()) if taken.any() else 1.0,
        oos_coverage=float(fast[~in_scope].mean()) if strange else None,
        oos_recall_full=float(rejected[~in_scope].mean()) if strange else None,
    )


def score_head(
    name: str,
    rows: Sequence[Row],
    decisions: Sequence[HeadDecision],
    numbers: Sequence[int],
    oos_label: str | None,
    *,
    several: bool = False,
) -> HeadMetrics:
    """Figures of one head. rows, decisions: of the same texts. numbers: where those stand among all texts. several:
    whether it gives sets of labels."""
    wanted = np.array([row.labels[name] for row in rows], dtype=object)
    in_scope = np.array([label != oos_label for label in wanted], dtype=bool)
    if not in_scope.any():
        raise TrainingDataError(f"all {len(rows)} texts for head {name!r} are out of scope; nothing to score")
    given = np.array([decision.label for decision in decisions], dtype=object)
    probabilities = np.array([decision.probability for decision in decisions])
    rejected = np.array([bool(decision.rejected) for decision in decisions])
    given_rows = np.asarray(numbers, dtype=np.int64)
    right = (given == wanted)[in_scope]
    y_true, y_given = wanted[in_scope].astype(str), given[in_scope].astype(str)
    labels = _single_figures(y_true, y_given) if not several else label_figures(y_true.tolist(), y_given.tolist())
    slices = slices_of([row for row, inside in zip(rows, in_scope, strict=True) if inside])
    return HeadMetrics(
        head=name,
        texts=len(right),
        accuracy=float(right.mean()),
        accuracy_ci95=wilson_interval(int(right.sum()), len(right)),
        macro_f1=labels.macro_f1,
        micro_f1=labels.micro_f1,
        ece=expected_calibration_error(probabilities[in_scope], right),
        per_label=labels.per_label,
        per_slice={
            slice_name: {"texts": float(member.sum()), "accuracy": float(right[member].mean())}
            for slice_name, member in slices.items()
        },
        oos=_oos_metrics(decisions, in_scope, given == wanted) if not in_scope.all() else None,
        right=right,
        rows=given_rows[in_scope],
        rejected=rejected[in_scope],
        probabilities=probabilities[in_scope],
        strange_rows=given_rows[~in_scope],
        strange_rejected=rejected[~in_scope],
        decided=given[in_scope],
        curve=Curve.of(decisions, given == wanted, in_scope),
    )


def _oos_metrics(
    decisions: Sequence[HeadDecision], in_scope: NDArray[np.bool_], right: NDArray[np.bool_]
) -> OosMetrics | None:
    known = [decision.oos_score for decision in decisions if decision.oos_score is not None]
    if not known:
        return None
    # What the fast path took, nobody held to be strange: nearer than all that were looked at.
    nearest = min(known) - 1.0
    scores = np.array([nearest if decision.oos_score is None else decision.oos_score for decision in decisions])
    rejected = np.array([decision.rejected for decision in decisions])
    return OosMetrics(
        auroc=float(roc_auc_score(~in_scope, scores)),
        recall=float(rejected[~in_scope].mean()),
        in_scope_accuracy=float((right & ~rejected)[in_scope].mean()),
        in_scope_accuracy_before_rejection=float(right[in_scope].mean()),
        rejected_in_scope=float(rejected[in_scope].mean()),
        in_scope_texts=int(in_scope.sum()),
        texts=int((~in_scope).sum()),
    )


def _single_figures(wanted: NDArray[np.str_], given: NDArray[np.str_]) -> LabelFigures:
    macro = f1_score(wanted, given, labels=np.unique(wanted), average="macro", zero_division=0)
    return LabelFigures(None, float(macro), _per_label(wanted, given))


def _per_label(wanted: NDArray[np.str_], given: NDArray[np.str_]) -> dict[str, dict[str, float]]:
    labels = np.unique(wanted)
    precision, recall, f1, support = precision_recall_fscore_support(wanted, given, labels=labels, zero_division=0)
    return {
        str(label): {"precision": float(p), "recall": float(r), "f1": float(f), "texts": float(n)}
        for label, p, r, f, n in zip(labels, precision, recall, f1, support, strict=True)
    }


def _rounded(metrics: FastPathMetrics) -> dict[str, float | None]:
    values = {name: getattr(metrics, name) for name in FastPathMetrics.__slots__}
    return {name: None if value is None else _round(value) for name, value in values.items()}


def _round(value: float) -> float:
    return round(float(value), 4)
