"""The garbage collector of a process that starts, and of one that has loaded its models and now works on events."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

NEW_OBJECTS: Final = 10_000  # made and not freed between two looks of the collector at the youngest ones; Python: 700
STARTING_OBJECTS: Final = 50_000  # likewise, of a process that starts: nearly all of them stay


def collect_rarely_at_start() -> None:
    """Imports and models make some 300,000 objects that stay to the end, and the collector would walk through all of
    them again and again: 0.2 s of a worker's start. Until `spared_collector`."""
    gc.set_threshold(STARTING_OBJECTS, *gc.get_threshold()[1:])


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
