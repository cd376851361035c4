"""search: decisions from the store."""

from typing import Annotated

import typer


def add_to(cli: typer.Typer) -> None:
    """Register the commands."""

    @cli.command(epilog='Example: headrace search "card not arrived" --app support --since 2026-11-01')
    def search(
        query: Annotated[str, typer.Argument(help="words that must occur; Chinese and Japanese are found as phrases")],
        app: Annotated[str | None, typer.Option(help="one application's decisions only")] = None,
        label: Annotated[str | None, typer.Option(help="decisions with this label (of any head)")] = None,
        since: Annotated[
            str | None, typer.Option(help="from this time on, RFC 3339: 2026-11-24 or 2026-11-24T10:00:00Z")
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=1000, help="at most so many")] = 20,
        json: Annotated[bool, typer.Option("--json", help="print JSON lines, one a decision")] = False,
    ) -> None:
        """Decisions whose text holds these words, best first."""
        from rich.console import Console
        from rich.table import Table

        from connectors.ports import SearchQuery
        from headrace.output import print_json
        from headrace.settings import load_settings
        from headrace.wiring import Wiring

        store = Wiring(load_settings()).store()
        try:
            result = store.search(SearchQuery(query, app, label, since, None, limit))
        finally:
            store.close()
        if json:
            for document in result.documents:
                print_json(document)
            return
        table = Table(
            "at", "app", "labels", "text", title=f"{result.total} {'decision' if result.total == 1 else 'decisions'}"
        )
        for document in result.documents:
            labels = ", ".join(
                f"{head['label']} {head['probability']:.2f}" for head in document.get("labels", {}).values()
            )
            table.add_row(str(document["at"])[:19], document["app"], labels, str(document["text"])[:120])
        Console().print(table)
