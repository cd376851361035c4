"""What a replay's answers say: figures of one release, and of two on the same events."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_fscore_support

from models.shares import wilson_interval
from retrain.gate.comparison import Comparison, compare
from retrain.gate.judging import judge_texts
from streams.replay.answers import NO_LABEL, Answers, HeadAnswers, changes

Codes = NDArray[np.int32]
CONFUSIONS_KEPT = 200


def release_figures(answers: Answers, release: str) -> dict[str, Any]:
    """Figures of one release: the primary head's accuracy on top, all heads below `heads`."""
    heads = {head: head_figures(answers, release, head) for head in answers.heads}
    first = heads[answers.heads[0]]
    kept = ("labelled", "accuracy", "accuracy_ci95", "macro_f1", "mean_confidence", "out_of_scope_share")
    return {name: first[name] for name in kept} | {"heads": heads}


def head_figures(answers: Answers, release: str, head: str) -> dict[str, Any]:
    """Figures of one head. Accuracy counts the label before rejection, as `headrace evaluate` does; a text on which the
    release failed counts as an error. None where there is nothing to count."""
    given, truth, names = answers.of(release, head), answers.truth(head), answers.labels(head)
    decided = given.codes != NO_LABEL
    labelled = truth != NO_LABEL
    right = (given.codes == truth)[labelled]
    per_label = label_figures(truth[labelled], given.codes[labelled], names)
    f1 = [values["f1"] for values in per_label.values()]
    return {
        "labelled": int(labelled.sum()),
        "accuracy": rounded(right.mean()) if len(right) else None,
        "accuracy_ci95": interval(right) if len(right) else None,
        "macro_f1": rounded(np.mean(f1)) if f1 else None,
        "mean_confidence": rounded(given.probabilities[decided].mean()) if decided.any() else None,
        "out_of_scope_share": rounded(given.rejected[decided].mean()) if given.is_scored else None,
        "labels": distribution(given.codes[decided], names),
        "per_label": per_label,
    }


def label_figures(truth: Codes, given: Codes, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and number of events of every true label."""
    present = np.unique(truth)
    if not len(present):
        return {}
    figures = precision_recall_fscore_support(truth, given, labels=present, zero_division=0)
    return {
        names[code]: {"events": int(n), "precision": rounded(p), "recall": rounded(r), "f1": rounded(f)}
        for code, p, r, f, n in sorted(zip(present.tolist(), *figures, strict=True), key=lambda row: names[row[0]])
    }


def distribution(codes: Codes, names: Sequence[str]) -> dict[str, int]:
    """Events by label, the most frequent first."""
    counts = np.bincount(codes, minlength=len(names)) if len(codes) else np.zeros(len(names), np.int64)
    return {names[code]: int(counts[code]) for code in np.argsort(-counts, kind="stable").tolist() if counts[code]}


def comparison_figures(answers: Answers, before: str, after: str) -> dict[str, Any]:
    """What changes from `before` to `after`: the primary head's figures on top, all heads below `heads`."""
    heads = {head: head_comparison(answers, before, after, head) for head in answers.heads}
    first = heads[answers.heads[0]]
    kept = ("changed", "changed_share", "silent", "test", "gate")
    return {"from": before, "to": after} | {name: first[name] for name in kept} | {"heads": heads}


def head_comparison(answers: Answers, before: str, after: str, head: str) -> dict[str, Any]:
    """One head of two releases, event by event: the confusion of changes, and on labelled events the exact McNemar
    test, the gate's verdict and each label's own comparison. Labels that somebody gave because of what was decided take
    no part in these three (`silent` counts them): the release that decided has lost there by choice."""
    old, new = answers.of(before, head), answers.of(after, head)
    truth, names = answers.truth(head), answers.labels(head)
    confusions = changes(old.codes, new.codes, names)
    changed = sum(change.events for change in confusions)
    report: dict[str, Any] = {
        "changed": changed,
        "changed_share": rounded(changed / len(answers)) if len(answers) else 0.0,
        "confusion": [
            {"from": change.before, "to": change.after, "events": change.events}
            for change in confusions[:CONFUSIONS_KEPT]
        ],
        "rejection_changed": int((old.rejected != new.rejected).sum()),
        "test": None,
        "gate": None,
        "per_label": {},
    }
    judging = answers.judges(head)
    report["silent"] = int(((truth != NO_LABEL) & ~judging).sum())
    if judging.any():
        old_right, new_right = (_right(given, truth)[judging] for given in (old, new))
        report |= paired_figures(old_right, new_right, truth[judging], names)
    return report


def paired_figures(
    before_right: NDArray[np.bool_], after_right: NDArray[np.bool_], truth: Codes, names: Sequence[str]
) -> dict[str, Any]:
    """Both on the labelled events. Each of the three: (labelled events,)."""
    slices = {names[code]: truth == code for code in np.unique(truth).tolist()}
    verdict = judge_texts(before_right, after_right, [names[code] for code in truth.tolist()])
    per_label: Mapping[str, Comparison] = {
        name: compare(before_right[member], after_right[member]) for name, member in sorted(slices.items())
    }
    overall = verdict.overall
    return {
        "test": {
            "name": "McNemar, exact, two-sided",
            "events": overall.texts,
            "accuracy_from": rounded(overall.champion_accuracy),
            "accuracy_from_ci95": interval(before_right),
            "accuracy_to": rounded(overall.challenger_accuracy),
            "accuracy_to_ci95": interval(after_right),
            "better": overall.only_challenger,
            "worse": overall.only_champion,
            "p_value": overall.p_value,
        },
        "gate": {
            "passed": verdict.passed,
            "reason": verdict.reason,
            "worse_labels": [label for _, label in verdict.stopped_labels],
        },
        "per_label": {name: _label_comparison(comparison) for name, comparison in per_label.items()},
    }


def interval(right: NDArray[np.bool_]) -> list[float]:
    """Wilson's 95 % interval of a share."""
    return [rounded(bound) for bound in wilson_interval(int(right.sum()), len(right))]


def rounded(value: Any) -> float:
    """For people and JSON."""
    return round(float(value), 4)


def _label_comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "events": comparison.texts,
        "accuracy_from": rounded(comparison.champion_accuracy),
        "accuracy_to": rounded(comparison.challenger_accuracy),
        "better": comparison.only_challenger,
        "worse": comparison.only_champion,
        "p_value": comparison.p_value,
    }


def _right(given: HeadAnswers, truth: Codes) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = given.codes == truth
    return right
