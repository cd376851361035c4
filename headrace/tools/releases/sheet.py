"""A release's manifest as a person reads it: what it decides, how well, what it learnt from, what it is made of."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.figures import number_of

WIDTH = 78
INDENT = 14
ROWS = ("train_rows", "valid_rows", "test_rows", "rejected_rows")


def sheet(name: str, version: str, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Lines, none of them wider than 80 columns but where a single label is."""
    parent = manifest.get("parent")
    yield f"{name}@{version}: {strategy_in_words(manifest)}" + (f", trained after {name}@{parent}" if parent else "")
    for head in manifest.get("heads", []):
        yield from _list(head["name"], head["labels"])
        yield from _figures(manifest.get("metrics", {}).get(head["name"], {}))
    training = manifest.get("training", {})
    counts = [f"{training[part]} {part.removesuffix('_rows')}" for part in ROWS if training.get(part)]
    yield from _list("rows", counts)
    yield _line("data", str(training.get("fingerprint", ""))[:12])
    yield from _list("to people", _left_to_people(training.get("rejection") or {}))
    yield from _list("fast path", _fast_path(manifest.get("fast_path") or {}))
    for part, file in manifest.get("files", {}).items():
        yield _line("file", f"{part:<16} {file['bytes']:>12,} bytes  {file['sha256'][:12]}")
    yield from _list("made with", [f"{library} {number}" for library, number in manifest.get("libraries", {}).items()])


def _fast_path(fast: Mapping[str, Any]) -> list[str]:
    """Where its heads are sure, and what their weights are made of; older releases know n-grams alone."""
    sure = [f"{head['name']} from {head['threshold']:.2f}" for head in fast.get("heads", [])]
    has_table = fast.get("measured", {}).get("kind") == "ngrams_with_table"
    return [*sure, "with the encoder's table of words"] if has_table else sure


def _left_to_people(rejection: Mapping[str, Any]) -> list[str]:
    """What the rejection threshold was chosen by, and what was expected of it; nothing of older releases."""
    if not rejection:
        return []
    asked = [f"{name} {rejection[name]:g}" for name in ("oos_cost", "oos_share", "target_error") if rejection[name]]
    expected = rejection["expected"]
    share, wrong = 100 * expected["to_people"], 100 * expected["error_of_answered"]
    return [f"by {rejection['chosen_by']}", *asked, f"{share:.1f} % expected", f"{wrong:.1f} % of the answers wrong"]


def strategy_in_words(manifest: Mapping[str, Any]) -> str:
    """The strategy of a release, and which one's model serves where it is another; older releases do not say."""
    strategy, serves = manifest.get("strategy"), manifest.get("serves")
    return str(strategy) if serves in (None, strategy) else f"{strategy} ({serves} serves)"


def _figures(metrics: Mapping[str, Any]) -> Iterator[str]:
    if metrics.get("accuracy") is None:
        return
    low, high = metrics["accuracy_ci95"]
    yield _line(
        "",
        (f"micro F1 {metrics['micro_f1']:.4f}, all labels right " if "micro_f1" in metrics else "accuracy ")
        + f"{metrics['accuracy']:.4f} ({low:.4f} to {high:.4f}), macro F1 {metrics['macro_f1']:.4f}, "
        f"{number_of(metrics['texts'], 'text')}",
    )


def _list(name: str, words: list[str]) -> Iterator[str]:
    """Words with commas between, on as many lines as they need; no line at all where there are none."""
    line = ""
    for number, word in enumerate(words):
        part = word + ("," if number < len(words) - 1 else "")
        if line and INDENT + len(line) + 1 + len(part) > WIDTH:
            yield _line(name, line)
            name, line = "", ""
        line = f"{line} {part}" if line else part
    if line:
        yield _line(name, line)


def _line(name: str, content: str) -> str:
    return f"{name:<{INDENT - 1}} {content}"
