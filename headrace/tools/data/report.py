"""A check's findings as one report: values for JSON, the table and the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.tools.data.reading import DataFile
from retrain.preparation.checks import script_of
from retrain.preparation.findings import KINDS, Finding
from retrain.preparation.rows import each_label, with_texts

# Findings about their first line only: the others are where the trouble comes from.
_ABOUT_ONE = frozenset({"leak", "near_leak"})


def report_of(
    file: DataFile, findings: Sequence[Finding], not_checked: Sequence[str], seconds: float
) -> dict[str, Any]:
    """What `headrace data check --json` prints. Findings stand in the order of KINDS, then by their first line; of
    suspected label errors the surest come first."""
    rejects = [Finding("unreadable", (reject.line,), reject.reason) for reject in file.rejects]
    order = {kind: number for number, kind in enumerate(KINDS)}
    found = sorted(
        [*rejects, *findings], key=lambda one: (order[one.kind], one.score if one.score is not None else 0, one.lines)
    )
    texts = with_texts(file.rows)
    sizes = np.array([len(row.text) for row in texts] or [0])
    return {
        "file": file.name,
        "rows": len(file.rows) + len(file.rejects),
        "text_column": file.where.text,
        "title_column": file.where.title,
        "label_column": file.where.label,
        "split_column": file.where.split,
        "labels": dict(
            Counter(label for row in file.rows for label in each_label(row, several=file.where.several)).most_common()
        ),
        "splits": dict(Counter(row.split for row in file.rows)) if file.where.split else {},
        "scripts": dict(Counter(script_of(row.text) for row in texts).most_common()),
        "characters": {
            "median": int(np.median(sizes)),
            "p95": int(np.percentile(sizes, 95)),
            "longest": int(sizes.max()),
        },
        "kinds": {kind: _kind(kind, found) for kind in KINDS if any(one.kind == kind for one in found)},
        "findings": [_described(one, file.ids) for one in found],
        "not_checked": list(not_checked),
        "seconds": round(seconds, 1),
    }


def _kind(kind: str, findings: Sequence[Finding]) -> dict[str, Any]:
    """How many findings there are, and how many rows they are about."""
    its = [one for one in findings if one.kind == kind]
    lines = {line for one in its for line in (one.lines[:1] if kind in _ABOUT_ONE else one.lines)}
    return {"findings": len(its), "rows": len(lines), "clean": KINDS[kind].clean}


def _described(one: Finding, ids: Mapping[int, str]) -> dict[str, Any]:
    described: dict[str, Any] = {"kind": one.kind, "lines": list(one.lines)}
    if ids:
        described["ids"] = [ids.get(line) for line in one.lines]
    if one.detail:
        described["detail"] = one.detail
    if one.label:
        described["label"] = one.label
    if one.suggested:
        described |= {"suggested": one.suggested, "score": one.score}
    return described
