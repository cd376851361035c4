"""bench loop: what the whole loop brings on real Kafka, against no reaction and labels at random."""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench loop --data sets --seeds 3 --policies none,random,loop --json"


def loop(
    data: Annotated[Path, typer.Option(help="folder that holds a folder for each public set (bench/README.md)")],
    policies: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="stories; the domain that appears is another one in each")] = 10,
    first_seed: Annotated[int, typer.Option(min=0, help="number of the first")] = 0,
    events: Annotated[int, typer.Option(min=1_000, help="of a story")] = 3_500,
    rate: Annotated[float, typer.Option(min=1, help="events a second")] = 12.0,
    budget: Annotated[int, typer.Option(min=20, help="labels of a run")] = 200,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Accuracy over time on a stream in which a new domain appears, by who is asked for labels and when; all roles on
    real Kafka."""
    from bench.loop import run
    from bench.loop.policies import policies as standing
    from bench.loop.story import StoryPlan
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    story = StoryPlan(events=events)
    names = [name.strip() for name in policies.split(",")] if policies else list(standing(budget, events, story.onset))
    plan = run.Plan(data, range(first_seed, first_seed + seeds), names, story, rate, budget)
    with stage_bars() as progress:
        report = run.run(Wiring(load_settings()), plan, progress)
    if json:
        return print_json(report)
    print(
        f"{'policy':10} {'domain':18} {'labels':>6} {'start':>7} {'end':>7} {'with all':>8} {'releases':>8} {'lost':>5}"
    )
    for one in report["runs"]:
        print(
            f"{one['policy']:10} {one['domain']:18} {one['labels']:6} {one['accuracy_start']:7.3f} "
            f"{one['accuracy_end']:7.3f} {one['everything']:8.3f} {one['releases']:8} {one['lost']:5}"
        )
    return None
