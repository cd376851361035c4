"""bench: figures against limits and peers, measured in one run."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    bench = typer.Typer(no_args_is_help=True, help="Benchmarks: equal work, one run, JSON out.")
    cli.add_typer(bench, name="bench")
    bench.command("throughput", epilog="Example: headrace bench throughput --data texts.csv --json")(_throughput)


def _throughput(
    data: Annotated[Path, typer.Option(help="CSV with a column text; its test rows where it has splits")],
    app: Annotated[str, typer.Option(help="application whose champion decides")] = "support",
    seconds: Annotated[float, typer.Option(min=5, help="at least so long for each side")] = 60.0,
    seed: Annotated[int, typer.Option(help="of the order and of the suffixes that make each text unique")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Texts a second through a worker on real Kafka, against the bare ONNX Runtime session on the same texts."""
    from bench import throughput
    from headrace.applications import load_application
    from headrace.output import print_json, stage_bars
    from headrace.settings import load_settings
    from headrace.wiring import Wiring

    with stage_bars() as progress:
        report = throughput.run(
            Wiring(load_settings()), load_application(app), data, seconds=seconds, seed=seed, progress=progress
        )
    if json:
        print_json(report)
        return
    rates = report["texts_per_second"]
    print(f"bare session   {rates['session']:8.1f} texts/s  {report['session']}")
    print(f"headrace       {rates['headrace_full']:8.1f} events/s end to end on Kafka")
    print(f"ratio          {report['ratios']['headrace_full/session']:8.3f}")
