"""Waiting by condition, deadline and a message that is made only when it is needed."""

import time
from collections.abc import Callable
from typing import TypeVar

from models.errors import HeadraceError

POLL_SECONDS = 0.1

T = TypeVar("T")


class TimedOut(HeadraceError):
    """Something did not happen by its deadline."""


def wait_until(
    true: Callable[[], T | None], seconds: float, message: Callable[[], str], *, poll_seconds: float = POLL_SECONDS
) -> T:
    """Wait until `true` gives something true, and return that. Raises TimedOut with what `message` says at the end.

    An error of `true` is passed on at once: a condition that cannot be asked is no condition that is not met yet.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimedOut(f"not within {seconds:.0f} s: {message()}")
        time.sleep(poll_seconds)
