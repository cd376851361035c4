"""bench poison: can bad labels get a worse model released?"""

from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench poison --data banking77.csv --runs 60 --json"


def poison(
    data: Annotated[Path, typer.Option(help="CSV with text, label and split; 21 labels or more of 110 training texts")],
    runs: Annotated[int, typer.Option(min=1, help="of each scenario, each on other labels of the set")] = 60,
    seed: Annotated[int, typer.Option(help="of the first run; more runs begin with the same")] = 0,
    scenarios: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    label_column: Annotated[str, typer.Option(help="column of the labels")] = "label",
    strategy: Annotated[
        str, typer.Option(help="embeddings (softmax regression on them), or quick, 15 times as long")
    ] = ("embeddings"),
    sift: Annotated[bool, typer.Option(help="set bad labels aside, or let all of them train")] = True,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """People label, some of them badly; what is trained on it meets the gate, and what that releases is measured on
    clean texts. No Kafka. Exit 1 where a release lost 2 points in all, or 20 on a label."""
    from bench.poison.campaign import Plan, campaign
    from bench.poison.heads import TRAINERS
    from bench.poison.people import SCENARIOS
    from headrace.output import print_json, stage_bars
    from headrace.releases.encoders import default_encoder
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    names = [part.strip() for part in scenarios.split(",") if part.strip()]
    if unknown := set(names) - set(SCENARIOS):
        raise typer.BadParameter(f"no scenario {min(unknown)!r}; there are: {', '.join(SCENARIOS)}")
    if strategy not in TRAINERS:
        raise typer.BadParameter(f"no strategy {strategy!r}; there are: {', '.join(TRAINERS)}")
    chosen = tuple(name for name in SCENARIOS if name in names or not names)
    plan = Plan(data, runs, seed, chosen, label_column, strategy, sift)
    with stage_bars() as progress:
        report = campaign(default_encoder(Wiring(load_settings())), plan, progress)
    if json:
        print_json(report)
    else:
        print(
            f"{'':15} {'runs':>5} {'released':>9} {'harmful':>8} {'lost':>6} {'of a label':>11} {'wrong trained':>14}"
        )
        for name, row in report["scenarios"].items():
            wrong = "-" if row["wrong_trained_share"] is None else f"{row['wrong_trained_share']:.1%}"
            print(
                f"{name:15} {row['runs']:5} {row['runs_with_a_release']:9} {row['harmful']:8} "
                f"{row['most_lost_overall']:6.1f} {row['most_lost_label']:11.1f} {wrong:>14}"
            )
    if any(row["harmful"] for row in report["scenarios"].values()):
        raise typer.Exit(1)
