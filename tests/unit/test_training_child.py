"""The training process: it takes its order, says what came of it, and ends with its parent."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.errors import RegistryUnavailable
from headrace.training.child_process import ChildLimits, OutOfMemory, run_child
from models.errors import ModelError

CHILDREN = """
import os, sys, time
from connectors.errors import RegistryUnavailable
from headrace.training.child_process import answer
from models.errors import ModelError

def run(order):
    match order["do"]:
        case "answer": return {"version": "2", "words": order["words"]}
        case "unavailable": raise RegistryUnavailable("503")
        case "refuse": raise ModelError("no row is left to test on")
        case "fault": raise RuntimeError("a fault")
        case "grow": kept = bytearray(10**9); time.sleep(600)
        case "look": return {
            "cores": sorted(os.sched_getaffinity(0)), "nice": os.nice(0), "threads": os.environ["OMP_NUM_THREADS"]
        }
        case "die": os.kill(os.getpid(), 9)
        case "sleep":
            if path := order.get("pid_file"):
                with open(path, "w") as file: file.write(str(os.getpid()))
            time.sleep(600)

answer(run)
"""


@pytest.fixture(autouse=True)
def child_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_child.py").write_text(CHILDREN)
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root]))


def run(
    do: str, seconds: float = 300.0, *, cores: int = 0, memory_mb: int = 0, niceness: int = 19, **more: object
) -> dict[str, object]:
    limits = ChildLimits(seconds, cores, memory_mb * 2**20, niceness)
    return asyncio.run(run_child("a_child", {"do": do, **more}, limits))


def test_the_answer_comes_back_whatever_its_length() -> None:
    words = "ü" * 300_000
    assert run("answer", words=words) == {"version": "2", "words": words}


def test_a_failure_says_whether_trying_again_can_help() -> None:
    with pytest.raises(RegistryUnavailable, match="503"):
        run("unavailable")
    with pytest.raises(ModelError, match="no row is left"):
        run("refuse")


def test_a_child_that_crashes_is_told_with_its_code_and_its_last_line() -> None:
    with pytest.raises(ModelError, match="code 1: RuntimeError: a fault"):
        run("fault")
    with pytest.raises(ModelError, match="code -9"):
        run("die")


def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    for seconds in (3.0, 30.0, 300.0):  # on a busy machine it is ended before it has begun
        with pytest.raises(TimeoutError):
            run("sleep", seconds=seconds, pid_file=str(pid_file))
        if pid_file.exists() and pid_file.read_text():
            break
    assert not Path(f"/proc/{pid_file.read_text()}").exists()


def test_a_child_that_needs_more_memory_than_it_may_is_ended_and_said_so() -> None:
    with pytest.raises(OutOfMemory, match="more than 300 MB of memory and was ended"):
        run("grow", memory_mb=300)
    assert run("answer", words="small", memory_mb=300)["words"] == "small"


def test_a_child_leaves_cores_to_those_who_serve() -> None:
    ours, own = sorted(os.sched_getaffinity(0)), os.nice(0)
    lowest = min(19, own + 19)
    assert run("look", cores=1) == {"cores": ours[-1:], "nice": lowest, "threads": "1"}
    half = max(1, len(ours) // 2)
    assert run("look") == {"cores": ours[-half:], "nice": lowest, "threads": str(half)}
    assert run("look", niceness=3)["nice"] == min(19, own + 3)
    assert ChildLimits(1, cores=64).allowed_cores({0, 1}) == [0, 1], "more than there are: all"


@pytest.mark.parametrize("end", ["kill -9", "os._exit"])
def test_a_child_ends_with_its_parent(tmp_path: Path, end: str) -> None:
    """S-A9: the child outlived kill -9 and os._exit, and each restart of the retrainer began another one."""
    pid_file = tmp_path / "pid"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import asyncio, os, sys, threading, time\n"
            "from headrace.training.child_process import ChildLimits, run_child\n"
            "def leave():\n"
            "    while not os.path.exists(sys.argv[2]): time.sleep(0.05)\n"
            "    os._exit(3)\n"
            "if sys.argv[1] == 'os._exit': threading.Thread(target=leave).start()\n"
            "asyncio.run(run_child('a_child', {'do': 'sleep', 'pid_file': sys.argv[2]}, ChildLimits(600)))\n",
            end,
            str(pid_file),
        ]
    )
    wait_until(lambda: pid_file.exists() and bool(pid_file.read_text()))
    if end == "kill -9":
        parent.send_signal(signal.SIGKILL)
    parent.wait(120)
    child = Path(f"/proc/{pid_file.read_text()}")
    wait_until(lambda: not child.exists() or "Z" in (child / "stat").read_text().rpartition(")")[2])


def test_code_in_the_working_directory_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-A14: a folder with models/__init__.py in the working directory was imported by the training child."""
    foreign = tmp_path / "foreign"
    (foreign / "models").mkdir(parents=True)
    (foreign / "models" / "__init__.py").write_text("raise SystemExit('foreign code ran')")
    monkeypatch.chdir(foreign)
    assert run("answer", words="ours")["words"] == "ours"


def wait_until(true: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
