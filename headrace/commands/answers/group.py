"""`headrace answers`: its options. What it does stands in `headrace.tools.answers`."""

from pathlib import Path
from typing import Annotated

import typer

App = Annotated[str, typer.Option(help="whose answers: support, or an application's TOML file")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Confidence = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="answer from here on; 0.9: one in ten questions that the bank has no answer for is answered all the same; "
        "default: as the application's \\[answer_bank] says, else 0.9",
    ),
]


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""
    answers = typer.Typer(no_args_is_help=True, help="A bank of questions with answers: add, remove, search, check.")
    cli.add_typer(answers, name="answers")
    answers.command("add", epilog="Example: headrace answers add faq.csv --app support")(_add)
    answers.command("publish", epilog="Example: headrace answers publish --app support")(_publish)
    answers.command("missing", epilog="Example: headrace answers missing --app support --days 7")(_missing)
    answers.command("search", epilog='Example: headrace answers search "where is my card?"')(_search)
    answers.command("check", epilog="Example: headrace answers check questions.csv --app support")(_check)
    answers.command(
        "remove",
        epilog="Examples: headrace answers remove faq-17 · headrace answers remove --all",
    )(_remove)


def _publish(app: App = "support", json: Json = False) -> None:
    """Make the topic that workers take their answers from equal to the bank; `add` and `remove` do so by themselves."""
    from headrace.tools.answers.running import publish_again

    publish_again(app, json)


def _add(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines or Parquet: id, question, answer, language, source")],
    app: App = "support",
    json: Json = False,
) -> None:
    """Put answers into the bank. An id that stands is replaced; language and source may be left out."""
    from headrace.tools.answers.running import add_file

    add_file(app, file, json)


def _search(
    text: Annotated[str, typer.Argument(help="what somebody asks")],
    app: App = "support",
    confidence: Confidence = None,
    limit: Annotated[int, typer.Option(min=1, max=50, help="at most so many")] = 5,
    json: Json = False,
) -> None:
    """The best answers for a text by its meaning and its words, and whether the first is sure enough to be given."""
    from headrace.tools.answers.running import search_bank

    search_bank(app, text, confidence, limit, json)


def _check(
    file: Annotated[Path, typer.Argument(help="question, ids (of the bank's entries that answer it, `|` between)")],
    app: App = "support",
    confidence: Confidence = None,
    json: Json = False,
) -> None:
    """How well the bank answers questions whose right answers are known."""
    from headrace.tools.answers.running import check_file

    check_file(app, file, confidence, json)


def _missing(
    app: App = "support",
    days: Annotated[int, typer.Option(min=1, help="of so many days up to now")] = 30,
    least: Annotated[int, typer.Option(min=1, help="texts that ask the same, at least")] = 2,
    limit: Annotated[int, typer.Option(min=1, help="at most so many")] = 20,
    json: Json = False,
) -> None:
    """What was asked and not answered, most often first: the answers that somebody should write."""
    from headrace.tools.answers.running import list_missing

    list_missing(app, days, least, limit, json)


def _remove(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="as `headrace answers search` shows it")] = None,
    app: App = "support",
    everything: Annotated[bool, typer.Option("--all", help="the whole bank")] = False,
    json: Json = False,
) -> None:
    """Take answers out of the bank."""
    if bool(ids) == everything:
        raise typer.BadParameter("give IDs, or --all")
    from headrace.tools.answers.running import remove_ids

    remove_ids(app, ids or [], everything, json)
