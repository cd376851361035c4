"""explain and map: why a release decided a text as it did, and how its encoder places texts; see
`headrace.tools.explanation`."""

from pathlib import Path
from typing import Annotated

import typer


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "explain",
        epilog='Examples: headrace explain support "my card has not arrived". '
        'headrace explain support@2 "my card has not arrived" --against lost_card --nearest 3. '
        "headrace explain --id support.chats@0a1b2c3d-0-17. "
        "headrace explain support --image parcel.jpg --html parcel.html",
    )(_explain)
    cli.command(
        "map",
        epilog="Examples: headrace map support --new last_week.csv --output map.html. "
        "headrace map support@2 --data tickets.csv --label-column topic --highlight refund --highlight fee",
    )(_map)


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
    image: Annotated[
        Path | None,
        typer.Option(help="a picture in place of texts: what each place adds to its label (extra `explain`)"),
    ] = None,
    head: Annotated[str | None, typer.Option(help="which head's answer; default: the first")] = None,
    against: Annotated[
        str | None, typer.Option(metavar="LABEL", help="why not this label: effects are those on the lead over it")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="of a head that gives several labels: explain this one; default: each given")
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
    text_column: Annotated[
        str | None, typer.Option(help="of --data; default: as of the file that the release was trained on")
    ] = None,
    title_column: Annotated[
        str | None,
        typer.Option("--title-column", "--title", help="of --data: column of the texts' first lines"),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="of --data; default: the heads' own columns, else label")
    ] = None,
    app: Annotated[
        str | None,
        typer.Option(help="whose fast path and mask for personal data hold; default: named like the model"),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="write a page of all explanations")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON lines, one object a text")] = False,
) -> None:
    """The words that a decision stands on: what the release decides without them, each alone and one after the
    other. Where a release says something of names, the same for each name."""
    if identity is not None and texts:
        raise typer.BadParameter("give texts or --id, not both")
    if image is not None:
        from headrace.tools.pictures.explaining import check_alone, run_explain_picture

        return run_explain_picture(check_alone(texts, identity, model), image, samples=samples, page=html, json=json)
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
        known=None if data is None else LabelledFile(data, text_column, label_column, title_column),
        app=app,
        page=html,
        label=label,
    )
    return run_explain(model, request, json)


def _map(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME@VERSION")],
    data: Annotated[
        Path | None, typer.Option(help="labelled texts instead of those that the release was trained on")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="of --data and --new; default: as of the file that the release was trained on")
    ] = None,
    title_column: Annotated[
        str | None,
        typer.Option("--title-column", "--title", help="of --data and --new: column of the texts' first lines"),
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="of --data; default: the heads' own columns, else label")
    ] = None,
    new: Annotated[Path | None, typer.Option(help="texts without labels, such as last week's")] = None,
    head: Annotated[str | None, typer.Option(help="whose labels; default: the first")] = None,
    points: Annotated[int, typer.Option(min=10, max=10_000, help="at most so many known and new texts")] = 1_500,
    highlight: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="labels with a colour; default: the 12 most frequent")
    ] = None,
    app: Annotated[
        str | None, typer.Option(help="whose mask for personal data holds; default: named like the model")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the draw and of t-SNE")] = 0,
    output: Annotated[Path | None, typer.Option(help="the page's file; default MODEL-VERSION-map.html")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """A release's texts as its encoder places them, known and new, by principal components and t-SNE: one page that
    needs no network."""
    from headrace.tools.explanation.known_texts import LabelledFile
    from headrace.tools.explanation.mapping import MapRequest, run_map

    request = MapRequest(
        known=None if data is None else LabelledFile(data, text_column, label_column, title_column),
        new=new,
        new_column=text_column,
        head=head,
        points=points,
        highlight=tuple(highlight or ()),
        app=app,
        seed=seed,
        output=output,
        new_title=title_column,
    )
    run_map(model, request, json)
