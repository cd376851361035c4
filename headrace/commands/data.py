"""data: check, clean and split files of labelled texts. What they do stands in `headrace.tools.data`."""

from pathlib import Path
from typing import Annotated

import typer

DataFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV (comma, semicolon, tab, pipe), JSON lines, Parquet; - for stdin")
]
TextColumn = Annotated[str, typer.Option(help="column of the texts")]
LabelColumn = Annotated[str | None, typer.Option(help="column of the labels; default: `label`, where there is one")]
SplitColumn = Annotated[
    str | None, typer.Option(help="column of train | valid | test; default: `split`, where there is one")
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", help="country (US, DE, …) whose national phone numbers are looked for; may be repeated"),
]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    data = typer.Typer(
        no_args_is_help=True,
        help="Labelled texts before they train: what is wrong with them, a file without it, and which of them test.",
    )
    cli.add_typer(data, name="data")
    data.command("check", epilog="Example: headrace data check tickets.csv --label-column topic --page tickets.html")(
        _check
    )
    data.command("clean", epilog="Example: headrace data clean tickets.csv --output tickets_clean.csv --mask")(_clean)
    data.command(
        "split",
        epilog="Examples: headrace data split tickets.csv --output parts.csv --group customer · headrace data split "
        "tickets.csv --output parts.csv --time created_at",
    )(_split)


def _check(
    file: DataFile,
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    split_column: SplitColumn = None,
    region: Regions = None,
    label_errors: Annotated[
        bool,
        typer.Option(
            "--label-errors/--no-label-errors",
            help="doubt labels by models that have not seen the row: the longest part",
        ),
    ] = True,
    page: Annotated[Path | None, typer.Option(help="write one HTML page with pictures and examples")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="print one JSON object, with the lines of every finding")
    ] = False,
) -> None:
    """What is wrong with a file of labelled texts: copies, leaks between its splits, labels that contradict each other
    or are probably wrong, damaged text, personal data. Every finding with its lines; nothing is changed."""
    from headrace.tools.data.checking import run_check
    from models.personal_data import REGIONS
    from retrain.preparation.rows import Where

    run_check(
        file,
        Where(text_column, label_column, split_column),
        regions=region or REGIONS,
        label_errors=label_errors,
        page=page,
        json=json,
    )


def _clean(
    file: DataFile,
    output: Annotated[Path, typer.Option(help="new file, .csv or .jsonl; one that exists is left as it is")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    split_column: SplitColumn = None,
    mask: Annotated[
        bool, typer.Option("--mask", help="put [card], [iban], [email] and [phone] in the place of personal data")
    ] = False,
    region: Regions = None,
    keep_copies: Annotated[
        bool, typer.Option("--keep-copies", help="keep rows that are exact copies of others with the same label")
    ] = False,
    changes: Annotated[
        Path | None, typer.Option(help="new file that says what changed, row by row; default: OUTPUT.changes.csv")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """A new file without what has one right answer: faults of texts, rows that no training takes, exact copies. The
    file itself stays as it is; labels are never changed."""
    from headrace.tools.data.cleaning import CleaningOrder, run_clean
    from models.personal_data import REGIONS
    from retrain.preparation.rows import Where

    order = CleaningOrder(output, changes, mask, keep_copies, region or REGIONS)
    run_clean(file, Where(text_column, label_column, split_column), order, json=json)


def _split(
    file: DataFile,
    output: Annotated[Path, typer.Option(help="new file, .csv or .jsonl; one that exists is left as it is")],
    text_column: TextColumn = "text",
    label_column: LabelColumn = None,
    test: Annotated[float, typer.Option(help="share of the rows that test")] = 0.2,
    valid: Annotated[float, typer.Option(help="share of the rows that tune; 0: none, a training takes its own")] = 0.0,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="rows of one value (a conversation, a customer) stay together")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="the latest rows test; ISO 8601 or numbers. Default: by label")
    ] = None,
    apart_near_copies: Annotated[
        bool, typer.Option("--apart-near-copies", help="near copies may go apart; exact ones never do")
    ] = False,
    split_column: Annotated[str, typer.Option(help="name of the new column")] = "split",
    seed: Annotated[int, typer.Option(help="same seed, same file: same parts")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """A new file with a column that says which rows train, tune and test: each label in each part, or the latest rows
    tested (--time); copies, near copies and rows of one group never apart."""
    from headrace.tools.data.splitting import SplitOrder, run_split
    from retrain.preparation.rows import Where

    order = SplitOrder(output, split_column, test, valid, not apart_near_copies, seed)
    run_split(file, Where(text_column, label_column, None, group, time), order, json=json)
