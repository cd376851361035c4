"""A Faust app per role, which acknowledges, commits and waits for nothing unless the role says so."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol, cast

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.engine.delivery import Acknowledge, Delivery
from streams.engine.offset_tracker import Partition
from streams.engine.pipeline import BatchPipeline
from streams.engine.watchdog import RoleState
from streams.faust_runtime.backpressure import FetchGate
from streams.faust_runtime.errors import translate
from streams.faust_runtime.offsets import positions, truncated_partitions

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
COMMIT_LIMIT_SECONDS = 5.0
REVOKE_DRAIN_SECONDS = 7.0  # within the session timeout, so that the group does not expel us while we finish


class PartitionHolder(Protocol):
    """Who keeps something of the partitions that a role was given."""

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """These are ours from here on; quick, as the group waits for it."""

    async def released(self) -> None:
        """None is ours any more; everything that was taken in is finished."""


class Role:
    """A Faust app and the engine behind its agents. start, stop (drain, commit, leave).

    Where the engine's bounds are reached nothing more is fetched (streams.faust_runtime.backpressure). urgent_topics:
    read by an agent of their own, so that a backlog in `topics` does not stand before them. may_take_long:
    whether what is in flight now may take minutes (training), so that a long silence is no sign of trouble.
    """

    def __init__(
        self,
        app: faust.App,
        topics: Sequence[str],
        make_engine: Callable[[Acknowledge], BatchPipeline],
        *,
        urgent_topics: Sequence[str] = (),
        may_take_long: Callable[[], bool] = lambda: False,
        holder: PartitionHolder | None = None,
    ) -> None:
        """app: from make_app, not started. topics: read in one agent. make_engine: given whom to tell that there is
        room again."""
        self.app = app
        self.may_take_long, self._holder = may_take_long, holder
        self.name = str(app.conf.id)
        self.engine = make_engine(self._acknowledged)
        self.topics = (*topics, *urgent_topics)
        self.gate = FetchGate()
        cast(Any, app.transport).gate = self.gate
        self._closing = False
        self._committing: asyncio.Task[None] | None = None
        self._commit_lock = asyncio.Lock()
        self._last_commit: asyncio.Task[bool] | None = None
        self._add_agent(topics, urgent=False)
        if urgent_topics:
            self._add_agent(urgent_topics, urgent=True)
        self.app.on_partitions_assigned.connect(cast(Any, self._on_assigned), weak=False)
        self.app.on_partitions_revoked.connect(cast(Any, self._on_revoked), weak=False)

    def _add_agent(self, topics: Sequence[str], *, urgent: bool) -> None:
        for name in topics:
            self.gate.add_topic(name, lambda: not self.engine.is_full(urgent))
        topic = self.app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        async def consume(stream: Any) -> None:
            async for event in stream.noack().events():
                if self._closing:
                    return
                await self.engine.submit([_delivery(record, urgent) for record in event.message.records])

        self.app.agent(topic, name=f"{self.name}-agent{'-urgent' if urgent else ''}")(consume)

    async def start(self) -> None:
        """Join the group and begin. Raises BrokerUnavailable when the broker does not answer."""
        self.engine.start()
        await self.app.start()
        self._committing = asyncio.create_task(self._commit_often(), name=f"{self.name}-commit")

    async def stop(self, timeout_seconds: float) -> int:
        """Finish what is in flight within timeout_seconds, commit, leave the group. Returns how many events stayed
        unfinished: they are not committed, so they are decided at the next start. A `submit` that waits for room is
        left waiting; its agent ends with the app."""
        self._closing = True
        if self._committing is not None:
            self._committing.cancel()
        unfinished = await self.engine.drain(timeout_seconds)
        await self._commit()
        await self._let_go()
        await self.engine.abort()
        await self.app.stop()
        return unfinished

    def trouble(self) -> BaseException | None:
        """Why this role can no longer work, if so."""
        if self.engine.failure is not None:
            return self.engine.failure
        crash = self.app.crash_reason if self.app.crashed else None
        return translate(crash) if isinstance(crash, KafkaError) else crash

    def _acknowledged(self, _: Sequence[Delivery]) -> None:
        """The engine keeps the positions; here only the gate is told that there is room again."""
        self.gate.open()

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_SECONDS)
            await self._commit()

    async def _commit(self) -> None:
        """Commit the engine's positions.

        Nothing is acknowledged to Faust: its own commit goes past unfinished events, forgets at a revoke what was
        acknowledged since its last one, and does nothing while another is on its way (4 to 30 events were decided again
        at each rebalance). One commit at a time: the consumer's thread works off two calls at once, so a second one
        could land before the first and be overwritten by older positions.
        """
        try:
            async with asyncio.timeout(COMMIT_LIMIT_SECONDS), self._commit_lock:
                if self._last_commit is not None:  # given up on here, but still on its way in the consumer's thread
                    await asyncio.wait([self._last_commit])
                await self._commit_newest(self.app.consumer)
        except Exception as error:
            log.warning("%s: positions not committed, some events will be decided again: %r", self.name, error)

    async def _commit_newest(self, consumer: Any) -> None:
        committed = consumer._committed_offset
        offsets = {TP(*partition): offset for partition, offset in self.engine.positions.items()}
        offsets = {tp: offset for tp, offset in offsets.items() if committed.get(tp) != offset}
        if not (offsets and consumer.assignment()):  # committing with nothing assigned crashes the consumer
            return
        self._last_commit = asyncio.create_task(consumer._commit(offsets), name=f"{self.name}-commit-now")
        if await asyncio.shield(self._last_commit):
            committed.update(offsets)

    async def _on_assigned(self, _app: Any, *args: Any, **_: Any) -> None:
        (assigned,) = args
        self.engine.assign((tp.topic, tp.partition) for tp in assigned)
        names = ", ".join(f"{tp.topic}[{tp.partition}]" for tp in sorted(assigned))
        log.info("%s: reads %s", self.name, names or "nothing (more members than partitions)")
        if self._holder is not None:
            await self._holder.assigned([(tp.topic, tp.partition) for tp in assigned])

    async def _on_revoked(self, _app: Any, *args: Any, **_: Any) -> None:
        (revoked,) = args
        if not revoked or self._closing:
            return
        await self.engine.release([(tp.topic, tp.partition) for tp in revoked], REVOKE_DRAIN_SECONDS, self._commit)
        await self._let_go()

    async def _let_go(self) -> None:
        if self._holder is not None:
            try:
                async with asyncio.timeout(COMMIT_LIMIT_SECONDS):
                    await self._holder.released()
            except Exception as error:
                log.warning("%s: what it held was not put down; the next owner finds out itself: %r", self.name, error)

    def state(self) -> RoleState:
        """What the watchdog is told. Call on the event loop."""
        return RoleState(
            self.name,
            positions(self.app, self.gate, self.engine.is_outstanding),
            self.engine.finished_events,
            self.engine.in_flight,
            may_take_long=self.may_take_long(),
            truncated=truncated_partitions(self.app),
            topics=self.topics,
        )


def _delivery(record: Any, urgent: bool) -> Delivery:
    """A record as the client fetched it. A header without a value is given an empty one."""
    headers = [(name, content or b"") for name, content in record.headers]
    return Delivery(
        record.topic, record.partition, record.offset, record.key, record.value, record.timestamp, urgent, headers
    )
