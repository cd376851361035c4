"""Processes of this machine: told apart by when they began, started as servers, run to their end; free ports for
them."""

import contextlib
import os
import random
import secrets
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from connectors.errors import ServiceUnavailable
from connectors.local_services.users import is_root, nobody, write_anew

LOG_TAIL_LINES = 15
KILL_SECONDS = 5.0  # what a killed process may take to be gone


def process_birth(pid: int) -> str:
    """When a process began, in clock ticks since the machine did, so that no change of its clock moves it; "" when
    there is none (or only its remains: a zombie)."""
    try:
        return _birth(psutil.Process(pid))
    except psutil.Error:
        return ""


def is_running(pid: int, birth: str) -> bool:
    """Whether the process that began at `birth` still runs. Takes up the remains of an ended child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return birth != "" and process_birth(pid) == birth


def end_processes(births: Mapping[int, str], seconds: float) -> None:
    """Ask processes and their children to end, and kill what is left past `seconds`. births: process id to when it
    began; one that began at another time is a stranger's and is let alone. Raises ServiceUnavailable where they belong
    to another user."""
    family = [process for pid, birth in births.items() for process in _with_children(pid, birth)]
    _signal(family, psutil.Process.terminate)
    _, left = psutil.wait_procs(family, timeout=seconds)
    _signal(left, psutil.Process.kill)
    psutil.wait_procs(left, timeout=KILL_SECONDS)


def _birth(process: psutil.Process) -> str:
    if process.status() == psutil.STATUS_ZOMBIE:
        return ""
    return str(round((process.create_time() - psutil.boot_time()) * os.sysconf("SC_CLK_TCK")))


def _with_children(pid: int, birth: str) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)] if birth and _birth(process) == birth else []
    except psutil.Error:
        return []


def _signal(processes: Sequence[psutil.Process], send: Callable[[psutil.Process], None]) -> None:
    for process in processes:
        try:
            send(process)  # psutil looks once more that the id was not given to another one
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            raise ServiceUnavailable(
                f"process {process.pid} was started by another user; stop it as that user"
            ) from None


def run(
    command: Sequence[object],
    what: str,
    seconds: float,
    *,
    env: dict[str, str] | None = None,
    as_nobody: bool = False,
    stdin: str | None = None,
) -> None:
    """Run to the end; ServiceUnavailable with the end of the output when it fails or takes too long."""
    user, group = nobody() if as_nobody and is_root() else (None, None)
    try:
        done = subprocess.run(
            [str(part) for part in command],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            env=env,
            user=user,
            group=group,
            stdin=None if stdin is not None else subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"{what} took longer than {seconds:.0f} s") from None
    except OSError as error:
        raise ServiceUnavailable(f"{what} failed: {error}") from error
    if done.returncode != 0:
        raise ServiceUnavailable(f"{what} failed (exit {done.returncode}): {last_lines(done.stdout)}")


def spawn(
    command: Sequence[object], log: Path, *, cwd: Path, env: dict[str, str] | None = None, as_nobody: bool = False
) -> int:
    """Start a server that outlives this process, in a process group of its own; returns its process id."""
    user, group = nobody() if as_nobody and is_root() else (None, None)
    with write_anew(log) as output:
        try:
            child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=env,
                start_new_session=True,
                user=user,
                group=group,
                extra_groups=[] if user is not None else None,
            )
        except OSError as error:
            raise ServiceUnavailable(f"{command[0]} cannot be started: {error}") from error
    child.returncode = 0  # we look after it by process id: no "still running" warning when this object goes
    return child.pid


def free_ports(count: int) -> list[int]:
    """Ports below the range from which outgoing connections take theirs, so that none is gone a moment later."""
    ports: list[int] = []
    picker = random.Random(secrets.randbits(64))
    while len(ports) < count:
        port = picker.randrange(20_000, 32_000)
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Whether 127.0.0.1:port can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def last_lines(text: str) -> str:
    """The end of a log in one line."""
    return " | ".join(line.strip() for line in text.strip().splitlines()[-LOG_TAIL_LINES:])
