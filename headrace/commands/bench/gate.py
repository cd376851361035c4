"""bench gate: how often challengers pass that are better, no better, or poisoned."""

from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench gate --runs 300 --json"


def gate(
    runs: Annotated[int, typer.Option(min=1, help="of each row")] = 300,
    seed: Annotated[int, typer.Option(help="of all runs; more runs begin with the same")] = 0,
    rows: Annotated[str, typer.Option(help="comma-separated parts of rows' names; empty: all")] = "",
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Champions and challengers that are made up, text by text, before the gate that guards releases; no model, no
    Kafka. Exit 1 where a row does not keep its limit."""
    from bench.gate.run import report
    from headrace.output import print_json, stage_bars

    kinds = [part.strip() for part in rows.split(",") if part.strip()]
    with stage_bars() as progress:
        figures = report(runs, seed, kinds, progress)
    if json:
        print_json(figures)
    else:
        for name, row in figures["rows"].items():
            low, high = row["ci95"]
            verdict = "  FAILED" if row["holds"] is False else ""
            print(f"{name:<72} {row['share']:>6.1%} ({low:.1%} to {high:.1%}){verdict}")
    if any(row["holds"] is False for row in figures["rows"].values()):
        raise typer.Exit(1)
