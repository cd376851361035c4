"""The monitor on the event loop: publishes what the handler says, in its order, and lets it tick.

The handler works in one thread, whoever calls it. It is ahead of what is published by a batch at most; a batch is
acknowledged only after everything in the outbox by then was confirmed.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final

from streams.engine.delivery import Acknowledge, Delivery, OutRecord, RecordsRefused
from streams.engine.offset_tracker import Partition
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.monitor.handler import MonitorHandler
from streams.monitor.sources import is_transient
from streams.topics import MONITOR_STATE_TOPIC

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 1.0


class MonitorService:
    """pipeline, then assigned and released as the group decides."""

    def __init__(
        self,
        handler: MonitorHandler,
        send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
        on_left_out: Callable[[str], None] = lambda topic: None,
    ) -> None:
        """on_left_out: told the topic of each record that Kafka refused for good."""
        self._handler, self._send_all, self._on_left_out = handler, send_all, on_left_out
        self._observe = in_thread(handler.observe, f"{handler.app.name}-monitor")  # its thread ends with the pipeline
        self._publishing, self._stopping = asyncio.Lock(), asyncio.Event()
        self._ticking: asyncio.Task[None] | None = None
        self._pipeline: BatchPipeline | None = None

    def pipeline(self, acknowledge: Acknowledge, observer: PipelineObserver | None = None) -> BatchPipeline:
        """Observe in the handler's thread, publish what follows, move on."""

        async def publish(_: Sequence[Delivery]) -> None:
            await self._publish()

        stages = [Stage("observe", self._observe), Stage("publish", publish)]
        self._pipeline = BatchPipeline(f"monitor-{self._handler.app.name}", stages, acknowledge, observer=observer)
        return self._pipeline

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """The group has shared out: whoever has the signals is active, all others stand by."""
        is_active = any(topic == self._handler.app.signals_topic for topic, _ in partitions)
        if is_active and self._ticking is None:
            self._stopping.clear()
            self._observe.submit(self._drop)  # where it could not hand over in time: what it holds is of before
            self._ticking = asyncio.create_task(self._tick_often(), name=f"{self._handler.app.name}-monitor-ticks")
        elif not is_active:
            log.info("%s: another monitor is active, this one stands by", self._handler.app.name)

    def _drop(self) -> None:
        self._handler.drop()
        if self._stopping.is_set():  # it was relieved again while this waited for the thread
            self._handler.relieve()

    async def released(self) -> None:
        """The signals go to somebody else, or this process ends; everything taken in is published."""
        ticking, self._ticking = self._ticking, None
        if ticking is None:
            return
        self._stopping.set()
        self._handler.relieve()
        await ticking
        await self._in_thread(self._handler.hand_over)
        await self._publish()

    async def _tick_often(self) -> None:
        said = ""
        while not self._stopping.is_set():
            try:
                await self._in_thread(self._handler.tick)
                await self._publish()
                said = ""
            except Exception as error:
                if not is_transient(error):
                    log.error("%s: the monitor failed", self._handler.app.name, exc_info=error)
                    assert self._pipeline is not None
                    self._pipeline.failure = error
                    return
                if str(error) != said:
                    said = str(error)
                    log.warning("%s: %s; trying again", self._handler.app.name, error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    async def _publish(self) -> None:
        """Send what is in the outbox. What could not be sent stays in it; what Kafka never takes is left out."""
        async with self._publishing:
            outbox = self._handler.outbox  # this very one: the handler puts another in its place when it begins anew
            records = list(outbox)
            if not records:
                return
            # what a kept state has behind it is confirmed first: who takes it up says none of that again
            for part in (
                [record for record in records if record.topic != MONITOR_STATE_TOPIC],
                [record for record in records if record.topic == MONITOR_STATE_TOPIC],
            ):
                await self._send(part)
            del outbox[: len(records)]

    async def _send(self, records: Sequence[OutRecord]) -> None:
        if not records:
            return
        try:
            await self._send_all(records)
        except RecordsRefused as error:  # all others are confirmed
            for refusal in error.refusals:
                log.error(
                    "%s: a record of %s is left out: %s", self._handler.app.name, refusal.record.topic, refusal.error
                )
                self._on_left_out(refusal.record.topic)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.wrap_future(self._observe.submit(work))
