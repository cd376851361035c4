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


def wait_while_moving(
    true: Callable[[], object],
    progress: Callable[[], object],
    seconds: float,
    message: Callable[[], str],
    *,
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Wait until `true` gives something true, as long as `progress` gives another value within `seconds`: what is slow
    is waited for, what stands still is not. Raises TimedOut with what `message` says at the end."""
    before, moved_at = progress(), time.monotonic()
    while not true():
        now = progress()
        if now != before:
            before, moved_at = now, time.monotonic()
        if time.monotonic() - moved_at > seconds:
            raise TimedOut(f"nothing moved for {seconds:.0f} s: {message()}")
        time.sleep(poll_seconds)
