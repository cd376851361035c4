"""Memory that is freed and asked for again: kept meanwhile, given back afterwards. In processes of their own: what
other tests freed before would be taken again, and nothing kept."""

import ctypes
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import numpy as np
import pytest

from retrain.fitting.kept_memory import freed_memory_is_kept

BLOCK_BYTES = 48 << 20  # above what glibc's threshold rises to by itself


class _Info(ctypes.Structure):
    """glibc's mallinfo2."""

    _fields_ = [
        (name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    ]
    _fields_ += [(name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")]


def free_bytes() -> int:
    """What the process holds and does not use."""
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        pytest.skip("another C library, or one older than glibc 2.33")
    mallinfo2.restype = _Info
    return int(mallinfo2().fordblks)


def use_a_block() -> None:
    np.ones(BLOCK_BYTES, np.uint8)


def two_steps() -> tuple[int, int, int]:
    """Bytes that are free after each of them, and afterwards, beyond those before."""
    use_a_block()
    before = free_bytes()
    with freed_memory_is_kept():
        use_a_block()
        kept = free_bytes() - before
        use_a_block()
        kept_again = free_bytes() - before
    return kept, kept_again, free_bytes() - before


def a_failure() -> int:
    """Bytes that are free after it, beyond those before."""

    @freed_memory_is_kept()
    def fails() -> None:
        use_a_block()
        raise ValueError

    before = free_bytes()
    with pytest.raises(ValueError):
        fails()
    use_a_block()
    return free_bytes() - before


@pytest.fixture
def process() -> Iterator[Executor]:
    free_bytes()  # or there is nothing to see
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_what_a_step_frees_stays_for_the_next_one_and_goes_back_afterwards(process: Executor) -> None:
    kept, kept_again, after = process.submit(two_steps).result()
    assert kept > BLOCK_BYTES / 2 and abs(kept_again - kept) < BLOCK_BYTES / 2
    assert after < BLOCK_BYTES / 2


def test_it_goes_back_after_a_failure_too(process: Executor) -> None:
    assert process.submit(a_failure).result() < BLOCK_BYTES / 2
