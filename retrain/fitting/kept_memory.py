"""Memory that a training frees with each step and asks for again with the next one."""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from typing import Final

_LARGE: Final = 1 << 30  # no block of a step is larger
_USUAL: Final = 1 << 25  # what glibc's own threshold rises to once such a block was freed
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # their numbers in glibc's malloc.h


@contextlib.contextmanager
def freed_memory_is_kept() -> Iterator[None]:
    """Inside, or in a function that this decorates, what is freed stays with the process for its next request;
    afterwards it goes back to the system.

    glibc gives large blocks straight back, and the system fills each new one with zeros, page by page: a quarter of the
    time of a step with a small encoder. Only glibc has these settings; elsewhere nothing happens.
    """
    library = None
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            library = ctypes.CDLL(None)
            _set_thresholds(library, _LARGE, _LARGE)
    try:
        yield
    finally:
        if library is not None:
            with contextlib.suppress(AttributeError):
                _set_thresholds(library, _USUAL, 2 * _USUAL)
                library.malloc_trim(0)


def _set_thresholds(library: ctypes.CDLL, large: int, trim: int) -> None:
    library.mallopt(_M_MMAP_THRESHOLD, large)
    library.mallopt(_M_TRIM_THRESHOLD, trim)
