"""Threads share the C library's arenas once it was told so, and what lies free in them goes back."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.process.memory import TRIM_SECONDS, MemoryTrim

# Every thread takes memory, then the arenas that malloc_info describes are counted. argv: shared or own, a file for the
# description.
COUNT = """
import ctypes, threading, sys
from headrace.process.memory import give_memory_back
if sys.argv[1] == "shared":
    give_memory_back()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
ready = threading.Barrier(9)
def hold():
    libc.malloc(1000)
    ready.wait()
threads = [threading.Thread(target=hold) for _ in range(8)]
for each in threads:
    each.start()
ready.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(open(sys.argv[2]).read().count("<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_share_two_arenas(tmp_path: Path) -> None:
    resident = {
        mode: int(
            subprocess.run(
                [sys.executable, "-c", COUNT, mode, str(tmp_path / mode)], capture_output=True, text=True, check=True
            ).stdout
        )
        for mode in ("own", "shared")
    }
    assert resident["shared"] <= 2 < resident["own"]


# Blocks of 200 kB are taken and all but a few given back: what lies free between those. argv: keep or trim.
HOLES = """
import sys
from headrace.process.memory import MemoryTrim, give_memory_back
give_memory_back()
blocks = [b"x" * 200_000 for _ in range(400)]
blocks = blocks[::40]
trim = MemoryTrim()
if sys.argv[1] == "trim":
    trim()
print(next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to trim")
def test_what_lies_free_between_blocks_in_use_goes_back() -> None:
    """A worker that was behind for a while kept 46 MB of free holes for ever: of 126 MB of heap 72 were in use."""
    kept, trimmed = (
        int(subprocess.run([sys.executable, "-c", HOLES, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("keep", "trim")
    )
    assert trimmed < kept - 50_000


def test_memory_is_trimmed_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    times, now = [], [100.0]
    trim = MemoryTrim(clock=lambda: now[0])
    monkeypatch.setattr(trim, "_trim", lambda pad: times.append(now[0]))
    for now[0] in (100.0, 101.0, 100.0 + TRIM_SECONDS, 101.0 + TRIM_SECONDS):
        trim()
    assert times == [100.0, 100.0 + TRIM_SECONDS]


# Texts of 384 simulated streams are compared with those that each keeps. argv: share of streams whose text counts.
COMPARED = """
import resource, sys
import numpy as np
from headrace.process.memory import give_memory_back
from streams.monitor.drift.neighbours import UnusualTexts
give_memory_back()
random, texts = np.random.default_rng(0), UnusualTexts(384, 96, 1.0)
def compare():
    centred = random.standard_normal((384, 96)).astype(np.float32)
    counts = random.random(384) < float(sys.argv[1])
    texts.odds(centred, None, np.zeros(384), counts, np.full(384, 100.0))
    texts.remember(centred, random.random(384), counts)
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
compare()
before = faults()
for _ in range(200):
    compare()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to give memory back")
@pytest.mark.parametrize("share", ["1.0", "0.6"])
def test_thresholds_are_simulated_in_the_same_memory_again_and_again(share: str) -> None:
    """3.5 MB came from the system for each text, a page at a time: two thirds of what a monitor's start took."""
    done = subprocess.run([sys.executable, "-c", COMPARED, share], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000
