"""How a picture part is told of."""

from typing import Any

from headrace.terminal import field, say
from models.figures import number_of


def tell_rejected_pictures(report: dict[str, Any]) -> None:
    """report: of `picture_report`."""
    for rejected in report["rejected"]:
        tell_rejected(rejected["name"], rejected["detail"])


def tell_rejected(name: str, detail: str, fate: str = "does not train") -> None:
    """A file that is no picture, on stderr."""
    say(f"{field(name)} {fate}: {field(detail)}", error=True)


def tell_pictures(report: dict[str, Any]) -> None:
    """report: of `picture_report`."""
    low, high = report["accuracy_ci95"]
    say(
        f"pictures  {report['accuracy']:.4f}  (95 % between {low:.4f} and {high:.4f}, "
        f"{number_of(report['test'], 'picture')} never "
        f"trained on), macro F1 {report['macro_f1']:.4f}, ECE {report['ece']:.4f}"
    )
    say(
        f"{number_of(report['train'], 'picture')} of {len(report['labels'])} labels "
        f"trained in {report['seconds']:.0f} s at "
        f"{report['size']} by {report['size']} pixels, {len(report['rejected'])} rejected, "
        f"{report['dropped_duplicates']} copies"
    )
