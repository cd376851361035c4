"""Threads share the C library's arenas once it was told so."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

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
