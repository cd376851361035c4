"""Training in a process of its own, which ends with its parent.

What it may use is limited, so that who serves on the same machine is not slowed down: it runs on some of the cores,
yields them to whoever wants them, and is ended where it needs more memory or time than it was given.

The order goes in by standard input, which then stays open: the child ends as soon as it is closed, which the system
does for a parent that is killed. The result is the last line of the child's output.
"""

import asyncio
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import psutil

from connectors.errors import RegistryUnavailable
from models.errors import HeadraceError, ModelError

LOOK_SECONDS = 0.5  # between two looks at the child's memory
END_SECONDS = 5.0  # for a child that was killed to be gone
PARENT_IS_GONE = 71
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # read when the libraries are loaded


class OutOfMemory(ModelError):
    """A child needed more memory than it was given."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """What a child may use. cores: 0: half of those that this process may use, at least one. memory_bytes: resident,
    with all that it starts; 0: no limit. niceness: how far it steps back behind other processes, beyond this one."""

    seconds: float
    cores: int = 0
    memory_bytes: int = 0
    niceness: int = 19

    def allowed_cores(self, ours: Collection[int]) -> list[int]:
        """Which of our cores, by number: the last ones, as systems put their own work on the first."""
        count = self.cores or max(1, len(ours) // 2)
        return sorted(ours)[-count:]


async def run_child(module: str, order: dict[str, Any], limits: ChildLimits) -> dict[str, Any]:
    """Run `module` with an order (JSON) and return its result.

    Raises TimeoutError and OutOfMemory where it needs more than it may; RegistryUnavailable where the child says that
    trying again can help; ModelError for any other failure of it. A cancelled call ends the child.
    """
    cores = limits.allowed_cores(psutil.Process().cpu_affinity())
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # what lies in the working directory is nobody's code
        "-m",
        module,
        str(limits.niceness),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(len(cores))),
    )
    watch = asyncio.create_task(_end_when_too_large(child, limits.memory_bytes))
    try:
        with contextlib.suppress(psutil.NoSuchProcess):  # its code and its last line will say why
            psutil.Process(child.pid).cpu_affinity(cores)
        async with asyncio.timeout(limits.seconds):
            out, err = await _converse(child, json.dumps(order).encode() + b"\n")
    finally:
        watch.cancel()
        if child.returncode is None:
            child.kill()
            await asyncio.wait_for(child.wait(), END_SECONDS)
    if watch.done() and not watch.cancelled():
        raise OutOfMemory(
            f"the training needed more than {limits.memory_bytes / 2**20:,.0f} MB of memory and was ended"
        )
    if child.returncode != 0:
        raise ModelError(f"the training process left with code {child.returncode}: {_last_line(err)}")
    result: dict[str, Any] = json.loads(_last_line(out))
    if (failure := result.get("error")) is not None:
        raise RegistryUnavailable(failure) if result["retriable"] else ModelError(failure)
    return result


def answer(run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The child's side: take the order from standard input, run it, print the result; end at once where the parent
    does."""
    os.nice(int(sys.argv[1]))
    order = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_parent, name="parent", daemon=True).start()
    try:
        result = run(order)
    except HeadraceError as error:
        result = {"error": str(error), "retriable": error.retriable}
    print(json.dumps(result), flush=True)
    sys.exit(0)


def _end_with_the_parent() -> None:
    while os.read(0, 4096):  # not by sys.stdin, whose lock the interpreter needs at its end
        pass
    os._exit(PARENT_IS_GONE)


async def _end_when_too_large(child: asyncio.subprocess.Process, memory_bytes: int) -> None:
    """Returns once the child was ended for its memory."""
    while not (memory_bytes and _resident(child.pid) > memory_bytes):
        await asyncio.sleep(LOOK_SECONDS)
    child.kill()


def _resident(pid: int) -> int:
    """Bytes of a process and of all that it started."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.Error:  # one of them has just ended
        return 0


async def _converse(child: asyncio.subprocess.Process, order: bytes) -> tuple[bytes, bytes]:
    """Hand the order over, and read both outputs to their end; standard input stays open."""
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    reading = asyncio.gather(child.stdout.read(), child.stderr.read())
    try:
        child.stdin.write(order)
        await child.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it ended before; its code and its last line say why
    out, err = await reading
    await child.wait()
    return out, err


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no message"
