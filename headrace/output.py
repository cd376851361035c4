"""What the command line shows: JSON on stdout and nothing else there; progress and logs on stderr."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

ERRORS = Console(stderr=True)


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.flush()


def set_up_logging(level: str) -> None:
    """Our own messages at `level`; libraries only where something is wrong."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    for room in ("headrace", "streams", "models", "connectors", "retrain"):
        logging.getLogger(room).setLevel(level)
    for noisy in ("kafka", "aiokafka", "faust", "mode", "elastic_transport"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if level != "DEBUG" else logging.DEBUG)


class StageBars:
    """A bar for each stage of long work: how much, how fast, how long still. Shows nothing where stderr is no terminal."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)


@contextmanager
def stage_bars() -> Iterator[StageBars]:
    """Bars for the time of a `with` block."""
    columns = (TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=ERRORS, disable=not sys.stderr.isatty(), transient=False) as progress:
        yield StageBars(progress)
