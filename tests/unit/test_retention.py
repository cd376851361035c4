"""Retention goes on for as long as the process lives."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from connectors.errors import AccessDenied
from headrace.process.broker_probe import BrokerProbe
from headrace.process.retention import AGAIN_SECONDS, DAY_SECONDS, Retention
from streams.engine.watchdog import LogState


class Store:
    def __init__(self) -> None:
        self.asked: list[tuple[str, list[str]]] = []
        self.refuses = False

    def delete_before(self, day: str, apps: Sequence[str]) -> int:
        self.asked.append((day, list(apps)))
        if self.refuses:
            raise AccessDenied("no right to delete")
        return 1


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_what_is_older_is_dropped_at_the_start_and_once_a_day() -> None:
    """S-A17b: only when an indexer started: one that ran for months never dropped anything."""
    store, clock = Store(), Clock()
    now = datetime(2026, 5, 31, tzinfo=UTC)
    retention = Retention(store, ["support"], 30, clock=clock, now=lambda: now)  # type: ignore[arg-type]
    for hour in range(49):
        clock.seconds = hour * 3_600.0
        retention()
    assert store.asked == [("2026-05-01", ["support"])] * 3
    assert DAY_SECONDS == 24 * 3_600


def test_a_store_that_refuses_is_told_and_asked_again_an_hour_later(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = Store(), Clock()
    store.refuses = True
    retention = Retention(store, ["support"], 30, clock=clock)  # type: ignore[arg-type]
    retention()
    retention()
    clock.seconds = AGAIN_SECONDS
    retention()
    assert len(store.asked) == 2 and "no right to delete" in caplog.text


def test_a_chore_that_takes_long_does_not_keep_the_broker_from_being_asked() -> None:
    looks, busy, begun = threading.Semaphore(0), threading.Event(), threading.Event()
    rounds: list[int] = []

    def chore() -> None:
        rounds.append(1)
        begun.set()
        busy.wait(300)

    def look() -> LogState:
        looks.release()
        return LogState("c", {})

    probe = BrokerProbe(look, [], 0.01, [chore])
    probe.start()
    try:
        assert begun.wait(120)
        assert all(looks.acquire(timeout=120) for _ in range(5))
        assert len(rounds) == 1, "one round at a time"
    finally:
        probe.close()
        busy.set()
