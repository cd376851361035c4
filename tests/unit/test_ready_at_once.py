"""A process says that it is ready when it is, not at the next look of its watch."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.process import runtime
from headrace.process.runtime import Runtime
from headrace.process.watch import Watch
from streams.engine.watchdog import RoleState

JOIN_SECONDS = 0.15


class JoiningRole:
    """Has its place in its group JOIN_SECONDS after its start."""

    name, joined_at = "worker", float("inf")
    engine = SimpleNamespace(in_flight=0)

    async def start(self) -> None:
        self.joined_at = time.monotonic() + JOIN_SECONDS

    async def stop(self, timeout_seconds: float) -> int:
        return 0

    def state(self) -> RoleState:
        return RoleState(self.name, {} if time.monotonic() >= self.joined_at else None, 0, 0)

    def trouble(self) -> BaseException | None:
        return None


def test_a_role_that_has_its_place_is_ready_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watch looked every half second, and a worker's start took up to that much longer. Here it looks every minute,
    which no busy machine is mistaken for."""
    monkeypatch.setattr(runtime, "WATCH_SECONDS", 60.0)
    role, watch = JoiningRole(), Watch(60)
    delays: list[float] = []

    async def wait_for_ready() -> None:
        while watch.health.ready()["status"] != "ok":
            await asyncio.sleep(0.005)
        delays.append(time.monotonic() - role.joined_at)

    roles: Any = [role]
    assert asyncio.run(Runtime(roles, stop_seconds=30, watch=watch).run(alongside=wait_for_ready())) == 0
    assert delays[0] < 30.0
