"""How the C library hands out memory in a process of many threads."""

import contextlib
import ctypes
import sys
from typing import Final

ARENAS: Final = 2
_M_ARENA_MAX: Final = -8  # mallopt's number for it, in glibc's malloc.h


def share_arenas(arenas: int = ARENAS) -> None:
    """At most so many arenas for all threads. glibc gives nearly each thread one of its own, and each keeps what its thread needed
    once at its busiest: a worker with three applications held 75 MB more (bench/README.md). Call it before there are threads.

    Only glibc has arenas; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, arenas)
