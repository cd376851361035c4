"""An evaluation on a terminal."""

from typing import Any

from headrace.terminal import say, show_table
from retrain.evaluation.scoring import HeadMetrics


def tell_out_of_scope(oos: dict[str, Any] | None) -> None:
    """Nothing where no out-of-scope text is known."""
    if oos:
        say(
            f"out of scope: AUROC {oos['auroc']:.4f}, recall {oos['recall']:.4f}, in-scope accuracy after "
            f"rejection {oos['in_scope_accuracy']:.4f}"
        )


def tell_evaluation(what: str, evaluation: HeadMetrics) -> None:
    """Accuracy, what is out of scope, the fast path, then each label, the worst first."""
    low, high = evaluation.accuracy_ci95
    say(
        f"{what}: accuracy {evaluation.accuracy:.4f} ({low:.4f} to {high:.4f}), macro F1 "
        f"{evaluation.macro_f1:.4f}, {evaluation.texts} texts"
    )
    tell_out_of_scope(evaluation.as_json()["oos"])
    if evaluation.fast_path is not None:
        fast = evaluation.fast_path
        say(
            f"fast path: decides {100 * fast.coverage:.1f} % of the texts; accuracy without it {fast.accuracy_full:.4f}"
        )
    worst_first = sorted(evaluation.per_label.items(), key=lambda labelled: labelled[1]["f1"])
    show_table(
        ("label", "texts", "precision", "recall", "F1"),
        [
            (label, f"{values['texts']:.0f}", *(f"{values[name]:.3f}" for name in ("precision", "recall", "f1")))
            for label, values in worst_first
        ],
    )
