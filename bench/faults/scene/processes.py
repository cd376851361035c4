"""The product's own commands as processes, with the verbs of a service: start, stop, kill, is_alive."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.faults.waiting import TimedOut, wait_until
from connectors.local_services.process import free_ports

STOP_SECONDS = 40.0  # twice the product's own limit: what takes longer hangs
READY_SECONDS = 600.0  # a start takes 4 s, and minutes beside much other work; who ends meanwhile is not waited for
LOG_TAIL = 1_500

COMMAND = (sys.executable, "-P", "-m", "headrace.cli")
STAGED = (sys.executable, "-P", "-m", "bench.faults.scene.staged")  # the same, to be met at the right moment


class HeadraceProcess:
    """One role. name: of this process in logs and ledger. instance: static member id; empty: none.

    It is asked through its own HTTP server how it is, as an operator would.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        instance: str = "",
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.name, self.instance = name, instance
        self._folder = folder
        self._command = [*command, *arguments]
        self._environment = {**environment, **({"HEADRACE_INSTANCE": instance} if instance else {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.log = folder / f"{name}.log"
        self.is_wanted = False

    def start(self) -> None:
        """Start it; its log goes on where it was."""
        self._port = free_ports(1)[0]
        with self.log.open("ab") as out:
            out.write(b"--- start\n")
            self._process = subprocess.Popen(
                self._command,
                env={**self._environment, "HEADRACE_METRICS_PORT": str(self._port)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.is_wanted = True

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return None if self._process is None else self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._process is None else self._process.poll()

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self.is_wanted = False
        self._signal(signal.SIGKILL)
        self.wait(STOP_SECONDS)

    def ask_to_stop(self) -> None:
        """SIGTERM."""
        self.is_wanted = False
        self._signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM, and wait. Returns the exit code; what does not end is asked for its threads, then killed."""
        self.ask_to_stop()
        return self.wait(STOP_SECONDS)

    def wait(self, seconds: float) -> int:
        """Wait for its end. Raises TimedOut with the end of its log, after having killed it."""
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except (subprocess.TimeoutExpired, TimeoutError):
            self._process.kill()
            self._process.wait()
            raise TimedOut(f"{self.name} did not leave within {seconds:.0f} s: {self.tail()}") from None

    def wait_ready(self) -> float:
        """Wait until it says that it is ready; returns the seconds. Raises TimedOut."""
        started = time.monotonic()
        wait_until(
            lambda: self.is_ready() or not self.is_alive,
            READY_SECONDS,
            lambda: f"{self.name} is not ready: {self.tail()}",
        )
        if not self.is_alive:
            raise TimedOut(f"{self.name} left with code {self.code} while starting: {self.tail()}")
        return time.monotonic() - started

    def is_ready(self) -> bool:
        """Whether every role of it has its place."""
        return bool(self.health().get("status") == "ok")

    def health(self) -> dict[str, Any]:
        """What /health/ready says; empty where nobody answers."""
        with contextlib.suppress(OSError, ValueError):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health/ready", timeout=5.0) as answer:
                    body: dict[str, Any] = json.load(answer)
                    return body
            except urllib.error.HTTPError as refusal:  # 503 carries the same body
                with refusal:
                    said: dict[str, Any] = json.load(refusal)
                    return said
        return {}

    def partitions(self, topic: str) -> set[int]:
        """The partitions of `topic` that it has been given."""
        names = [name for role in self.health().get("roles", {}).values() for name in role["partitions"]]
        return {int(name[len(topic) + 1 : -1]) for name in names if name.startswith(f"{topic}[")}

    def finished(self) -> int:
        """Events finished since it started."""
        return sum(role["finished"] for role in self.health().get("roles", {}).values())

    def serves(self, app: str) -> str | None:
        """The version of the release that decides."""
        version = self.health().get("serves", {}).get(app)
        return None if version is None else str(version)

    def releases(self, app: str) -> dict[str, str]:
        """Role (champion, canary, shadow) to the version that serves in it, out of the metrics."""
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=5.0) as answer:
                families = text_string_to_metric_families(answer.read().decode())
                samples = [sample for family in families for sample in family.samples]
            served = [sample.labels for sample in samples if sample.name == "headrace_model_info"]
            return {labels["role"]: labels["version"] for labels in served if labels["app"] == app}
        return {}

    def tail(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return " | ".join(self.log.read_text("utf-8", "replace")[-LOG_TAIL:].strip().splitlines())
        return "(no log)"

    def _signal(self, number: int) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
