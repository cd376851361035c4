"""`headrace models`: its options. What it does stands in `headrace.tools.models`."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
By = Annotated[str | None, typer.Option(help="who says so; default: the user of this system")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    models = typer.Typer(
        no_args_is_help=True,
        help="The registry: list, show, verify, promote, roll back, try out, history, prune.",
    )
    cli.add_typer(models, name="models")
    models.command("list", epilog="Example: headrace models list --json")(_list)
    models.command("show", epilog="Example: headrace models show support@2")(_show)
    models.command("verify", epilog="Example: headrace models verify support")(_verify)
    models.command("promote", epilog="Example: headrace models promote support@2")(_promote)
    models.command("rollback", epilog="Example: headrace models rollback support")(_rollback)
    models.command("approve", epilog="Example: headrace models approve support@3 --by ann")(_approve)
    models.command("reject", epilog='Example: headrace models reject support@3 --reason "not before Monday"')(_reject)
    models.command("history", epilog="Example: headrace models history support")(_history)
    models.command("verdict", epilog="Example: headrace models verdict support@3 --page verdict.html")(_verdict)
    models.command("card", epilog="Example: headrace models card support@3 --output MODEL_CARD.md")(_card)
    models.command("prune", epilog="Example: headrace models prune support --keep 5 --yes")(_prune)
    models.command("try", epilog="Example: headrace models try support@3 --canary 0.1")(_try)


def _list(json: JsonFlag = False) -> None:
    """Models and versions. *: announced last, by the registry's note; serves as: what a broker says, where one
    answers."""
    from headrace.tools.models import list_models

    list_models(json)


def _show(model: ModelName, json: JsonFlag = False) -> None:
    """What a release decides, how well, and what it is made of; with --json its manifest, without its golden texts."""
    from headrace.tools.models import show_model

    show_model(model, json)


def _verify(model: ModelName, json: JsonFlag = False) -> None:
    """The manifest against what was announced, every hash and every golden text of a release."""
    from headrace.tools.models import verify_model

    verify_model(model, json)


def _promote(
    model: ModelName,
    accept_altered: Annotated[
        bool, typer.Option("--accept-altered", help="though its manifest is not the one that was announced before")
    ] = False,
    by: By = None,
    json: JsonFlag = False,
) -> None:
    """Serve this version from now on; running workers hear of it through model.releases."""
    from headrace.tools.models import promote_model

    promote_model(model, accept_altered=accept_altered, who=by or getpass.getuser(), json=json)


def _rollback(
    model: Annotated[str, typer.Argument(help="name of a model")], by: By = None, json: JsonFlag = False
) -> None:
    """Serve again what served before the champion; running workers hear of it through model.releases."""
    from headrace.tools.models import rollback_model

    rollback_model(model, who=by or getpass.getuser(), json=json)


def _verdict(
    model: ModelName,
    page: Annotated[Path | None, typer.Option(help="write it as an HTML page, with examples, to this file")] = None,
    json: JsonFlag = False,
) -> None:
    """How the gate judged a release: every check, with its figures."""
    from headrace.tools.releases.verdict import show_verdict

    show_verdict(model, page, json)


def _history(model: ModelName, json: JsonFlag = False) -> None:
    """Every step of a model's releases, or of one: what happened, why, on what figures, when, who was behind it."""
    from headrace.tools.release_history import show_history

    show_history(model, json)


def _approve(
    model: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="the version that waits")],
    by: By = None,
    reason: Annotated[str, typer.Option(help="why; it stands in the history")] = "",
    json: JsonFlag = False,
) -> None:
    """Let a version go on that passed the gate and waits, as \\[release] approval = "ask" wants it."""
    from headrace.tools.approving import approve_model

    approve_model(model, who=by or getpass.getuser(), reason=reason, json=json)


def _reject(
    model: Annotated[str, typer.Argument(metavar="MODEL@VERSION", help="the version that is on its way to serve")],
    by: By = None,
    reason: Annotated[str, typer.Option(help="why; it stands in the history")] = "",
    json: JsonFlag = False,
) -> None:
    """End a version's way to serving, at whatever step it is; it is not tried again by itself."""
    from headrace.tools.approving import reject_model

    reject_model(model, who=by or getpass.getuser(), reason=reason, json=json)


def _try(
    model: ModelName,
    canary: Annotated[
        float | None, typer.Option(min=0.001, max=1, help="share of the keys that it decides as well")
    ] = None,
    shadow: Annotated[bool, typer.Option("--shadow", help="decides every event as well")] = False,
    end: Annotated[bool, typer.Option("--end", help="end all trials of this model")] = False,
    by: By = None,
    json: JsonFlag = False,
) -> None:
    """Let a version decide beside the champion: marked, in trials.APP, and never acting."""
    from headrace.tools.models import try_model

    try_model(model, canary=canary, shadow=shadow, end=end, who=by or getpass.getuser(), json=json)


def _card(
    model: ModelName,
    output: Annotated[Path | None, typer.Option(help="write it to this file; without, it is printed")] = None,
) -> None:
    """A release's model card: Markdown with the Hub's metadata: data, figures, slices, limits, cost of training."""
    from headrace.tools.releases.card import show_card

    show_card(model, output)


def _prune(
    name: Annotated[str | None, typer.Argument(help="name of a model; default: all")] = None,
    keep: Annotated[int, typer.Option(min=1, help="newest versions of each model that stay in any case")] = 3,
    yes: Annotated[bool, typer.Option("--yes", help="remove it; without, it is only listed")] = False,
    json: JsonFlag = False,
) -> None:
    """Versions that nobody refers to (never what serves, is on trial, or is gone back to), and files of none."""
    from headrace.tools.pruning import prune_models

    prune_models(name, keep=keep, yes=yes, json=json)
