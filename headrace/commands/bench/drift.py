"""bench drift: delay, false alarms and names of the drift monitor on streams made from public sets."""

import sys
from pathlib import Path
from typing import Annotated

import typer

EXAMPLE = "Example: headrace bench drift --data sets --streams a20,f,g --json"


def drift(
    data: Annotated[Path, typer.Option(help="folder that holds a folder for each public set (bench/README.md)")],
    streams: Annotated[str, typer.Option(help="comma-separated; empty: all")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="runs of a stream, of each domain where there are several")] = 20,
    events: Annotated[int, typer.Option(min=100_000, help="of the stationary stream, all pools together")] = 1_000_000,
    false_alarm_every: Annotated[
        int, typer.Option(min=100, help="events between two false alarms, as an application's file states it")
    ] = 100_000,
    fast_path: Annotated[bool, typer.Option(help="as the release says, or the encoder for every text")] = True,
    processes: Annotated[int, typer.Option(min=1, help="side by side, for the stationary streams")] = 1,
    peers: Annotated[str, typer.Option(help="of the streams at equal rates, comma-separated; empty: all")] = "",
    python: Annotated[
        list[str] | None,
        typer.Option(help="interpreter of another environment, for peers whose libraries are not in this one"),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="folder of embeddings and releases; default: beside the encoder's graphs")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Delay, false alarms and names of the drift monitor, on streams made from public sets; no Kafka."""
    from bench.drift import run
    from bench.drift.bed import Plan
    from bench.drift.peers.race import OURS, PEERS
    from bench.drift.table import lines
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    wiring = Wiring(load_settings())
    folder = cache or wiring.settings.cache.expanduser() / "bench-drift"
    chosen = [name.strip() for name in streams.split(",")] if streams else list(run.ROWS)
    rivals = tuple(name.strip() for name in peers.split(",")) if peers else (OURS, *PEERS)
    pythons = (sys.executable, *(python or ()))
    plan = Plan(data, folder, seeds, events, false_alarm_every, fast_path, rivals, pythons, processes)
    with stage_bars() as progress:
        report = run.run(wiring, plan, chosen, progress)
    if json:
        return print_json(report)
    for line in lines(report):
        print(line)
    return None
