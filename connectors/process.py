"""Processes by id, told apart from later ones that were given the same id."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

POLL_SECONDS = 0.05


def process_birth(pid: int) -> str:
    """When a process began, in its system's own words; "" when there is none (or only its remains: a zombie)."""
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return ""
        fields = text.rpartition(")")[2].split()  # the name before it may hold spaces
        return "" if fields[0] == "Z" else fields[19]
    done = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


def is_running(pid: int, birth: str) -> bool:
    """Whether the process that began at `birth` still runs. Takes up the remains of an ended child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return birth != "" and process_birth(pid) == birth


def end_process(pid: int, birth: str, seconds: float) -> None:
    """Wait for a process that was asked to end; past `seconds`, kill its group and wait a little longer."""
    deadline = time.monotonic() + seconds
    while is_running(pid, birth) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if not is_running(pid, birth):
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5.0
    while is_running(pid, birth) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
