"""A process leaves within the limit of its stop, whatever its threads still do."""

import subprocess
import sys
import textwrap
import time

import pytest

PROGRAM = textwrap.dedent(
    """
    import asyncio, signal, os, sys, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from headrace.process.runtime import Runtime, run_async
    from streams.faust_runtime.role import RoleState

    class Role:
        name = "monitor"
        class engine: in_flight = 3
        def __init__(self): self.threads = ThreadPoolExecutor(1)
        async def start(self):
            self.threads.submit(time.sleep, 600)
            os.kill(os.getpid(), signal.SIGTERM)
        async def stop(self, timeout_seconds):
            await asyncio.sleep(600 if sys.argv[1] == "hangs" else 0)
            return 0
        def state(self): return RoleState(self.name, {}, 0, 0)
        def trouble(self): return None

    async def main(): return await Runtime([Role()], stop_seconds=2, ends_process=True).run()
    sys.exit(run_async(main))
    """
)


@pytest.mark.parametrize(("stop", "code"), [("is clean", 0), ("hangs", 3)])
def test_a_thread_that_still_computes_keeps_no_process_beyond_the_limit(stop: str, code: int) -> None:
    """A monitor that computed a new release's thresholds on a busy machine was there 40 s after its stop."""
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", PROGRAM, stop], capture_output=True, text=True, timeout=400)
    assert ended.returncode == code, ended.stderr
    assert time.monotonic() - started < 300  # a start takes half a minute beside much other work
    assert ("took longer than 2 s" in ended.stderr) == (stop == "hangs")
