"""Runs roles in one process: start together, watch, stop within the limit, leave with a code that tells the truth.

Exit codes: 0 drained and left; 1 a role could no longer work; 3 the stop took longer than HEADRACE_STOP_SECONDS.
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

from streams.faust_app import Role

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.5
STUCK_SECONDS = 120.0  # events in flight and none finished for so long: something hangs that raised nothing
DRAIN_SHARE = 0.5  # of the stop limit; the rest is for leaving the group and closing clients
EXIT_TROUBLE, EXIT_STOP_TIMEOUT = 1, 3


class Runtime:
    """Owns the roles of this process from start to exit."""

    def __init__(self, roles: Sequence[Role], *, stop_seconds: float) -> None:
        self._roles = roles
        self._stop_seconds = stop_seconds
        self._stop = asyncio.Event()
        self._stopped = threading.Event()

    def request_stop(self) -> None:
        """Ask for a clean stop; the hard limit starts to run at the first request."""
        if not self._stop.is_set():
            threading.Thread(target=self._leave_at_the_limit, name="stop-limit", daemon=True).start()
            self._stop.set()

    async def run(self, on_ready: Callable[[], Awaitable[None]] | None = None, alongside: Awaitable[Any] | None = None) -> int:
        """Until a stop is requested, `alongside` returns, or a role fails. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request_stop)
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._stop.wait()), asyncio.create_task(self._live(on_ready))]
        if alongside is not None:
            tasks.append(asyncio.ensure_future(alongside))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = self._code_of(tasks[1:])
        finally:
            self.request_stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            unfinished = await self._stop_roles()
            self._stopped.set()
        if unfinished:
            log.warning("%d events were unfinished; they will be decided at the next start", unfinished)
        elif not code:
            log.info("stopped: everything that was taken is finished")
        return code

    def _code_of(self, tasks: Sequence[asyncio.Task[Any]]) -> int:
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                log.error("%s", error, exc_info=None if _is_known(error) else error)
                return EXIT_TROUBLE
        return 0

    async def _live(self, on_ready: Callable[[], Awaitable[None]] | None) -> None:
        await asyncio.gather(*(role.start() for role in self._roles))
        if on_ready is not None:
            await on_ready()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            for role in self._roles:
                self._check(role)

    def _check(self, role: Role) -> None:
        error = role.trouble()
        if error is not None:
            raise error
        still = time.monotonic() - role.engine.last_progress
        if role.engine.in_flight and still > STUCK_SECONDS and not role.may_take_long:
            raise RuntimeError(f"{role.name}: {role.engine.in_flight} events in flight and none finished for {still:.0f} s")

    async def _stop_roles(self) -> int:
        budget = self._stop_seconds * DRAIN_SHARE
        results = await asyncio.gather(*(role.stop(budget) for role in self._roles), return_exceptions=True)
        for role, result in zip(self._roles, results, strict=True):
            if isinstance(result, BaseException):
                log.warning("%s did not stop cleanly: %r", role.name, result)
        return sum(result for result in results if isinstance(result, int))

    def _leave_at_the_limit(self) -> None:
        if not self._stopped.wait(self._stop_seconds):
            left = ", ".join(f"{role.name} ({role.engine.in_flight} events)" for role in self._roles)
            print(f"headrace: stop took longer than {self._stop_seconds:g} s, leaving; unfinished: {left}", file=sys.stderr, flush=True)
            os._exit(EXIT_STOP_TIMEOUT)


def _is_known(error: BaseException) -> bool:
    from models.errors import HeadraceError

    return isinstance(error, HeadraceError)


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
