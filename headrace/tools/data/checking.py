"""What `headrace data check` does, and how it tells it. Nothing is changed."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace.output import print_json, stage_bars
from headrace.pages.data import render_check
from headrace.terminal import say, show_table
from headrace.tools.data.files import page_path, write_page
from headrace.tools.data.reading import DataFile, Source
from headrace.tools.data.report import report_of
from models.figures import number_of
from retrain.preparation.checks import check_rows
from retrain.preparation.findings import KINDS
from retrain.preparation.rows import Where

_LINES_SHOWN = 6


def run_check(
    source: Source, asked: Where, *, regions: Sequence[str], label_errors: bool, page: Path | None, json: bool
) -> None:
    """Check a file and tell the findings. label_errors: whether labels are doubted, which takes the longest."""
    if page is not None:
        page_path(page, source.file)
    began = time.monotonic()
    with stage_bars() as progress:
        file = source.read(asked, progress)
        findings = check_rows(
            file.rows,
            has_labels=file.where.label is not None,
            has_splits=file.where.split is not None,
            several=file.where.several,
            regions=regions,
            progress=progress,
        )
        not_checked = _not_checked(file, label_errors)
        if label_errors and file.where.label is not None and not file.where.several:
            from headrace.tools.data.label_errors import label_error_findings  # takes the encoder's libraries along

            doubted, left_out = label_error_findings(file.rows, progress)
            findings, not_checked = findings + doubted, not_checked + left_out
    report = report_of(file, findings, not_checked, time.monotonic() - began)
    if page is not None:
        html = render_check(report, {row.line: row.text for row in file.rows}, regions)
        write_page(page, html)
    if json:
        print_json(report)
    else:
        _tell(report, page)


def _not_checked(file: DataFile, label_errors: bool) -> list[str]:
    left_out = []
    if file.where.others:
        names = ", ".join(file.where.others)
        left_out.append(f"labels of {names}: --label-column names which column's are checked")
    if label_errors and file.where.several:
        left_out.append(f"suspected label errors: rows of {file.where.label} have several labels")
    if file.where.label is None and file.ids:
        left_out.append("labels: none were asked for; --labels feedback.labels takes those that people gave")
    elif file.where.label is None:
        left_out.append("labels: the file has no column `label`; name another one by --label-column")
    if file.where.split is None and not file.ids:
        left_out.append("leaks between splits: the file has no column `split`; name another one by --split-column")
    return left_out


def _tell(report: dict[str, Any], page: Path | None) -> None:
    labels, size = report["labels"], report["characters"]
    say(
        f"{report['file']}: {number_of(report['rows'], 'row')}, "
        f"{number_of(len(labels), 'label')}; half of the texts have at most "
        f"{number_of(size['median'], 'character')}, the longest has {size['longest']}"
    )
    if report["splits"]:
        say("splits: " + ", ".join(f"{name or 'none'} {count}" for name, count in report["splits"].items()))
    if report["kinds"]:
        rows = []
        for kind, counts in report["kinds"].items():
            lines = [one["lines"][0] for one in report["findings"] if one["kind"] == kind]
            more = ", …" if len(lines) > _LINES_SHOWN else ""
            shown = ", ".join(map(str, lines[:_LINES_SHOWN])) + more
            rows.append((KINDS[kind].title, counts["findings"], counts["rows"], shown, counts["clean"]))
        show_table(("finding", "findings", "rows", "first lines", "`clean`"), rows)
    else:
        say("nothing was found")
    for words in report["not_checked"]:
        say(f"not checked: {words}")
    if page is not None:
        say(f"the page is {page}")
    elif report["kinds"]:
        places = "records, counted as they are read, and their ids" if report["findings"][0].get("ids") else "lines"
        say(f"--page FILE.html shows each with its texts, --json each with its {places}")
