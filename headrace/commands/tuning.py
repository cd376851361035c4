"""compress and tune: their options. What they do stands in `headrace.tools.tuning`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import (
    Entities,
    JsonFlag,
    LabelColumn,
    ModelName,
    OosLabel,
    PolarityOption,
    SplitColumn,
    TextColumn,
    TitleColumn,
)


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "compress",
        epilog="Examples: headrace compress support@3 --epochs 6 --register. "
        "headrace compress support --epochs 0 --units 0.7 --output small",
    )(_compress)
    cli.command(
        "tune",
        epilog="Examples: headrace tune support --data tickets.csv --trials 60. "
        "headrace tune support --data tickets.csv --strategy full --minutes 120 --study full.sqlite",
    )(_tune)


def _compress(
    model: ModelName,
    data: Annotated[
        Path | None, typer.Option(help="labelled CSV or JSON lines; default: what the release was trained on")
    ] = None,
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
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
    ] = 6,
    quantization: Annotated[
        str, typer.Option(help="outliers, percentile, entropy or smoothing; auto: the one that is closest")
    ] = "auto",
    limit_points: Annotated[
        float, typer.Option(help="refuse a release that loses more accuracy, or F1 of names, than this")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="same seed, same data: same model")] = 0,
    output: Annotated[Path | None, typer.Option(help="write the release to this new folder")] = None,
    register: Annotated[bool, typer.Option("--register", help="put it into the registry, as the next version")] = False,
    json: JsonFlag = False,
) -> None:
    """Make a release smaller and faster: fewer layers, heads and feed-forward units, taught by the release itself.

    Size, speed and accuracy are shown before and after, on test rows that neither has learnt; and the F1 of what is
    said of names, where the release says something of them."""
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
        title_column,
    )
    run_compress(order, output=output, register=register, json=json)


def _tune(
    app: Annotated[str, typer.Argument(help="support, finance, or the path of a TOML file")],
    data: Annotated[Path, typer.Option(help="labelled CSV or JSON lines, UTF-8; its test rows take no part")],
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    group_column: Annotated[str | None, typer.Option(help="rows of one value stay together in every fold")] = None,
    oos_label: OosLabel = None,
    strategy: Annotated[str, typer.Option(help="quick, or full (extra `train`)")] = "quick",
    sampler: Annotated[str, typer.Option("--search", "--sampler", help="tpe, random or grid")] = "tpe",
    trials: Annotated[
        int | None, typer.Option(min=1, help="of the study in all; default: the whole grid, else 50")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="begin no trial after so many")] = None,
    metric: Annotated[str, typer.Option(help="accuracy or loss, on texts that the trial has not learnt")] = "accuracy",
    study: Annotated[
        Path | None,
        typer.Option(
            help="SQLite file that remembers the trials; default APP-STRATEGY.sqlite. One that stands goes on"
        ),
    ] = None,
    entities: Entities = None,
    polarity: PolarityOption = None,
    seed: Annotated[int, typer.Option(help="same seed, same data: same search")] = 0,
    json: JsonFlag = False,
) -> None:
    """Search a strategy's options. Beside the study: the best as TOML, which `train --config` reads, and a page.

    Whatever ends it, Ctrl-C or a kill, the same command goes on where it was."""
    from headrace.tools.tuning.tune import run_tune
    from headrace.training.from_file import TrainingRequest
    from headrace.training.tuning import TuningRequest
    from retrain.search.study import SearchPlan

    seconds = None if minutes is None else 60 * minutes
    training = TrainingRequest(
        data,
        text_column,
        label_column,
        split_column,
        oos_label,
        strategy,
        seed,
        group_column=group_column,
        title_column=title_column,
        entities=entities,
        polarity=polarity,
    )
    plan = SearchPlan(sampler, trials, seconds, maximise=metric != "loss", seed=seed)
    file = study or Path(f"{Path(app).stem}-{strategy}.sqlite")
    run_tune(app, TuningRequest(training, plan, file, metric), json=json)
