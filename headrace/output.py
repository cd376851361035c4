"""What the command line shows: JSON on stdout and nothing else there; progress and logs on stderr."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson

from connectors.addresses import redacted
from headrace.terminal import console, plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

log = logging.getLogger(__name__)

LINE_SECONDS = 20.0  # between two lines about the same long work


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.flush()


def set_up_logging(level: str) -> None:
    """Our own messages at `level`; libraries only where something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PlainFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for room in ("headrace", "streams", "models", "connectors", "retrain"):
        logging.getLogger(room).setLevel(level)
    for noisy in ("kafka", "aiokafka", "faust", "mode", "elastic_transport", "waitress"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL if level != "DEBUG" else logging.DEBUG)


class _PlainFormatter(logging.Formatter):
    """Keys, labels and errors of other people's records stand in log lines too."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and a traceback below it, without credentials and without anything that a terminal obeys."""
        return redacted(plain(super().format(record)))


class StageBars:
    """A bar for each stage of long work on a terminal: how much, how fast, how long still."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, int] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        elif done < self._done[stage]:  # another round of it, with a time of its own
            self._progress.reset(self._tasks[stage])
        self._done[stage] = done
        self._progress.update(self._tasks[stage], completed=done, total=total)


class StageLine(StageBars):
    """One bar for all of it, of the stage that is being worked on; it names that, as it begins anew with each."""

    def __init__(self, progress: "Progress", words: str) -> None:
        super().__init__(progress)
        self._words = words
        self._task = progress.add_task(words, total=None)

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished."""
        self._progress.update(self._task, description=f"{self._words}: {stage}", completed=done, total=total)


class StageLines:
    """The same where nobody looks at a terminal: a line in the log now and then, and none about stages that are soon
    over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: dict[str, tuple[float, int]] = {}
        self._done: dict[str, int] = {}
        self._told = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report that `done` of `total` steps of `stage` are finished."""
        now = self._clock()
        if done < self._done.get(stage, done + 1):  # it begins, or begins anew for something else
            self._begun[stage], self._told = (now, done), now
        self._done[stage] = done
        if now - self._told < LINE_SECONDS or not 0 < done <= total:
            return
        self._told = now
        begun, had = self._begun[stage]  # what was done before goes on from there
        left = (now - begun) * (total - done) / max(1, done - had)
        log.info("%s: %d of %d, %s left", stage, done, total, f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s")


@contextmanager
def stage_bars(words: str | None = None) -> Iterator[Callable[[str, int, int], None]]:
    """Shows the progress of the work in a `with` block: a bar for each stage that stays; with `words` that say what is
    done, one bar for all of it that goes."""
    if not sys.stderr.isatty():
        yield StageLines()
        return
    # a process without a terminal, as roles are, starts without it
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<22}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(stderr=True), transient=words is not None) as progress:
        yield StageBars(progress) if words is None else StageLine(progress, words)
