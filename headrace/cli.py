"""The command `headrace`. A known error is one line and exit code 1; wrong usage is exit code 2."""

import logging
import sys
from pathlib import Path

import typer

from headrace import __version__
from headrace.commands import (
    alerts,
    data,
    dead_letters,
    demo,
    drift,
    encoders,
    evaluation,
    explanation,
    labels,
    machine,
    models,
    replay,
    roles,
    store,
    training,
    tuning,
)
from headrace.commands.answers import group as answers_group
from headrace.commands.apps import group as apps_group
from headrace.commands.bench import group as bench_group
from headrace.commands.conversations import group as conversations_group
from headrace.commands.recommendation import group as recommendation_group
from headrace.output import set_up_logging
from headrace.settings import load_settings
from headrace.terminal import is_broken_pipe, one_line, prepare_streams, say, silence_stdout
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
apps_group.add_to(app)
training.add_to(app)
evaluation.add_to(app)
data.add_to(app)
explanation.add_to(app)
models.add_to(app)
tuning.add_to(app)
encoders.add_to(app)
store.add_to(app)
answers_group.add_to(app)
conversations_group.add_to(app)
recommendation_group.add_to(app)
labels.add_to(app)
alerts.add_to(app)
drift.add_to(app)
dead_letters.add_to(app)
replay.add_to(app)
machine.add_to(app)
bench_group.add_to(app)


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
    prepare_streams()
    set_up_logging("INFO")
    sys.exit(_run())


def _run() -> int:
    """The exit code. What a command could not write counts as its failure, so stdout is flushed here."""
    try:
        try:
            app()
        except SystemExit as leaving:
            sys.stdout.flush()
            return leaving.code if isinstance(leaving.code, int) else 0
    except HeadraceError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        silence_stdout()
        return 0 if is_broken_pipe(error) else _fail(_os_error_in_words(error))
    return 0


def _fail(message: str) -> int:
    say(f"headrace: {one_line(message)}", error=True)
    logging.getLogger(__name__).debug("", exc_info=True)
    return 1


def _os_error_in_words(error: OSError) -> str:
    """A disk that is full, a folder that may not be written: no fault of ours, so no traceback."""
    what = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return what
    try:
        is_ours = Path(str(error.filename)).is_relative_to(load_settings().home_path)
    except HeadraceError:
        is_ours = False
    return f"{error.filename}: {what}" + ("; HEADRACE_HOME must be a folder that can be written" if is_ours else "")


if __name__ == "__main__":
    main()
