"""apps: files for a field of one's own. What the commands do stands in `headrace.tools.apps`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]


class Language(StrEnum):
    """In which the examples and the remarks are written."""

    en = "en"
    zh = "zh"


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    apps = typer.Typer(no_args_is_help=True, help="A field of your own, by a file: write an application's files.")
    cli.add_typer(apps, name="apps")
    apps.command(
        "new",
        epilog="Examples: headrace apps new triage --heads department,urgency · headrace apps new fenzhen "
        "--language zh",
    )(_new)


def _new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the application: small letters, digits, - and _")],
    folder: Annotated[Path, typer.Option(help="where the files go")] = Path(),
    heads: Annotated[
        str, typer.Option(metavar="NAME[,NAME]", help="the questions asked of each text, at most three, the main first")
    ] = "topic",
    language: Annotated[Language, typer.Option(help="of the texts, and of the remarks in the file")] = Language.en,
    topic: Annotated[str, typer.Option(help="the Kafka topic to read; default: NAME.texts")] = "",
    json: JsonFlag = False,
) -> None:
    """Write NAME.toml, with a remark at each line that says what it does, and NAME.csv with 30 labelled examples. They
    work as they are; a file that stands already is left as it is."""
    from headrace.tools.apps.new import Starter, run_new

    names = tuple(head.strip() for head in heads.split(","))
    run_new(Starter(name, folder, names, language.value, topic), json=json)
