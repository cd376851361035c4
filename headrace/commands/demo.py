"""demo: everything on embedded parts, with a story to watch."""

import logging
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from headrace.demo.run import Demo

DEFAULT_APPS = "support,finance,recommend"


def add_to(cli: typer.Typer) -> None:
    """Register the command."""

    @cli.command(epilog="Example: headrace demo --seconds 60")
    def demo(
        headless: Annotated[bool, typer.Option("--headless", help="no live view")] = False,
        seconds: Annotated[
            float, typer.Option(min=10, help="how long customers write; the number of events stays the same")
        ] = 75.0,
        apps: Annotated[str, typer.Option(help="applications, with commas between")] = DEFAULT_APPS,
        seed: Annotated[int, typer.Option(help="which texts come, and when")] = 0,
        drift: Annotated[
            bool, typer.Option("--drift/--no-drift", help="whether customers start to ask about something new")
        ] = True,
        json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    ) -> None:
        """The whole idea on this machine: three streams, a drift, corrections, a better model, nothing lost."""
        from headrace.demo.closing import closing_words
        from headrace.demo.run import Demo, DemoOrder
        from headrace.output import print_json, set_up_logging, stage_bars
        from headrace.process.runtime import run_async
        from headrace.settings import load_settings
        from headrace.terminal import say

        started = time.monotonic()
        settings = load_settings()
        is_live = not headless and not json and sys.stdout.isatty()
        set_up_logging("ERROR" if is_live else settings.log_level)
        logging.getLogger("asyncio").setLevel(logging.ERROR)
        show = Demo(settings, DemoOrder(tuple(dict.fromkeys(apps.split(","))), seconds, seed, drift))
        try:
            with stage_bars("training the first models") as progress:
                show.set_up(progress)
            code = _watch(show) if is_live else run_async(show.run)
            report = show.report() | {"seconds": round(time.monotonic() - started, 1)} if code == 0 else {}
        finally:
            show.close()
        if code:
            raise typer.Exit(code)
        if json:
            print_json(report)
        else:
            say(closing_words(report, str(show.wiring.settings.home_path)))


def _watch(show: "Demo") -> int:
    from rich.console import Console
    from rich.live import Live

    from headrace.demo.view import View
    from headrace.process.runtime import run_async

    view = View(show.ledger)
    with Live(view, console=Console(), refresh_per_second=4):
        return run_async(show.run)
