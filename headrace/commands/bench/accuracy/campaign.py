"""bench accuracy: releases of each strategy on public sets, beside published results."""

from pathlib import Path
from typing import Annotated, Any

import typer

EXAMPLE = "Example: headrace bench accuracy --data sets --sets banking77,tfn_sentiment --strategies floor,quick"


def accuracy(
    data: Annotated[Path, typer.Option(help="folder that holds a folder for each public set (bench/README.md)")],
    sets: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    strategies: Annotated[
        str, typer.Option(help="comma-separated, as `headrace train` knows them; floor is TF-IDF with an SVM")
    ] = "floor,quick",
    draws: Annotated[
        int | None, typer.Option(min=1, help="at most so many of a set; default: three, five of ten texts a label")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="file of results, gone on with where it stands; default: bench/results/accuracy-DATE.json"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Releases of each strategy on public sets, beside published results: mean and spread over seeds or splits, test
    rows scored once. No Kafka. Exit 1 where less came out than is asked."""
    from datetime import UTC, datetime

    from bench.accuracy.campaign import Plan, campaign
    from bench.accuracy.sets import SETS
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    plan = Plan(
        data,
        _names(sets) or tuple(SETS),
        _names(strategies),
        draws,
        output or Path("bench/results") / f"accuracy-{datetime.now(UTC).date()}.json",
    )
    with stage_bars() as progress:
        report = campaign(Wiring(load_settings()), plan, progress)
    if json:
        print_json(report)
    else:
        _print_table(report["table"])
        print(f"written to {plan.output}")
    if any(line["met"] is False for line in report["table"]):
        raise typer.Exit(1)


def _names(commas: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in commas.split(",") if name.strip())


def _print_table(table: list[dict[str, Any]]) -> None:
    columns = {
        "set": "set",
        "strategy": "strategy",
        "draws": "draws",
        "accuracy": "accuracy",
        "spread": "spread",
        "asked": "asked",
        "oos_recall": "out of scope",
        "oos_asked": "asked",
        "ece": "ECE",
        "seconds": "seconds",
        "model_bytes": "bytes",
        "texts_a_second": "texts/s",
    }
    widths = [20, *([14] * (len(columns) - 1))]  # a space more than the longest heading, at the least
    for line in [columns, *table]:
        values = ["-" if line[name] is None else str(line[name]) for name in columns]
        print("".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip())
