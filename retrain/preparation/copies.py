"""Copies of texts: within a file, across its splits, and with other labels."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from retrain.preparation.findings import Finding
from retrain.preparation.near_copies import NearPairs, by_group
from retrain.preparation.rows import DataRow
from retrain.text_keys import same_text_key

# Of two rows that are the same, the one that judges is told of, and the one that trains is its source.
_JUDGED: Final = {"train": 0, "valid": 1, "test": 2}


def copy_findings(rows: Sequence[DataRow], pairs: NearPairs) -> list[Finding]:
    """Exact copies, near copies, conflicting labels, leaks. rows: with a text. pairs: of their texts."""
    keys = [same_text_key(row.text) for row in rows]
    exact: dict[str, list[int]] = defaultdict(list)
    for number, key in enumerate(keys):
        exact[key].append(number)
    findings = []
    for numbers in exact.values():
        if len(numbers) > 1:
            findings += _of_one_text([rows[number] for number in numbers])
    for numbers in by_group(pairs.groups):
        texts = len({keys[number] for number in numbers})
        if texts > 1:
            lines = tuple(rows[number].line for number in numbers)
            findings.append(Finding("near_copy", lines, f"{texts} texts that are nearly the same"))
    return findings + _leaks(rows, keys, exact, pairs)


def _of_one_text(rows: Sequence[DataRow]) -> list[Finding]:
    """What is to be said of rows that share a text."""
    lines = tuple(row.line for row in rows)
    labels = list(dict.fromkeys(row.label for row in rows if row.label))
    findings = [Finding("copy", lines, f"{len(rows)} times the same text")]
    if len(labels) > 1:
        shares = ", ".join(f"{label} ({sum(row.label == label for row in rows)})" for label in labels)
        findings.append(Finding("conflict", lines, shares))
    return findings


def _leaks(
    rows: Sequence[DataRow], keys: Sequence[str], exact: dict[str, list[int]], pairs: NearPairs
) -> list[Finding]:
    if len({row.split for row in rows}) < 2:
        return []
    # of the rows of one text, the one that is nearest to training: it is what leaks
    source = {
        key: min(numbers, key=lambda number: _JUDGED.get(rows[number].split, 9)) for key, numbers in exact.items()
    }
    leaks: dict[int, int] = {}
    for key, numbers in exact.items():
        _note(leaks, rows, numbers, source[key])
    near: dict[int, int] = {}
    together = {
        (keys[one], keys[other]) for one, other in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    }
    for one, other in sorted(pair for pair in together if pair[0] != pair[1]):
        _note(near, rows, exact[one], source[other])
        _note(near, rows, exact[other], source[one])
    return [Finding("leak", *_told(rows, number, other)) for number, other in sorted(leaks.items())] + [
        Finding("near_leak", *_told(rows, number, other))
        for number, other in sorted(near.items())
        if number not in leaks
    ]


def _note(partners: dict[int, int], rows: Sequence[DataRow], numbers: Sequence[int], other: int) -> None:
    """Keep the row that leaks into others, where it does: the one that is nearest to training."""
    its = _JUDGED.get(rows[other].split, 9)
    for number in numbers:
        known = partners.get(number)
        if its < _JUDGED.get(rows[number].split, -1) and (known is None or its < _JUDGED[rows[known].split]):
            partners[number] = other


def _told(rows: Sequence[DataRow], number: int, other: int) -> tuple[tuple[int, ...], str]:
    row, source = rows[number], rows[other]
    return (row.line, source.line), f"a {row.split} row; its copy in line {source.line} is a {source.split} row"
