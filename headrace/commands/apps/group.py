"""apps: files for a field of one's own. What the commands do stands in `headrace.tools.apps`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headrace.commands.training import TitleColumn

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]


class Language(StrEnum):
    """In which the examples and the remarks are written."""

    en = "en"
    zh = "zh"


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    apps = typer.Typer(
        no_args_is_help=True, help="A field of your own, by a file: write an application's files, prove them."
    )
    cli.add_typer(apps, name="apps")
    apps.command(
        "new",
        epilog="Examples: headrace apps new triage --heads department,urgency · headrace apps new fenzhen "
        "--language zh · headrace apps new pool --from complaints.csv --heads Subject,Urgency",
    )(_new)
    apps.command(
        "check",
        epilog="Examples: headrace apps check triage.toml · headrace apps check triage.toml --records sample.jsonl",
    )(_check)


def _new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the application: small letters, digits, - and _")],
    folder: Annotated[Path, typer.Option(help="where the files go")] = Path(),
    heads: Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME]",
            help="the questions asked of each text, at most three, the main first; with --from: the columns of FILE "
            "that answer them",
        ),
    ] = "topic",
    sheet: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="labelled texts of your own, in place of the 30 examples"),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="with --from: column of the texts; default: `text`, or the one with the longest")
    ] = None,
    language: Annotated[Language, typer.Option(help="of the texts, and of the remarks in the file")] = Language.en,
    topic: Annotated[str, typer.Option(help="the Kafka topic to read; default: NAME.texts")] = "",
    json: JsonFlag = False,
) -> None:
    """Write NAME.toml, with a remark at each line that says what it does, and NAME.csv with 30 labelled examples. They
    work as they are; a file that stands already is left as it is. With --from: NAME.toml alone, with the columns,
    labels and sets of labels of your own file."""
    from headrace.tools.apps.new import Starter, run_new

    names = tuple(head.strip() for head in heads.split(","))
    run_new(Starter(name, folder, names, language.value, topic, sheet, text_column), json=json)


def _check(
    application: Annotated[str, typer.Argument(metavar="FILE", help="the application's TOML file, or one that ships")],
    data: Annotated[Path | None, typer.Option(help="labelled CSV or JSON lines; default: the file's `corpus`")] = None,
    records: Annotated[
        Path | None,
        typer.Option(help="records as they stand in the topic, one a line; default: examples that did not train"),
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="column of the texts in the examples; default: the file's `text_column`")
    ] = None,
    title_column: TitleColumn = None,
    json: JsonFlag = False,
) -> None:
    """Prove an application's file on ten records: each thing that does not fit in one line, then ten decisions by a
    model that is trained for this alone. Nothing is left behind; exit code 0 where everything is in order."""
    from headrace.tools.apps.checking import CheckOrder, run_check

    if not run_check(CheckOrder(application, data, records, text_column, title_column), json=json):
        raise typer.Exit(1)
