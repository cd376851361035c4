"""A replay as one page: no network, no script, readable on a phone and in the dark. Stored texts are hostile: all is
escaped."""

from pathlib import Path
from typing import Any

from headrace.pages import page_environment
from headrace.replay.collecting import Replayed
from headrace.replay.report.charts import change_matrix, confidence_bins, decisions_over_time, interval_rows


def write_page(path: Path, report: dict[str, Any], replayed: Replayed) -> None:
    """Write the page. report: what `headrace replay --json` prints."""
    path.write_text(render_page(report, replayed), encoding="utf-8")


def render_page(report: dict[str, Any], replayed: Replayed) -> str:
    """The page's HTML."""
    environment = page_environment("headrace.replay", "report")
    answers, releases = replayed.answers, replayed.releases
    head = answers.heads[0]
    page: str = environment.get_template("page.html.j2").render(
        report=report,
        head=head,
        releases=releases,
        intervals=interval_rows(report),
        matrix=change_matrix(answers, releases[1], releases[0], head) if len(releases) > 1 else None,
        bins=confidence_bins(answers, head),
        timeline=decisions_over_time(answers, releases, head),
        per_label=_per_label(report, head),
        examples=report["examples"],
    )
    return page


def _per_label(report: dict[str, Any], head: str) -> list[dict[str, Any]]:
    """Rows of the table, where the releases differ most on top; of one release, the worst on top."""
    compared = report["against"]
    figures = report["metrics"]["heads"][head]["per_label"]
    if compared is None:
        rows = [{"label": label, **values} for label, values in figures.items()]
        return sorted(rows, key=lambda row: (row["f1"], row["label"]))
    rows = [
        {"label": label, **values, "f1": figures[label]["f1"]}
        for label, values in compared["heads"][head]["per_label"].items()
    ]
    return sorted(rows, key=lambda row: (-abs(row["better"] - row["worse"]), row["label"]))
