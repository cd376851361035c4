"""Runs the real command as a user would: processes, files, environment; nothing imported from the code under test."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

READY_SECONDS = 180.0
STARTED: "list[subprocess.Popen[bytes]]" = []
ENCODER_CACHE = Path(os.environ.get("HEADRACE_TEST_CACHE", "~/.cache/headrace-services")).expanduser() / "encoders"


@dataclass
class Headrace:
    """The command with one home, one broker, one store."""

    home: Path
    broker: str = "embedded"
    store: str = ""
    extra: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The tests' own environment without Headrace's variables, and ours."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        own = {
            "HEADRACE_HOME": str(self.home),
            "HEADRACE_BROKER": self.broker,
            "HEADRACE_CACHE": str(ENCODER_CACHE),
            "HEADRACE_STOP_SECONDS": "120",  # a monitor of a slow machine may be at its thresholds when it is to stop
        }
        return kept | own | ({"HEADRACE_STORE": self.store} if self.store else {}) | self.extra

    def run(
        self, *arguments: str, timeout: float = 300.0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end."""
        command = [sys.executable, "-m", "headrace.cli", *arguments]
        return subprocess.run(
            command, env=self.environment(), cwd=self.home, capture_output=True, text=True, timeout=timeout, input=stdin
        )

    def json(self, *arguments: str, timeout: float = 300.0) -> dict[str, Any]:
        """Run with --json; fails with what stood on stderr."""
        done = self.run(*arguments, "--json", timeout=timeout)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def start(self, *arguments: str, name: str = "up", create_topics: bool = True) -> "Running":
        """Start in the background; its log goes to a file in the home. create_topics: whether a worker makes its source
        topics where they are missing."""
        if create_topics and arguments[0] in ("up", "worker"):
            arguments = (*arguments, "--create-topics")
        log = self.home / f"{name}-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "headrace.cli", *arguments],
                env=self.environment(),
                cwd=self.home,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        STARTED.append(process)
        return Running(process, log)


MakeHome = Callable[..., Headrace]


@dataclass
class Running:
    """A process of `headrace up` or of one role."""

    process: "subprocess.Popen[bytes]"
    log: Path

    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text("utf-8", "replace")

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until it says that it is ready; fails with its log when it ends before."""
        wait_for(
            lambda: "ready after" in self.text() or self.process.poll() is not None,
            seconds,
            lambda: self.text()[-3000:],
        )
        if self.process.poll() is not None:
            pytest.fail(f"it ended with code {self.process.returncode}:\n{self.text()[-3000:]}")

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(120)

    def stop(self, seconds: float = 180.0) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def wait_for(true: Callable[[], object], seconds: float, tell: Callable[[], str] = lambda: "") -> None:
    """Wait by deadline; fails with what `tell` says then."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds:.0f} s: {tell()}")
        time.sleep(0.1)


def end_all() -> None:
    """Kill what a failed test left running."""
    for process in STARTED:
        if process.poll() is None:
            process.kill()
            process.wait(120)
    STARTED.clear()


def documents(home: Headrace) -> dict[str, dict[str, object]]:
    """Everything in the SQLite store, by id; fails on a doubled id (the column is unique, so count as well)."""
    connection = sqlite3.connect(home.home / "decisions.db")
    try:
        rows = connection.execute("SELECT id, document FROM decisions").fetchall()
    except sqlite3.OperationalError:
        return {}
    finally:
        connection.close()
    return {identity: json.loads(document) for identity, document in rows}


def texts_file(home: Headrace, corpus: Path, copies: int) -> Path:
    path = home.home / "texts.csv"
    with corpus.open(encoding="utf-8", newline="") as source, path.open("w", encoding="utf-8", newline="") as target:
        rows = list(csv.DictReader(source))
        writer = csv.DictWriter(target, ["text", "number"])
        writer.writeheader()
        for number in range(copies * len(rows)):
            writer.writerow({"text": f"{rows[number % len(rows)]['text']} ({number})", "number": number})
    return path
