"""bench kills: the loop, with one role after the other killed in the middle of it."""

from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench kills --runs 3 --json"


def kills(
    runs: Annotated[int, typer.Option(min=1, help="how often the story is told, each time with other kills")] = 30,
    first_seed: Annotated[int, typer.Option(min=0, help="number of the first")] = 0,
    kills: Annotated[int, typer.Option(min=0, help="roles that are killed (kill -9) in a run")] = 3,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """New subjects appear, people label, a better model is released, on real Kafka; workers, monitor, retrainer and
    notifier are killed at random points. Nothing may be lost, doubled, told twice or released twice."""
    from bench.kills import run
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = run.run(Wiring(load_settings()), range(first_seed, first_seed + runs), kills, progress)
    if json:
        print_json(report)
    else:
        for one in report["runs"]:
            what = "; ".join(one["violations"]) or "as if nobody had been killed"
            print(f"run {one['seed']}, killed {one['killed']}: {what}")
    if not report["passed"]:
        raise typer.Exit(1)
