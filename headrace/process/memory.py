"""How the C library hands out memory in a process of many threads that loads large models."""

import contextlib
import ctypes
import sys
import time
from collections.abc import Callable
from typing import Final

ARENAS: Final = 2
LARGE_BYTES: Final = 1 << 20
TRIM_SECONDS: Final = 10.0
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # their numbers in glibc's malloc.h


def give_memory_back() -> None:
    """Two arenas for all threads, and blocks of a megabyte and more straight from the system, to which they go back.

    glibc gives nearly each thread an arena of its own, and each keeps what its thread needed once at its busiest. And
    once a large block was freed, it takes later ones of that size from an arena, which loading models then leaves full
    of holes. Call it before there are threads. Only glibc has these settings; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_M_ARENA_MAX, ARENAS)
            mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
            mallopt(_M_TRIM_THRESHOLD, LARGE_BYTES)


class MemoryTrim:
    """Gives back what lies free between blocks in use. Call it often; it works every TRIM_SECONDS, for a millisecond
    or two.

    glibc returns only what is free at an arena's end. A worker that was behind for a while had thousands of events in
    flight; the few small blocks that stayed kept all of that memory. Elsewhere than on glibc nothing happens.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._due_at = clock, clock()
        self._trim: Callable[[int], int] | None = None
        if sys.platform == "linux":
            with contextlib.suppress(OSError, AttributeError):  # another C library
                self._trim = ctypes.CDLL(None).malloc_trim

    def __call__(self) -> None:
        """Trim, where it is time to."""
        if self._trim is not None and self._clock() >= self._due_at:
            self._due_at = self._clock() + TRIM_SECONDS
            self._trim(0)
