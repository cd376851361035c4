"""data: check, clean, split and augment files of labelled texts. What they do stands in `headrace.tools.data`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.commands.replay import places

if TYPE_CHECKING:
    from headrace.tools.data.reading import Source
    from retrain.preparation.rows import Where

TOPIC = "Of a topic, or of the store"
File = Annotated[
    Path, typer.Argument(metavar="FILE", help="CSV (comma, semicolon, tab, pipe), JSON lines, Parquet; - for stdin")
]
FileOrTopic = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="CSV (comma, semicolon, tab, pipe), JSON lines, Parquet; - for stdin"),
]
Topic = Annotated[
    str | None,
    typer.Option(help="the texts of a topic in place of a file; nothing is committed", rich_help_panel=TOPIC),
]
Stored = Annotated[
    bool,
    typer.Option("--store", help="the decisions of --app in the store in place of a file", rich_help_panel=TOPIC),
]
App = Annotated[
    str | None,
    typer.Option(help="support, finance, or a TOML file: how the topic's records are read", rich_help_panel=TOPIC),
]
FileOrTopicApp = Annotated[
    str | None,
    typer.Option(
        "--app",
        help="support, finance, or a TOML file: what the columns of a FILE are called, which of them hold several "
        "labels with | between them; how a topic's records are read",
    ),
]
Start = Annotated[
    str | None,
    typer.Option("--from", metavar="T|OFFSET", help="first record: ISO time, or offset", rich_help_panel=TOPIC),
]
End = Annotated[
    str | None, typer.Option("--to", metavar="T|OFFSET", help="up to but without this one", rich_help_panel=TOPIC)
]
Labels = Annotated[
    str | None,
    typer.Option(metavar="FILE|TOPIC", help="labels by decision id, or feedback.labels", rich_help_panel=TOPIC),
]
TextColumn = Annotated[str, typer.Option(help="column of the texts")]
TitleColumn = Annotated[
    str | None,
    typer.Option("--title-column", "--title", help="of a FILE: column that becomes the texts' first line, their title"),
]
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
    data.command(
        "check",
        epilog="Examples: headrace data check tickets.csv --label-column topic --page tickets.html · headrace data "
        "check --topic support.chats --app support --labels feedback.labels · headrace data check tickets.csv --app "
        "tickets.toml",
    )(_check)
    data.command("clean", epilog="Example: headrace data clean tickets.csv --output tickets_clean.csv --mask")(_clean)
    data.command(
        "split",
        epilog="Examples: headrace data split tickets.csv --output parts.csv --group customer · headrace data split "
        "tickets.csv --output parts.csv --time created_at",
    )(_split)
    data.command("augment", epilog="Example: headrace data augment tickets.csv --with typing,swap --output made.csv")(
        _augment
    )


def _check(
    file: FileOrTopic = None,
    text_column: TextColumn = "text",
    title_column: TitleColumn = None,
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
    topic: Topic = None,
    store: Stored = False,
    app: FileOrTopicApp = None,
    start: Start = None,
    end: End = None,
    labels: Labels = None,
    json: Annotated[
        bool, typer.Option("--json", help="print one JSON object, with the lines of every finding")
    ] = False,
) -> None:
    """What is wrong with the labelled texts of a file, a topic or the store: copies, leaks between splits, labels that
    contradict each other or are probably wrong, damaged text, personal data. Every finding with its lines; nothing is
    changed."""
    from headrace.tools.data.checking import run_check
    from models.personal_data import REGIONS

    run_check(
        source_of(file, topic, store, app, start, end, labels, title_column, app_of_file=True),
        where_of(text_column, label_column, split_column, title_column, app if file is not None else None),
        regions=region or REGIONS,
        label_errors=label_errors,
        page=page,
        json=json,
    )


def where_of(text: str, label: str | None, split: str | None, title: str | None, app: str | None) -> "Where":
    """Columns of a file. app: whose file it is; None: nobody says."""
    from retrain.preparation.rows import Where

    if app is None:
        return Where(text, label, split, title=title)
    from headrace.applications import columns_of, load_classifying_application

    known = load_classifying_application(app)
    sets = frozenset(head.name for head in known.heads if head.multi)
    return Where(text, label, split, title=title, known=columns_of(known), sets=sets)


def source_of(
    file: Path | None,
    topic: str | None,
    store: bool,
    app: str | None,
    start: str | None,
    end: str | None,
    labels: str | None,
    title_column: str | None = None,
    *,
    app_of_file: bool = False,
) -> "Source":
    """What is to be read. Anything but one of the three is wrong usage. app_of_file: whether a FILE may have --app."""
    if (file is not None) + (topic is not None) + store != 1:
        raise typer.BadParameter("give a FILE, --topic or --store")
    if topic is None and (start is not None or end is not None):
        raise typer.BadParameter("--from and --to go with --topic")
    if file is not None:
        if labels is not None:
            raise typer.BadParameter("--labels goes with --topic or --store")
        if app is not None and not app_of_file:
            raise typer.BadParameter("--app goes with --topic or --store")
        from headrace.tools.data.reading import Source

        return Source(file)
    if title_column is not None:
        raise typer.BadParameter("--title-column goes with a FILE; of records --app says where their titles stand")
    if app is None:
        raise typer.BadParameter("--topic and --store need --app: it says how texts are read, and whose they are")
    first, last = places(start, end)
    from headrace.applications import load_application
    from headrace.replay.run import ReplayRequest
    from headrace.tools.data.reading import Source
    from headrace.tools.data.stored import StoredTexts

    application = load_application(app)
    if topic is None:
        return Source(None, stored=StoredTexts(application, labels))
    return Source(None, ReplayRequest(topic, application, start=first, end=last, labels=labels))


def _clean(
    output: Annotated[Path, typer.Option(help="new file, .csv or .jsonl; one that exists is left as it is")],
    file: FileOrTopic = None,
    text_column: TextColumn = "text",
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = None,
    mask: Annotated[
        bool,
        typer.Option("--mask", help="put \\[card], \\[iban], \\[email] and \\[phone] in the place of personal data"),
    ] = False,
    region: Regions = None,
    keep_copies: Annotated[
        bool, typer.Option("--keep-copies", help="keep rows that are exact copies of others with the same label")
    ] = False,
    changes: Annotated[
        Path | None, typer.Option(help="new file that says what changed, row by row; default: OUTPUT.changes.csv")
    ] = None,
    topic: Topic = None,
    store: Stored = False,
    app: FileOrTopicApp = None,
    start: Start = None,
    end: End = None,
    labels: Labels = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """A new file without what has one right answer: faults of texts, rows that no training takes, exact copies. The
    file itself stays as it is; labels are never changed."""
    from headrace.tools.data.cleaning import CleaningOrder, run_clean
    from models.personal_data import REGIONS

    order = CleaningOrder(output, changes, mask, keep_copies, region or REGIONS)
    run_clean(
        source_of(file, topic, store, app, start, end, labels, title_column, app_of_file=True),
        where_of(text_column, label_column, split_column, title_column, app if file is not None else None),
        order,
        json=json,
    )


def _split(
    file: File,
    output: Annotated[Path, typer.Option(help="new file, .csv or .jsonl; one that exists is left as it is")],
    text_column: TextColumn = "text",
    title_column: TitleColumn = None,
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
    run_split(file, Where(text_column, label_column, None, group, time, title_column), order, json=json)


def _augment(
    file: File,
    methods: Annotated[
        str,
        typer.Option(
            "--with",
            metavar="NAME[,NAME]",
            help="typing, dropout, swap, neighbours, wordnet[=FOLDER], masked=MODEL, apertium[=eng-spa], "
            "marian=THERE:BACK; auto: all that are there unasked",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="new file, .csv or .jsonl; one that exists is left as it is")
    ],
    text_column: TextColumn = "text",
    title_column: TitleColumn = None,
    label_column: LabelColumn = None,
    split_column: SplitColumn = None,
    seed: Annotated[int, typer.Option(help="same seed, same file: same texts")] = 0,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """What augmentation would make of the texts that train, beside them in a new file, to be looked at. A training
    makes its own (`headrace train --augment`)."""
    from headrace.tools.data.augmenting import run_augment
    from retrain.preparation.rows import Where

    where = Where(text_column, label_column, split_column, title=title_column)
    run_augment(file, where, methods, output=output, seed=seed, json=json)
