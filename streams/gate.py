"""Back-pressure: a Faust consumer fetches only for topics whose engine has room.

Faust's own ways were tried and are not used: `pause_partitions` drops what was fetched already without a word (8,000 of
12,000 events never came), and its buffer pressure counts events, not bytes, and sleeps for a second whenever all partitions
are full. Here nothing is asked for while there is no room; the client's own thread keeps up the heartbeat meanwhile.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from faust.transport.drivers.aiokafka import Consumer

MAX_POLL_RECORDS = 1_024  # taken from the client at once; a bound on what stands between it and the engine
WAIT_SECONDS = 0.5
PARTIAL_WAIT_SECONDS = 0.05  # while other topics wait for room: they must not wait for these ones' records as well


class Gate:
    """Says for which topics there is room. Belongs to one event loop."""

    def __init__(self) -> None:
        self._has_room: dict[str, Callable[[], bool]] = {}
        self._opened = asyncio.Event()

    def guard(self, topic: str, has_room: Callable[[], bool]) -> None:
        """From now on `topic` is fetched only while `has_room()`."""
        self._has_room[topic] = has_room

    def is_open(self, topic: str) -> bool:
        """Whether `topic` may be fetched."""
        has_room = self._has_room.get(topic)
        return has_room is None or has_room()

    def open(self) -> None:
        """Room may have come: look again."""
        self._opened.set()

    async def wait(self) -> None:
        """Until there may be room, or for a short time."""
        self._opened.clear()
        try:
            await asyncio.wait_for(self._opened.wait(), WAIT_SECONDS)
        except TimeoutError:
            pass


class GatedConsumer(Consumer):
    """A Faust consumer behind the gate that its transport carries (`transport.gate`), if any."""

    async def _wait_next_records(self, timeout: float) -> Any:
        """As Faust's own, but for what is asked for. All that was fetched is handed on, whatever is full by then."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # as in Faust: anything with an awaitable wait()
        active = self._get_active_partitions()
        gate: Gate | None = getattr(self.transport, "gate", None)
        wanted = active if gate is None else {tp for tp in active if gate.is_open(tp.topic)}
        if not active:
            await self.sleep(WAIT_SECONDS)
            return {}, active
        if not wanted:
            assert gate is not None
            await gate.wait()
            return {}, active
        records = await self._getmany(
            active_partitions=wanted, timeout=timeout if len(wanted) == len(active) else PARTIAL_WAIT_SECONDS
        )
        return records, None
