"""The command `headrace`. A known error is one line and exit code 1; wrong usage is exit code 2."""

import logging
import sys

import typer

from headrace import __version__
from headrace.commands import bench, dead_letters, demo, machine, models, replay, roles, store, training
from headrace.output import set_up_logging
from models.errors import HeadraceError

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    help="Text streams in, decisions out: transformer classifiers over Kafka topics, drift detection, proved "
    "releases.\n\n"
    "Start with: headrace demo",
)

demo.add_to(app)
roles.add_to(app)
training.add_to(app)
models.add_to(app)
store.add_to(app)
dead_letters.add_to(app)
replay.add_to(app)
machine.add_to(app)
bench.add_to(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="print the version and leave"
    ),
) -> None:
    """Options of every command."""


def main() -> None:
    """Entry point."""
    set_up_logging("INFO")
    try:
        app()
    except HeadraceError as error:
        print(f"headrace: {error}", file=sys.stderr)
        logging.getLogger(__name__).debug("", exc_info=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(0)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
