"""What another thread sees, or does, between any two steps of a piece of work: each place tried once, without a thread
and without chance.

Python changes threads between two bytecodes. So the work is done again and again, each time with the other's work put
in before another one of its bytecodes, until it has no further. Work that waits for a lock is not for this: the other's
would wait for itself.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = tuple(f"{ROOT / name}/" for name in ("connectors", "headrace", "models", "retrain", "streams"))


def interleaved(make: Callable[[], Sequence[Callable[[], object]]], at_most: int = 5_000) -> int:
    """Try every place. make: gives the work, the other's, and what comes after both, all on a world of their own.
    Returns how many places there are in the project's own code; there must be some, or the test looks at nothing."""
    for place in range(at_most):
        work, other, *afterwards = make()
        has_place = _done_with(work, other, place)
        for one in afterwards if has_place else ():
            one()
        if not has_place:
            assert place, "the work has no step in the project's code"
            return place
    raise AssertionError(f"the work has more than {at_most} steps")


def _done_with(work: Callable[[], object], other: Callable[[], object], place: int) -> bool:
    """Do the work, and the other's before the bytecode of this number. Whether there is one."""
    steps, before = 0, sys.gettrace()

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if event == "opcode":
            if steps == place:
                sys.settrace(None)  # the other's steps are none of these
                other()
                sys.settrace(enter)
            steps += 1
        return step

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OWN):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return step

    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return steps > place
