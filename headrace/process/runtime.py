"""Runs roles in one process: start together, watch, stop within the limit, leave with a code that tells the truth.

Exit codes: 0 drained and left; 1 a role could no longer work; 3 the stop took longer than HEADRACE_STOP_SECONDS.
Whatever is not 0 has its reason in one line on stderr. The limit holds until the process is gone: what a thread still
computes once all roles have stopped (a monitor, what a release is measured by) is of use to nobody.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from headrace.process.event_loop_watchdog import EventLoopWatchdog
from headrace.process.garbage import spared_collector
from headrace.process.watch import Watch
from models.errors import HeadraceError
from streams.engine.watchdog import BrokerGone, LogChanged
from streams.faust_runtime.role import Role

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
STARTING_WATCH_SECONDS = 0.05  # until this process is ready: whoever waits for that must not wait for the next look
STUCK_SECONDS = 120.0  # where nobody says otherwise; HEADRACE_STUCK_SECONDS does
DRAIN_SHARE = 0.5  # of the stop limit; the rest is for leaving the group and closing clients
EXIT_TROUBLE, EXIT_STOP_TIMEOUT = 1, 3


class Runtime:
    """Owns the roles of this process from start to exit."""

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        stop_seconds: float,
        watch: Watch | None = None,
        ends_process: bool = False,
    ) -> None:
        """watch: what looks after the roles; without one only roles that hang or failed are noticed. ends_process:
        whether nothing but the end of the process comes after `run`."""
        self._roles = roles
        self._stop_seconds = stop_seconds
        self._watch = watch or Watch(STUCK_SECONDS)
        self._loop_watch = EventLoopWatchdog(self._watch.stuck_seconds, EXIT_TROUBLE)
        self._stop = asyncio.Event()
        self._stopped = threading.Event()
        self._ends_process = ends_process
        self._is_clean = False  # all roles have stopped, and nothing is unfinished
        self._code = 0

    def request_stop(self) -> None:
        """Ask for a clean stop; the hard limit starts to run at the first request."""
        if not self._stop.is_set():
            threading.Thread(target=self._leave_at_the_limit, name="stop-limit", daemon=True).start()
            self._loop_watch.close()
            self._stop.set()

    async def run(
        self, on_ready: Callable[[], Awaitable[None]] | None = None, alongside: Awaitable[Any] | None = None
    ) -> int:
        """Until a stop is requested, `alongside` returns, or a role fails. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        self._watch.start()
        self._loop_watch.start()
        self._watch.health.follow_loop(lambda: self._loop_watch.silent_seconds)
        works = (self._stop.wait(), self._live(on_ready), self._look_after())
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
        if alongside is not None:
            tasks.append(asyncio.ensure_future(alongside))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self._code = code = self._code_of(tasks[1:])
        finally:
            self.request_stop()
            self._watch.health.follow_loop(lambda: 0.0)
            self._watch.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            unfinished = await self._stop_roles()
            self._is_clean = not unfinished
            if not self._ends_process:
                self._stopped.set()
        if unfinished:
            log.warning("%d events were unfinished; they will be decided at the next start", unfinished)
        elif not code:
            log.info("stopped: everything that was taken is finished")
        return code

    def _code_of(self, tasks: Sequence[asyncio.Task[Any]]) -> int:
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s", error, exc_info=None if isinstance(error, HeadraceError) else error)
                if isinstance(error, LogChanged | BrokerGone):
                    _leave_at_once()
                return EXIT_TROUBLE
        return 0

    async def _live(self, on_ready: Callable[[], Awaitable[None]] | None) -> None:
        await asyncio.gather(*(role.start() for role in self._roles))
        if on_ready is not None:
            await on_ready()
        with spared_collector():
            await asyncio.Event().wait()

    async def _look_after(self) -> None:
        seconds = STARTING_WATCH_SECONDS
        while True:
            asked = time.monotonic()
            await asyncio.sleep(seconds)
            now = time.monotonic()
            self._loop_watch.tick()
            self._watch.check(now, self._roles, max(now - asked - seconds, 0.0))
            if self._watch.health.is_ready:
                seconds = WATCH_SECONDS

    async def _stop_roles(self) -> int:
        budget = self._stop_seconds * DRAIN_SHARE
        results = await asyncio.gather(*(role.stop(budget) for role in self._roles), return_exceptions=True)
        for role, result in zip(self._roles, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("%s did not stop cleanly: %r", role.name, result)
        return sum(result for result in results if isinstance(result, int))

    def _leave_at_the_limit(self) -> None:
        if not self._stopped.wait(self._stop_seconds):
            if self._is_clean:
                logging.shutdown()
                os._exit(self._code)
            left = ", ".join(f"{role.name} ({role.engine.in_flight} events)" for role in self._roles)
            print(
                f"headrace: stop took longer than {self._stop_seconds:g} s, leaving; unfinished: {left}",
                file=sys.stderr,
                flush=True,
            )
            os._exit(self._code or EXIT_STOP_TIMEOUT)


def _leave_at_once() -> None:
    """Without the usual end, which commits: positions of the old log must not be written to the new one, and a broker
    that is gone takes none."""
    logging.shutdown()
    os._exit(EXIT_TROUBLE)


def run_async(main: Callable[[], Awaitable[int]]) -> int:
    """Run `main` on uvloop where it is installed."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_awaited(main))


async def _awaited(main: Callable[[], Awaitable[int]]) -> int:
    return await main()
