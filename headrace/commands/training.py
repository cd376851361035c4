"""train, evaluate, classify and models: their options. What they do stands in `headrace.model_commands`."""

from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")]
TextColumn = Annotated[str, typer.Option(help="column of the texts")]
LabelColumn = Annotated[
    str | None, typer.Option(help="column of the first head's labels; default: the heads' own columns, else label")
]
SplitColumn = Annotated[
    str, typer.Option(help="train | val, valid | test; without it a seeded stratified 80/20 split is made")
]
OosLabel = Annotated[str | None, typer.Option(help="label of out-of-scope texts: they set the rejection threshold")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command("train", epilog="Example: headrace train support --data tickets.csv --label-column topic --register")(_train)
    cli.command("evaluate", epilog="Example: headrace evaluate support@2 --data held_out.csv --json")(_evaluate)
    cli.command("classify", epilog='Example: headrace classify support "where is my parcel?"')(_classify)
    models = typer.Typer(no_args_is_help=True, help="The registry: list, show, verify, promote, roll back, try out.")
    cli.add_typer(models, name="models")
    models.command("list", epilog="Example: headrace models list --json")(_list)
    models.command("show", epilog="Example: headrace models show support@2")(_show)
    models.command("verify", epilog="Example: headrace models verify support")(_verify)
    models.command("promote", epilog="Example: headrace models promote support@2")(_promote)
    models.command("rollback", epilog="Example: headrace models rollback support")(_rollback)
    models.command("try", epilog="Example: headrace models try support@3 --canary 0.1")(_try)


def _train(
    app: Annotated[str, typer.Argument(help="support, finance, or the path of a TOML file")],
    data: Annotated[Path, typer.Option(help="labelled CSV, UTF-8")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    oos_label: OosLabel = None,
    strategy: Annotated[str, typer.Option(help="quick, or full: fine-tunes the encoder (extra `train`)")] = "quick",
    seed: Annotated[int, typer.Option(help="same seed, same data: same model")] = 0,
    epochs: Annotated[int | None, typer.Option(min=1, help="of --strategy full")] = None,
    output: Annotated[Path | None, typer.Option(help="write the release to this new folder")] = None,
    register: Annotated[
        bool, typer.Option("--register", help="put it into the registry; the next start serves it")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Train a release on labelled text, score it once on the test rows. Neither --output nor --register: figures only."""
    if output is not None and register:
        raise typer.BadParameter("give --output or --register, not both")
    from headrace.model_commands import run_train
    from headrace.training import TrainingOrder

    order = TrainingOrder(data, text_column, label_column, split_column, oos_label, strategy, seed, epochs)
    run_train(app, order, output=output, register=register, json=json)


def _evaluate(
    model: ModelName,
    data: Annotated[Path, typer.Option(help="labelled CSV; its test rows are scored, or all rows without a split column")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    oos_label: OosLabel = None,
    json: JsonFlag = False,
) -> None:
    """Score a release: accuracy with its interval, per label and per slice."""
    from headrace.model_commands import run_evaluate

    run_evaluate(
        model,
        data,
        text_column=text_column,
        label_column=label_column,
        split_column=split_column,
        oos_label=oos_label,
        json=json,
    )


def _classify(
    app: Annotated[str, typer.Argument(help="support, finance, or the path of a TOML file")],
    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT...]", help="default: the lines of standard input")] = None,
    model: Annotated[str | None, typer.Option(help="NAME@VERSION; default: the application's champion")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON lines, which is what it prints anyway")] = True,
) -> None:
    """Decisions for texts, as JSON lines. Without a model yet, one is trained from the application's corpus."""
    from headrace.model_commands import run_classify

    run_classify(app, texts, model)


def _list(json: JsonFlag = False) -> None:
    """Models and versions; * serves."""
    from headrace.model_commands import list_models

    list_models(json)


def _show(model: ModelName) -> None:
    """A release's manifest, without its golden texts."""
    from headrace.model_commands import show_model

    show_model(model)


def _verify(model: ModelName, json: JsonFlag = False) -> None:
    """Every hash and every golden text of a release."""
    from headrace.model_commands import verify_model

    verify_model(model, json)


def _promote(model: ModelName, json: JsonFlag = False) -> None:
    """Serve this version from now on; running workers hear of it through model.releases."""
    from headrace.model_commands import promote_model

    promote_model(model, json)


def _rollback(
    model: Annotated[str, typer.Argument(help="name of a model")], json: JsonFlag = False
) -> None:
    """Serve again what served before the champion; running workers hear of it through model.releases."""
    from headrace.model_commands import rollback_model

    rollback_model(model, json)


def _try(
    model: ModelName,
    canary: Annotated[float | None, typer.Option(min=0.001, max=1, help="share of the keys that it decides as well")] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="decides every event as well")] = False,
    end: Annotated[bool, typer.Option("--end", help="end all trials of this model")] = False,
    json: JsonFlag = False,
) -> None:
    """Let a version decide beside the champion: marked, in trials.APP, and never acting."""
    from headrace.model_commands import try_model

    try_model(model, canary=canary, shadow=shadow, end=end, json=json)
