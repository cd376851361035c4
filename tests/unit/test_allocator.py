"""Threads share the C library's arenas once it was told so."""

import platform
import subprocess
import sys

import pytest

# Each thread holds memory while it counts the arenas that malloc_info describes.
COUNT = """
import ctypes, threading, sys, tempfile
from headrace.allocator import give_memory_back
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
path = tempfile.mktemp()
file = ctypes.c_void_p(libc.fopen(path.encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(open(path).read().count("<heap nr="))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has arenas")
def test_threads_give_memory_back() -> None:
    found = {
        mode: int(subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True).stdout)
        for mode in ("own", "shared")
    }
    assert found["shared"] <= 2 < found["own"]
