"""bench faults: a campaign of faults on real services, and its verdict."""

import secrets
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.faults.judge import Verdict

EXAMPLE = "Example: headrace bench faults --faults 80 --json"
FULL_CAMPAIGN = 80


def faults(
    faults: Annotated[int, typer.Option(min=1, help="how many; 20 are one of each kind")] = FULL_CAMPAIGN,
    seed: Annotated[
        int | None, typer.Option(help="of the order, the victims and the traffic; none: one is drawn, and printed")
    ] = None,
    app: Annotated[
        str, typer.Option(help="application whose champion decides; without one, it is trained from the corpus")
    ] = "support",
    data: Annotated[Path | None, typer.Option(help="CSV with a column text; default: the application's corpus")] = None,
    rate: Annotated[float, typer.Option(min=1, help="events a second")] = 40.0,
    keep: Annotated[
        Path | None, typer.Option(help="folder for ledger and logs; default: a temporary one, kept where it fails")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill, stop, add and starve processes and services of a cluster made for it, and judge what is left. Exit 1 when
    it fails.

    What goes through it is decided by workers and stored by indexers, as of any application. What an application's
    other roles know (conversations, stories, users) is killed by `headrace bench kills --app APP`."""
    from bench.faults.campaign import Plan, run
    from bench.faults.ground import ground_for
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    seed = secrets.randbelow(10**6) if seed is None else seed
    folder = keep or Path(tempfile.mkdtemp(prefix="headrace-bench-faults-"))
    with stage_bars() as progress:
        ground = ground_for(
            Wiring(load_settings()), load_application(app), data, folder, events_per_second=rate, progress=progress
        )
        verdict = run(ground, Plan(faults, seed), progress, lambda line: print(line, file=sys.stderr, flush=True))
    if json:
        print_json(verdict.as_json())
    else:
        _show(verdict)
    if verdict.passed and keep is None:
        shutil.rmtree(folder, ignore_errors=True)
    if not verdict.passed:
        print(f"ledger and logs are in {folder}", file=sys.stderr)
        raise typer.Exit(1)


def _show(verdict: "Verdict") -> None:
    for fault in verdict.faults:
        recovery = fault["recovery_seconds"]
        shown = "-" if recovery is None else f"{recovery:.1f} s"
        print(
            f"{fault['number']:>3} {fault['fault']:<26} {fault['detail']:<32} {shown:>8}  repeats "
            f"{fault['repeats']}{'' if fault['seen'] else '  NOT SEEN'}"
        )
    for name, value in verdict.figures.items():
        if not isinstance(value, list):
            print(f"{name:<24} {value}")
    print("passed" if verdict.passed else "\n".join(("FAILED", *verdict.breaches)))
