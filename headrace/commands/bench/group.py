"""bench: all benchmarks under one command."""

import typer

from headrace.commands.bench import (
    drift,
    explanation,
    fairness,
    faults,
    gate,
    kills,
    loop,
    poison,
    recommend,
    streaming,
)
from headrace.commands.bench.accuracy import campaign, contrast, entities, several_labels, stories


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    bench = typer.Typer(no_args_is_help=True, help="Benchmarks: equal work, one run, JSON out.")
    cli.add_typer(bench, name="bench")
    streaming.add_to(bench)
    bench.command("accuracy", epilog=campaign.EXAMPLE)(campaign.accuracy)
    bench.command("contrast", epilog=contrast.EXAMPLE)(contrast.contrast)
    bench.command("entities", epilog=entities.EXAMPLE)(entities.entities)
    bench.command("fairness", epilog=fairness.EXAMPLE)(fairness.fairness)
    bench.command("faults", epilog=faults.EXAMPLE)(faults.faults)
    bench.command("drift", epilog=drift.EXAMPLE)(drift.drift)
    bench.command("explanation", epilog=explanation.EXAMPLE)(explanation.explanation)
    bench.command("labels", epilog=several_labels.EXAMPLE)(several_labels.labels)
    bench.command("loop", epilog=loop.EXAMPLE)(loop.loop)
    bench.command("gate", epilog=gate.EXAMPLE)(gate.gate)
    bench.command("recommend", epilog=recommend.EXAMPLE)(recommend.recommend)
    bench.command("poison", epilog=poison.EXAMPLE)(poison.poison)
    bench.command("stories", epilog=stories.EXAMPLE)(stories.stories)
    bench.command("kills", epilog=kills.EXAMPLE)(kills.kills)
