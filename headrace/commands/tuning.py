"""compress and tune: their options. What they do stands in `headrace.tools.tuning`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import JsonFlag, LabelColumn, ModelName, SplitColumn, TextColumn


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "compress",
        epilog="Examples: headrace compress support@3 --epochs 6 --register. "
        "headrace compress support --epochs 0 --units 0.7 --output small",
    )(_compress)


def _compress(
    model: ModelName,
    data: Annotated[
        Path | None, typer.Option(help="labelled CSV or JSON lines; default: what the release was trained on")
    ] = None,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    unlabelled: Annotated[
        Path | None, typer.Option(help="more texts to learn from, in the column of --text-column")
    ] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="layers left; default: half of them, or all")] = None,
    heads: Annotated[float, typer.Option(help="share of the attention heads that is left")] = 1.0,
    units: Annotated[float, typer.Option(help="share of the feed-forward units that is left")] = 1.0,
    epochs: Annotated[
        int, typer.Option(min=0, help="teach the small encoder so many times over the texts (extra `train`); 0: prune")
    ] = 8,
    quantization: Annotated[
        str, typer.Option(help="outliers, percentile, entropy or smoothing; auto: the one that is closest")
    ] = "auto",
    limit_points: Annotated[float, typer.Option(help="refuse a release that loses more accuracy than this")] = 0.5,
    seed: Annotated[int, typer.Option(help="same seed, same data: same model")] = 0,
    output: Annotated[Path | None, typer.Option(help="write the release to this new folder")] = None,
    register: Annotated[bool, typer.Option("--register", help="put it into the registry, as the next version")] = False,
    json: JsonFlag = False,
) -> None:
    """Make a release smaller and faster: fewer layers, heads and feed-forward units, taught by the release itself.

    Size, speed and accuracy are shown before and after, on test rows that neither has learnt."""
    if output is not None and register:
        raise typer.BadParameter("give --output or --register, not both")
    from headrace.tools.tuning.compress import run_compress
    from headrace.training.compressing import CompressionRequest
    from retrain.compression.distillation import Distillation
    from retrain.compression.plan import CompressionPlan

    distillation = Distillation(epochs=epochs) if epochs else None
    order = CompressionRequest(
        model,
        CompressionPlan(layers, heads, units, distillation, quantization),
        data,
        text_column,
        label_column,
        split_column,
        unlabelled,
        limit_points,
        seed,
    )
    run_compress(order, output=output, register=register, json=json)
