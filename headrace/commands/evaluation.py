"""evaluate and compare: their options. What they do stands in `headrace.tools.evaluating`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import JsonFlag, LabelColumn, ModelName, SplitColumn, TextColumn, TitleColumn

_SCORED = typer.Option(help="labelled CSV or JSON lines; its test rows are scored, or all rows without a split column")
Scored = Annotated[Path, _SCORED]
ScoredTexts = Annotated[Path | None, _SCORED]
OosLabel = Annotated[
    str | None, typer.Option(help="label of out-of-scope texts; default: the one that it was trained with")
]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    cli.command(
        "evaluate",
        epilog="Examples: headrace evaluate support@2 --data held_out.csv --slice channel --report report.html. "
        "headrace evaluate support@2 --images parcels",
    )(_evaluate)
    cli.command(
        "compare", epilog="Example: headrace compare support@2 support@3 --data held_out.csv --page verdict.html"
    )(_compare)


def _evaluate(
    model: ModelName,
    data: ScoredTexts = None,
    images: Annotated[
        Path | None,
        typer.Option(help="FOLDER/<label>/*.png|jpg|webp: score the release's pictures, with --data or without it"),
    ] = None,
    image_column: Annotated[
        str | None,
        typer.Option(help="of --data: column with the path of each row's picture: scores what both decide together"),
    ] = None,
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    oos_label: OosLabel = None,
    curve: Annotated[
        bool, typer.Option("--curve", help="accuracy against the share of texts answered, as a page and in --json")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="of --curve: the page's file; default MODEL-VERSION-curve.html")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="write all figures and pictures as one HTML page to this file")
    ] = None,
    slice_columns: Annotated[
        list[str] | None, typer.Option("--slice", help="column whose groups of texts are told apart; repeatable")
    ] = None,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="texts typed badly at several rates, and attacked by swapped words")
    ] = False,
    fairness: Annotated[
        bool,
        typer.Option("--fairness", help="swap names, gender words, places, dialect words: do decisions change?"),
    ] = False,
    fairness_list: Annotated[
        Path | None, typer.Option(help="of --fairness: a TOML file of words; default: Headrace's own list")
    ] = None,
    seed: Annotated[int, typer.Option(help="of what is drawn at random, such as the F1's intervals")] = 0,
    json: JsonFlag = False,
) -> None:
    """Score a release: accuracy with its interval, labels, confusions, calibration, groups of texts. With --images: the
    same of its pictures."""
    if data is None:
        if images is None:
            raise typer.BadParameter("give --data FILE, --images FOLDER or both")
        if curve or robustness or fairness or slice_columns or image_column:
            raise typer.BadParameter(
                "--curve, --robustness, --fairness, --slice and --image-column are about texts: give --data FILE"
            )
    if output is not None and not curve:
        raise typer.BadParameter("--output goes with --curve")
    if fairness_list is not None and not fairness:
        raise typer.BadParameter("--fairness-list goes with --fairness")
    from headrace.tools.evaluating.evaluate import EvaluationOrder, run_evaluate
    from headrace.tools.evaluating.loading import LabelledFile

    slices = tuple(slice_columns or ())
    columns = (text_column, label_column, split_column, slices, image_column, title_column)
    file = None if data is None else LabelledFile(data, *columns)
    order = EvaluationOrder(file, oos_label, curve, output, report, robustness, fairness, fairness_list, seed, images)
    run_evaluate(model, order, json=json)


def _compare(
    champion: Annotated[str, typer.Argument(metavar="A", help="what serves: NAME or NAME@VERSION")],
    challenger: Annotated[str, typer.Argument(metavar="B", help="what may take its place: NAME@VERSION")],
    data: Scored,
    text_column: TextColumn = None,
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = "split",
    slice_columns: Annotated[
        list[str] | None, typer.Option("--slice", help="column whose groups of texts must not get worse; repeatable")
    ] = None,
    oos_label: OosLabel = None,
    look: Annotated[
        int,
        typer.Option(min=1, help="judge B as A's challenger of this number; later ones must be more clearly better"),
    ] = 1,
    page: Annotated[Path | None, typer.Option(help="write the verdict as an HTML page, with examples")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="show no personal data in the examples")] = False,
    must_pass: Annotated[
        bool, typer.Option("--must-pass", help="exit code 1 where the gate would not release B")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """What the gate would say if B came to take A's place, on the same texts. Nothing is changed: neither the registry
    nor what serves."""
    from headrace.tools.evaluating.compare import ComparisonOrder, run_compare
    from headrace.tools.evaluating.loading import LabelledFile

    slices = tuple(slice_columns or ())
    file = LabelledFile(data, text_column, label_column, split_column, slices, title_column=title_column)
    passed = run_compare(champion, challenger, ComparisonOrder(file, oos_label, look, mask, page), json=json)
    if must_pass and not passed:
        raise typer.Exit(1)
