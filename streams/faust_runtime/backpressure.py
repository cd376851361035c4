"""Back-pressure: a Faust consumer fetches only for topics whose engine has room.

Faust's own ways were tried and are not used: `pause_partitions` drops what was fetched already without a word (8,000 of
12,000 events never came), and its buffer pressure counts events, not bytes, and sleeps for a second whenever all
partitions are full. Here nothing is asked for while there is no room; the client's own thread keeps up the heartbeat
meanwhile.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP, ConsumerMessage

log = logging.getLogger(__name__)

MAX_POLL_RECORDS = 1_024  # taken from the client at once; a bound on what stands between it and the engine
WAIT_SECONDS = 0.5
READ_SECONDS = 1.0
CHUNK_RECORDS = 100
PAUSE_SECONDS = 0.005  # after a fetch: a busy stream comes in fewer, larger responses, which cost all sides less
PARTIAL_WAIT_SECONDS = 0.05  # while other topics wait for room: they must not wait for these ones' records as well


class FetchGate:
    """Says for which topics there is room. Belongs to one event loop."""

    def __init__(self) -> None:
        self._has_room: dict[str, Callable[[], bool]] = {}
        self._opened = asyncio.Event()

    def add_topic(self, topic: str, has_room: Callable[[], bool]) -> None:
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


class RecordChunk(ConsumerMessage):
    """Up to CHUNK_RECORDS records of one partition in their order, which go to the agent as one Faust message.

    records: as the client fetched them. The message itself has no key and no value. Faust's way from the consumer to an
    agent takes as long for a chunk as for a record, and that was most of the event loop's time (bench/README.md).
    """

    def __init__(self, tp: TP, records: Sequence[Any], generation: int) -> None:
        super().__init__(
            tp.topic,
            tp.partition,
            records[0].offset,
            records[0].timestamp / 1000,
            0,
            None,
            None,
            b"",
            None,
            tp=tp,
            generation_id=generation,
        )
        self.records = records


class GatedConsumer(Consumer):
    """A Faust consumer behind the gate that its transport carries (`transport.gate`), if any.

    Why nothing is lost or skipped: a closed gate only keeps `_getmany` from asking for a topic. What the client has
    fetched is handed on as a whole, however full its engine is by then, so no record that left the client waits
    anywhere else. `_read_offset` is moved only after a chunk was handed on, and only while the assignment is the one of
    the fetch: a rebalance sets it back to what is committed, and moving it forward after that would make the consumer
    drop the records in between as read already. Faust's callback (conductor.on_message) does not suspend today, as no
    stream is ever full; the second check does not rely on it.
    """

    async def _drain_messages(self, fetcher: Any) -> None:
        """Read until stopped, as Faust's own does, but hand on what was fetched at once.

        Faust's makes two tasks for every record, to give up on a stream that is full while a rebalance begins. Here a
        stream never fills up: the gate stands before it.
        """
        try:
            while not (self._stopped.is_set() or fetcher._stopped.is_set()):
                records, _ = await self._wait_next_records(READ_SECONDS)
                if records and not self.should_stop:
                    await self._hand_on(records)
                await asyncio.sleep(PAUSE_SECONDS if records else 0)
        except self.consumer_stopped_errors:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.transport.app.should_stop:
                raise

    async def _hand_on(self, records: Mapping[TP, Sequence[Any]]) -> None:
        if not self.flow_active:  # a rebalance began while these were fetched: their next owner reads them again
            await self._seek_back()
            return
        generation, last_read = self.app.consumer_generation_id, self._read_offset

        def is_ours() -> bool:
            return self.flow_active and bool(self.app.consumer_generation_id == generation)

        for tp, fetched in records.items():
            # the last offset read, or after a seek the next one; the client gives no record twice, so >= fits both
            start_offset = last_read[tp] or 0
            fresh = [record for record in fetched if record.offset >= start_offset]
            for start in range(0, len(fresh), CHUNK_RECORDS):
                await asyncio.sleep(0)
                if not is_ours():
                    return
                chunk = RecordChunk(tp, fresh[start : start + CHUNK_RECORDS], generation)
                await self.callback(chunk)
                if not is_ours():
                    return
                last_read[tp] = chunk.records[-1].offset

    async def _seek_back(self) -> None:
        """To the committed positions. In the moment of a rebalance there may be no partition to seek in; nothing is
        lost then, as whoever is given it starts at what is committed. (Faust guards its own call in the same way.)"""
        try:
            await self.perform_seek()
        except Exception as error:
            log.warning("could not go back to the committed positions while the group rebalances: %r", error)

    async def _wait_next_records(self, timeout: float) -> Any:
        """As Faust's own, but for what is asked for. All that was fetched is handed on, whatever is full by then."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)  # type: ignore[arg-type]  # mode's annotation is too narrow
        active = self._get_active_partitions()
        gate: FetchGate | None = getattr(self.transport, "gate", None)
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
