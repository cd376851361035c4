"""Training in a process of its own, which ends with its parent.

The order goes in by standard input, which then stays open: the child ends as soon as it is closed, which the system
does for a parent that is killed. The result is the last line of the child's output.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from connectors.errors import RegistryUnavailable
from models.errors import HeadraceError, ModelError

END_SECONDS = 5.0  # for a child that was killed to be gone
PARENT_IS_GONE = 71


async def run_child(module: str, order: dict[str, Any], timeout_seconds: float) -> dict[str, Any]:
    """Run `module` with an order (JSON) and return its result. Raises TimeoutError; RegistryUnavailable where the child
    says that trying again can help; ModelError for any other failure of it. A cancelled call ends the child."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # what lies in the working directory is nobody's code
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            out, err = await _converse(child, json.dumps(order).encode() + b"\n")
    finally:
        if child.returncode is None:
            child.kill()
            await asyncio.wait_for(child.wait(), END_SECONDS)
    if child.returncode != 0:
        raise ModelError(f"the training process left with code {child.returncode}: {_last_line(err)}")
    result: dict[str, Any] = json.loads(_last_line(out))
    if (failure := result.get("error")) is not None:
        raise RegistryUnavailable(failure) if result["retriable"] else ModelError(failure)
    return result


def answer(run: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The child's side: take the order from standard input, run it, print the result; end at once where the parent
    does."""
    os.nice(5)  # the streams of this machine come first
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
