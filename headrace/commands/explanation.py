"""explain: why a release decided a text as it did. What it does stands in `headrace.tools.explanation`."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "explain",
        epilog='Examples: headrace explain support "my card has not arrived". '
        'headrace explain support@2 "my card has not arrived" --against lost_card --nearest 3. '
        "headrace explain --id support.chats@0a1b2c3d-0-17",
    )(_explain)


def _explain(
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION; of --id by default the one that decided"),
    ] = None,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT...]", help="default: the lines of standard input")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="a decision out of the store, on the path that decided it")
    ] = None,
    head: Annotated[str | None, typer.Option(help="which head's answer; default: the first")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="LABEL", help="why not this label: effects are those on the lead over it")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="occlusion (default), lime, shap (extra `explain`); several are compared, the first is told"),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=10, max=100_000, help="of lime and shap: texts with words left out")
    ] = 1_000,
    unit: Annotated[
        str, typer.Option(help="what scripts without spaces are split into: words or characters")
    ] = "words",
    full: Annotated[bool, typer.Option("--full", help="explain the encoder's answer where n-grams decided")] = False,
    deadline_ms: Annotated[
        float | None,
        typer.Option(min=0, help="milliseconds for each text; what is known by then is told, and that it was cut"),
    ] = None,
    nearest: Annotated[
        int, typer.Option(min=0, max=100, help="so many of the nearest texts that the release knows")
    ] = 0,
    data: Annotated[
        Path | None, typer.Option(help="of --nearest: labelled texts instead of those that the release was trained on")
    ] = None,
    text_column: Annotated[str, typer.Option(help="of --data")] = "text",
    label_column: Annotated[
        str | None, typer.Option(help="of --data; default: the heads' own columns, else label")
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(help="whose mask for personal data holds for the nearest texts; default: named like the model"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="write a page of all explanations")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON lines, one object a text")] = False,
) -> None:
    """The words that a decision stands on: what the release decides without them, each alone and one after the
    other."""
    if identity is not None and texts:
        raise typer.BadParameter("give texts or --id, not both")
    from headrace.tools.explanation.explaining import ExplainRequest, run_explain
    from headrace.tools.explanation.known_texts import LabelledFile

    request = ExplainRequest(
        texts=tuple(texts or ()),
        decision_id=identity,
        head=head,
        against=against,
        full=full,
        unit=unit,
        methods=tuple(method or ("occlusion",)),
        samples=samples,
        deadline_ms=deadline_ms,
        nearest_texts=nearest,
        known=None if data is None else LabelledFile(data, text_column, label_column),
        app=app,
        page=html,
    )
    run_explain(model, request, json)
