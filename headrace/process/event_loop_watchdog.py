"""Notices from outside that the event loop no longer turns: nothing inside it could."""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable

LOOK_SECONDS = 0.5


class EventLoopWatchdog:
    """A thread that ends the process, with every thread's stack on stderr, when nobody has called `tick` for
    `limit_seconds`.

    It counts its own looks instead of reading a clock: a process that was suspended (a paused machine) did not stand
    still. leave: ends the process with a code (a test hands in its own).
    """

    def __init__(self, limit_seconds: float, exit_code: int, leave: Callable[[int], None] = os._exit) -> None:
        self._limit, self._exit_code, self._leave = limit_seconds, exit_code, leave
        self.silent_seconds = 0.0  # as of the last look
        self._ticks = self._seen = 0  # so often it was called, and as of the last look; each is written by one thread
        self._closing = threading.Event()

    def start(self) -> None:
        """Begin to watch; the loop must tick from now on."""
        threading.Thread(target=self._run, name="loop-watch", daemon=True).start()

    def tick(self) -> None:
        """The loop turns."""
        self._ticks += 1

    def close(self) -> None:
        """Watch no more."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            if self._look() <= self._limit:
                continue
            print(
                f"headrace: the event loop has stood still for {self.silent_seconds:.0f} s, leaving; the stacks:",
                file=sys.stderr,
                flush=True,
            )
            faulthandler.dump_traceback(file=sys.__stderr__ or 2, all_threads=True)
            self._leave(self._exit_code)
            return

    def _look(self) -> float:
        """For how many seconds nobody has called `tick`."""
        ticks = self._ticks
        self.silent_seconds = 0.0 if ticks != self._seen else self.silent_seconds + LOOK_SECONDS
        self._seen = ticks
        return self.silent_seconds
