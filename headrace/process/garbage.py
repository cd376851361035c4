"""The garbage collector of a process that has loaded its models and now works on events."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NEW_OBJECTS: Final = 10_000  # made and not freed between two looks of the collector at the youngest ones; Python: 700


@contextmanager
def spared_collector() -> Iterator[None]:
    """What stands at the beginning stands to the end: the collector need not walk through it again and again. Events
    in flight made it do so every few seconds, for tens of milliseconds each, with every thread standing still."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
