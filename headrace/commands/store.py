"""search, show, digest and trends: decisions from the store."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from datetime import datetime

    from connectors.ports import Document

TEXT_CHARACTERS = 120


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""

    @cli.command(
        epilog='Examples: headrace search "card not arrived" --app support --since 2026-11-01 · headrace search --app '
        'finance --entity "Brackwater Mills" --relevance-min 0.5'
        " · headrace search --app finance --story finance.news@0a1b2c3d-0-17"
        " · headrace search --app support --answer gift-vouchers"
    )
    def search(
        query: Annotated[
            str,
            typer.Argument(
                help="words that must all occur; Chinese and Japanese are found as phrases; `*`: all, the newest first"
            ),
        ] = "*",
        app: Annotated[
            str | None, typer.Option(help="one application's decisions only, by its name or its TOML file")
        ] = None,
        label: Annotated[str | None, typer.Option(help="decisions with this label (of any head)")] = None,
        since: Annotated[
            str | None, typer.Option(help="from this time on, RFC 3339: 2026-11-24 or 2026-11-24T10:00:00Z")
        ] = None,
        story: Annotated[
            str | None, typer.Option(metavar="ID", help="decisions that tell this story (their story_id)")
        ] = None,
        entity: Annotated[
            str | None, typer.Option(metavar="NAME", help="decisions on texts of this entity, by its name or id")
        ] = None,
        relevance_min: Annotated[
            float | None,
            typer.Option(min=0, max=1, help="with --entity: texts that are at least so much about it, 0 to 1"),
        ] = None,
        answer: Annotated[
            str | None,
            typer.Option(
                metavar="ENTRY", help="decisions answered by this entry of a bank of answers, or of its source"
            ),
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=1000, help="at most so many")] = 20,
        ids: Annotated[bool, typer.Option("--ids", help="print the decisions' ids only, one a line")] = False,
        json: Annotated[bool, typer.Option("--json", help="print JSON lines, one a decision")] = False,
    ) -> None:
        """Decisions whose text holds all of these words, best first. There are no operators; case and accents do not
        count. Without words: all, the newest first."""
        from connectors.ports import SearchQuery
        from headrace.applications import application_name
        from headrace.output import print_json
        from headrace.settings import load_settings
        from headrace.terminal import field, say, show_table
        from headrace.tools.searching import notes, question
        from headrace.wiring import Wiring

        if relevance_min is not None and entity is None:
            raise typer.BadParameter("say to which entity, by --entity", param_hint="--relevance-min")
        app = None if app is None else application_name(app)
        asked = (question(query), app, label, since, None, limit, story, entity, answer, relevance_min or 0.0)
        store = Wiring(load_settings()).store()
        try:
            result = store.search(SearchQuery(*asked))
            if app is not None and not result.documents and not store.search(SearchQuery("", app, limit=1)).documents:
                say(f"the store holds no decision of {field(app)}", error=True)
        finally:
            store.close()
        for note in notes(query):
            say(note, error=True)
        if json:
            for document in result.documents:
                print_json(document)
            return
        if ids:
            for document in result.documents:
                say(field(document["id"]))
            return
        show_table(
            ("at, application", "decided", "text, id"),
            [_row(document) for document in result.documents],
            title=f"{result.total} {'decision' if result.total == 1 else 'decisions'}",
        )

    cli.command("digest", epilog="Example: headrace digest finance --day 2026-11-24 --page monday.html")(_digest)
    cli.command(
        "trends",
        epilog="Examples: headrace trends finance --symbol BRKW --window 1h · headrace trends finance --topic results "
        "--window 1d --since 2026-11-01 --json",
    )(_trends)
    cli.command("show", epilog="Example: headrace show support.chats@0a1b2c3d-0-17")(_show)


class WindowLength(StrEnum):
    """Of event time."""

    minutes = "5m"
    hour = "1h"
    day = "1d"


def _trends(
    app: Annotated[str, typer.Argument(metavar="APP", help="an application's name, or its TOML file")],
    symbol: Annotated[str | None, typer.Option(help="one symbol's only; with --topic, of that topic")] = None,
    entity: Annotated[
        str | None, typer.Option(help="one entity's only, by its name, its id, an alias or a ticker")
    ] = None,
    topic: Annotated[str | None, typer.Option(metavar="LABEL", help="one label's of the first head only")] = None,
    window: Annotated[WindowLength, typer.Option(help="how long each is")] = WindowLength.hour,
    since: Annotated[
        str | None,
        typer.Option(help="from this time on, RFC 3339; default: the last 12 windows of 5m, 24 of 1h, 30 of 1d"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="up to but without this time; default: now")] = None,
    mood: Annotated[
        str | None,
        typer.Option(metavar="HEAD", help="whose labels are positive, neutral, negative; the application's second one"),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write one HTML page with pictures, of the --symbol, --entity or --topic"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print JSON lines, one a window and group")] = False,
) -> None:
    """How much is told of each topic, symbol and entity, window by window: items, stories, mean sentiment with its 95 %
    interval."""
    from headrace.tools.trends.making import TrendsOrder, run_trends
    from streams.monitor.trends.windows import Group

    if entity is not None and (symbol is not None or topic is not None):
        raise typer.BadParameter("give it without --symbol and --topic", param_hint="--entity")
    wanted = Group(topic, symbol, entity)
    if page is not None and wanted == Group():
        raise typer.BadParameter("say of what, by --symbol, --entity or --topic", param_hint="--page")
    stretch = _moment(since, "--since"), _moment(until, "--until")
    run_trends(TrendsOrder(app, window.value, wanted, *stretch, mood, page), json=json)


def _moment(text: str | None, option: str) -> "datetime | None":
    from datetime import UTC, datetime

    try:
        moment = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time: write 2026-11-24T10:00:00Z", param_hint=option) from None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _digest(
    app: Annotated[str, typer.Argument(metavar="APP", help="an application's name, or its TOML file")],
    day: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="which day, in UTC; today, as far as it is over")
    ] = None,
    days: Annotated[int, typer.Option(min=0, max=60, help="so many days before it are what is usual")] = 7,
    mood: Annotated[
        str | None, typer.Option(metavar="HEAD", help="the head whose labels say how; the application's second one")
    ] = None,
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="write one HTML page with a picture")] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object, of all groups")] = False,
) -> None:
    """What moved on a day: stories (copies count once) of each label, symbol and entity beside the days before, what
    was said of them, and the largest stories."""
    from datetime import date

    from headrace.tools.digest.making import DigestOrder, run_digest

    try:
        asked = None if day is None else date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter(f"{day!r} is no day: write it as 2026-11-24", param_hint="--day") from None
    run_digest(DigestOrder(app, asked, days, mood, page), json=json)


def _show(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="a decision's id, as `headrace search --ids` prints it")
    ],
    app: Annotated[
        str | None,
        typer.Option(help="whose decision, by its name or its TOML file, where two applications read the same topic"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """All that is known of one decision: its labels and release, and what people said of it since."""
    from headrace.applications import application_name
    from headrace.output import print_json
    from headrace.settings import load_settings
    from headrace.terminal import field, say
    from headrace.tools.decisions import know_decision, lines
    from headrace.wiring import Wiring

    known = know_decision(Wiring(load_settings()), identity, None if app is None else application_name(app))
    if json:
        return print_json(known.as_json())
    for name, value in lines(known):
        say(f"{field(name):<10} {field(value)}")
    return None


def _row(document: "Document") -> tuple[tuple[object, ...], ...]:
    """When and for whom; what was decided, and where it went; the text, and the id that other commands take."""
    from headrace.terminal import field
    from headrace.tools.decisions import leads_to
    from models.figures import moment

    heads = document.get("labels") or {}
    decided = [
        f"{head['label']} {head['probability']:.2f}{' (rejected)' if head.get('rejected') else ''}"
        for head in heads.values()
    ]
    return (
        (moment(str(document["at"])), document["app"]),
        (*decided, *leads_to(document)),
        (field(document["text"], TEXT_CHARACTERS), document["id"]),
    )
