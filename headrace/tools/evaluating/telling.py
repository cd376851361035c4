"""An evaluation on a terminal."""

from typing import Any, Final

from headrace.terminal import field, say, say_left_out, show_table
from models.figures import number_of
from retrain.evaluation.fairness import Fairness
from retrain.evaluation.report import HeadReport
from retrain.evaluation.robustness import Robustness

CONFUSIONS: Final = 5


def tell_out_of_scope(oos: dict[str, Any] | None) -> None:
    """Nothing where no out-of-scope text is known."""
    if oos:
        say(
            f"out of scope: AUROC {oos['auroc']:.4f}, recall {oos['recall']:.4f}, in-scope accuracy after "
            f"rejection {oos['in_scope_accuracy']:.4f}"
        )


def tell_evaluation(what: str, report: HeadReport, counted: str = "texts") -> None:
    """Accuracy, what is out of scope, the fast path, then groups of texts and labels, the worst first. counted: what
    was decided, in the plural."""
    metrics = report.metrics
    low, high = metrics.accuracy_ci95
    counts = "accuracy" if metrics.micro_f1 is None else f"micro F1 {metrics.micro_f1:.4f}, all labels right"
    say(
        f"{what}: {counts} {metrics.accuracy:.4f} ({low:.4f} to {high:.4f}), macro F1 {metrics.macro_f1:.4f}, "
        f"calibration error {metrics.ece:.3f}, {metrics.texts} {counted}"
    )
    tell_out_of_scope(metrics.as_json()["oos"])
    if metrics.fast_path is not None:
        fast = metrics.fast_path
        say(
            f"fast path: decides {100 * fast.coverage:.1f} % of the texts; accuracy without it {fast.accuracy_full:.4f}"
        )
    for one in report.slices:
        if one.is_worse:
            say(
                field(
                    f"worse on {one.name}: {one.accuracy:.4f} on "
                    f"{number_of(one.texts, 'text')}, elsewhere {one.elsewhere:.4f}"
                )
            )
    if report.robustness is not None:
        _tell_robustness(report.robustness)
    for kind in report.fairness or ():
        _tell_fairness(kind)
    for pair in report.pairs[:CONFUSIONS]:
        say(field(f"{pair.label} decided as {pair.decided}: {pair.texts} {counted} ({pair.share:.0%} of the label's)"))
    say_left_out(len(report.pairs) - CONFUSIONS, "such pairs (--json has all)")
    show_table(
        ("label", counted, "precision", "recall", "F1"),
        [
            (
                one.label,
                one.texts,
                "" if one.precision is None else f"{one.precision:.3f}",
                f"{one.recall:.3f}",
                f"{one.f1:.3f}",
            )
            for one in report.labels.labels
        ],
    )


def _tell_robustness(robustness: Robustness) -> None:
    as_they_came = robustness.noise[0].accuracy
    for one in robustness.noise[1:]:
        say(
            f"{one.rate:.0%} of the letters mistyped: accuracy {one.accuracy:.4f} against {as_they_came:.4f} on "
            f"{number_of(one.texts, 'text')}; {one.changed:.1%} of the decisions change"
        )
    if robustness.attack is not None:
        found = robustness.attack
        low, high = found.changed_ci95
        say(
            f"swapped words turn {found.changed:.1%} of "
            f"{number_of(found.texts, 'right decision')} ({low:.1%} to {high:.1%}), "
            f"{found.swapped:.1f} words each, {found.queries:.0f} queries a text"
        )


def _tell_fairness(kind: Fairness) -> None:
    overall, where = kind.overall, "brought in" if kind.carried else "of the texts"
    low, high = overall.changed_ci95
    say(
        field(
            f"another {kind.kind} ({where}): {overall.changed:.1%} of the decisions change ({low:.1%} to {high:.1%}, "
            f"{number_of(overall.texts, 'text')}, {number_of(overall.pairs, 'pair')})"
        )
    )
    for group in kind.groups:
        if group.differs:
            say(field(f"  {group.group}: confidence {group.confidence:+.3f} (p = {group.p_value:.2g})"))
