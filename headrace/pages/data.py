"""A check of labelled texts as one page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from headrace.pages import page_environment
from models.personal_data import mask_personal_data
from retrain.preparation.findings import KINDS

EXAMPLES: Final = 30  # of each kind
_LINES: Final = 5  # of one finding, whose texts are shown
_LABELS: Final = 40
_BINS: Final = 24
_CHARACTERS: Final = 400  # of a text


def render_check(report: Mapping[str, Any], texts: Mapping[int, str], regions: Sequence[str]) -> str:
    """The page's HTML. report: of `headrace data check --json`. texts: by line; personal data in them is not shown."""

    def shown(line: int) -> str:
        text = mask_personal_data(texts.get(line, ""), regions)
        return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "…"

    kinds = []
    for kind, counts in report["kinds"].items():
        examples = [one for one in report["findings"] if one["kind"] == kind][:EXAMPLES]
        for one in examples:
            one["texts"] = [{"line": line, "text": shown(line)} for line in one["lines"][:_LINES] if line in texts]
        kinds.append({"name": kind, "kind": KINDS[kind], "counts": counts, "examples": examples})
    page: str = (
        page_environment("headrace", "pages")
        .get_template("data.html.j2")
        .render(
            report=report,
            kinds=kinds,
            most=max((kind["counts"]["rows"] for kind in kinds), default=0),
            labels=_label_bars(report),
            more_labels=max(0, len(report["labels"]) - _LABELS),
            lengths=_length_bars([len(text) for text in texts.values() if text.strip()]),
        )
    )
    return page


def _label_bars(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The most frequent labels: how many rows, and how many of them are suspected."""
    doubted = Counter(one["label"] for one in report["findings"] if one["kind"] == "suspected_label")
    most = max(report["labels"].values(), default=1)
    return [
        {"label": label, "rows": rows, "doubted": doubted[label], "width": 100 * rows / most}
        for label, rows in list(report["labels"].items())[:_LABELS]
    ]


def _length_bars(sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Texts by length, in bins that grow by a constant factor."""
    if not sizes:
        return []
    edges = np.unique(np.geomspace(1, max(sizes) + 1, _BINS + 1).astype(int))
    counts = np.histogram(sizes, bins=edges)[0]
    return [
        {"low": int(low), "high": int(high) - 1, "texts": int(texts), "height": 100 * float(texts) / int(counts.max())}
        for low, high, texts in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
