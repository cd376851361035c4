"""All checks of a file's rows that need no model. Each looks at all rows and gives its findings."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.figures import number_of
from models.languages import language_of
from models.personal_data import REGIONS, find_personal_data
from retrain.data import SPLITS
from retrain.preparation.copies import copy_findings
from retrain.preparation.findings import Finding
from retrain.preparation.near_copies import near_pairs
from retrain.preparation.rows import DataRow, each_label, with_texts
from retrain.preparation.text_faults import faults
from retrain.progress import Progress, no_progress
from retrain.text_keys import same_text_key, spellings

FEW_TEXTS: Final = 5  # of a label: with fewer, not each fold of a cross-validation has one
_RARE_SCRIPT: Final = 0.05  # share of the texts below which a script is another one
_MANY_TIMES: Final = 10  # the median's length
_LONG: Final = 1_000  # characters, below which no text is long
_CHUNK: Final = 1_000


def check_rows(
    rows: Sequence[DataRow],
    *,
    has_labels: bool,
    has_splits: bool,
    several: bool = False,
    regions: Sequence[str] = REGIONS,
    progress: Progress = no_progress,
) -> list[Finding]:
    """Everything but suspected label errors. has_labels, has_splits: whether the file has such columns. several:
    whether labels are sets. regions: countries whose national phone numbers are looked for."""
    texts = with_texts(rows)
    findings = [Finding("no_text", (row.line,)) for row in rows if not row.text.strip()]
    if has_labels:
        findings += [Finding("no_label", (row.line,)) for row in texts if row.is_unlabelled]
        findings += label_findings(texts, several=several)
    if has_splits:
        known = set(SPLITS.values())
        findings += [
            Finding("unknown_split", (row.line,), repr(row.split[:40])) for row in rows if row.split not in known
        ]
    findings += text_findings(texts, regions, progress)
    pairs = near_pairs([row.text for row in texts], progress)
    return findings + copy_findings(texts, pairs)


def label_findings(rows: Sequence[DataRow], *, several: bool = False) -> list[Finding]:
    """Labels that are written in two ways, and labels with very few different texts; those of a set each by itself."""
    lines, texts = defaultdict(list), defaultdict(set)
    for row in rows:
        for label in each_label(row, several=several):
            lines[label].append(row.line)
            texts[label].add(same_text_key(row.text))
    findings = []
    for labels in spellings({label: len(its) for label, its in lines.items()}):
        told = ", ".join(f"{label!r} ({len(lines[label])})" for label in labels)
        rarer = tuple(line for label in labels[1:] for line in lines[label])
        findings.append(Finding("label_names", rarer, told))
    for label, its in texts.items():
        if len(its) < FEW_TEXTS:
            findings.append(
                Finding("rare_label", tuple(lines[label]), f"{label}: {number_of(len(its), 'text')}", label)
            )
    return findings


def text_findings(
    rows: Sequence[DataRow], regions: Sequence[str] = REGIONS, progress: Progress = no_progress
) -> list[Finding]:
    """Faults of single texts: Unicode, HTML, white space, personal data, script and length."""
    findings = []
    scripts = [script_of(row.text) for row in rows]
    common = {script for script, count in Counter(scripts).items() if count >= _RARE_SCRIPT * len(rows)}
    sizes = np.array([len(row.text) for row in rows])
    long = max(_LONG, _MANY_TIMES * float(np.median(sizes))) if len(sizes) else 0.0
    for number, (row, script) in enumerate(zip(rows, scripts, strict=True)):
        if number % _CHUNK == 0:
            progress("reading texts", number, len(rows))
        findings += [Finding(kind, (row.line,)) for kind in faults(row.text)]
        if kinds := Counter(place.kind for place in find_personal_data(row.text, regions)):
            findings.append(Finding("personal", (row.line,), ", ".join(f"{kinds[kind]} {kind}" for kind in kinds)))
        if script not in common and script != NO_SCRIPT:
            findings.append(Finding("script", (row.line,), script))
        if len(row.text) > long:
            findings.append(Finding("long", (row.line,), f"{number_of(len(row.text), 'character')}"))
        elif len(row.text) < 40 and sum(character.isalnum() for character in row.text) < 2:
            findings.append(Finding("short", (row.line,), f"{number_of(len(row.text.strip()), 'character')}"))
    progress("reading texts", len(rows), len(rows))
    return findings


NO_SCRIPT: Final = "none"


def script_of(text: str) -> str:
    """The script that most of a text is written in, by its code (ISO 15924)."""
    return (language_of(text, {}) or f"und-{NO_SCRIPT}").removeprefix("und-")
