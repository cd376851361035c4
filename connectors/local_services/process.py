"""Processes of this machine: told apart by when they began, started as servers, run to their end; free ports for
them."""

import contextlib
import hashlib
import os
import random
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from connectors.errors import ServiceUnavailable

LOG_TAIL_LINES = 15
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
    user, group = nobody() if as_nobody and os.geteuid() == 0 else (None, None)
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
    user, group = nobody() if as_nobody and os.geteuid() == 0 else (None, None)
    with log.open("wb") as output:
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


def open_to_others(folder: Path) -> Path:
    """The folder itself where other users may pass through its parents, else one under /var/tmp that stands for it."""
    parents = [parent for parent in (folder, *folder.parents) if parent.exists()]
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in parents):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    stand_in = Path("/var/tmp") / f"headrace-{digest}"
    stand_in.mkdir(mode=0o755, exist_ok=True)
    if stand_in.is_symlink() or stand_in.stat().st_uid not in (0, nobody()[0]):
        raise ServiceUnavailable(
            f"{stand_in} belongs to someone else; remove it or set HEADRACE_HOME to an open folder"
        )
    return stand_in


def nobody() -> tuple[int, int]:
    """The user and group id of `nobody`. Raises ServiceUnavailable where there is none."""
    import pwd

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServiceUnavailable(
            "Elasticsearch does not run as root and there is no user `nobody`; start the services as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def give_to_nobody(home: Path) -> None:
    """As root: hand a folder and all in it to `nobody`; otherwise nothing."""
    if os.geteuid() != 0:
        return
    uid, gid = nobody()
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


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
