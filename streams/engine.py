"""The engine every role runs on: take what has arrived, pass it through stages, acknowledge in delivery order.

    submit ──> waiting (bounded by events and bytes) ──> stage 1 ──> stage 2 ──> ... ──> acknowledge
                                                     one batch between any two stages

It batches continuously: the next batch is whatever arrived while stage 1 was busy, so one lone event is taken at once.
A batch leaves a stage before the next one enters it, so results stay in the order of delivery. A stage that raises ends
the engine: every waiter gets the error, nothing later is acknowledged, and the role stops with the reason.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from models.errors import HeadraceError
from streams.watermark import Partition, Ticket, Watermark

log = logging.getLogger(__name__)

MAX_EVENTS = 4_096
MAX_BYTES = 64 * 1024 * 1024
BATCH_EVENTS = 256
RETRY_SECONDS = 60.0  # a retriable error (store or broker away) is tried again for so long before the role stops


@dataclass(slots=True)
class Delivery:
    """A record as it came in. handle: what acknowledges it (a Faust event). result: what the stages make of it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    handle: Any
    result: Any = None
    ticket: Ticket["Delivery"] | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Bytes held while this delivery is in flight."""
        return len(self.value or b"") + len(self.key or b"")


Stage = Callable[[Sequence[Delivery]], Awaitable[None]]
Acknowledge = Callable[[Delivery], Awaitable[None]]


class Engine:
    """Runs stages over deliveries. start, submit, drain (finish what is in flight), abort (drop it)."""

    def __init__(
        self,
        name: str,
        stages: Sequence[Stage],
        acknowledge: Acknowledge,
        *,
        max_events: int = MAX_EVENTS,
        max_bytes: int = MAX_BYTES,
        batch_events: int = BATCH_EVENTS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.name = name
        self._stages = stages
        self._acknowledge = acknowledge
        self._max_events, self._max_bytes = max_events, max_bytes
        self._batch_events, self._retry_seconds = batch_events, retry_seconds
        self._waiting: deque[Delivery] = deque()
        self._events = self._bytes = 0
        self._releasing = False
        self._changed = asyncio.Condition()
        self._watermark: Watermark[Delivery] = Watermark()
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None
        self.failed = asyncio.Event()
        self.finished_events = 0
        self.last_progress = time.monotonic()

    def start(self) -> None:
        """Start one task a stage."""
        queues: list[asyncio.Queue[list[Delivery]]] = [asyncio.Queue(maxsize=1) for _ in self._stages]
        sources = [None, *queues[:-1]]
        loops = [partial(self._run_stage, *each) for each in zip(self._stages, sources, queues, strict=True)]
        loops.append(partial(self._run_acknowledging, queues[-1]))
        self._tasks = [asyncio.create_task(self._guard(loop), name=f"{self.name}-{n}") for n, loop in enumerate(loops)]

    @property
    def in_flight(self) -> int:
        """Events taken and not finished."""
        return self._events

    async def submit(self, delivery: Delivery) -> None:
        """Take a delivery, waiting while the bounds are reached. Raises what ended the engine."""
        async with self._changed:
            generation = self._watermark.generation
            while not self.failed.is_set() and (self._releasing or self._is_full(delivery.size)):
                await self._changed.wait()
            if self.failure is not None:
                raise self.failure
            if self._watermark.generation != generation:
                return  # it was delivered before a rebalance; whoever owns its partition now gets it again
            if not self._events:
                self.last_progress = time.monotonic()
            delivery.ticket = self._watermark.deliver((delivery.topic, delivery.partition), delivery)
            self._waiting.append(delivery)
            self._events += 1
            self._bytes += delivery.size
            self._changed.notify_all()

    def assign(self, partitions: Iterable[Partition]) -> None:
        """A new assignment begins: acknowledgements of older deliveries no longer count."""
        self._watermark.assign(partitions)

    async def release(self, partitions: Iterable[Partition], timeout_seconds: float, commit: Callable[[], Awaitable[None]]) -> None:
        """Partitions are being taken away: forget what has not entered a stage (the next owner decides it), finish and
        acknowledge what has, `commit`, and never acknowledge anything of them afterwards."""
        lost = set(partitions)
        self._releasing = True
        try:
            async with self._changed:
                self._forget_waiting(lost)
                self._changed.notify_all()
            await self.drain(timeout_seconds)
            await commit()
            self._watermark.revoke(lost)
        finally:
            self._releasing = False
            async with self._changed:
                self._changed.notify_all()

    def _forget_waiting(self, lost: set[Partition]) -> None:
        forgotten = [each for each in self._waiting if (each.topic, each.partition) in lost]
        self._waiting = deque(each for each in self._waiting if (each.topic, each.partition) not in lost)
        self._events -= len(forgotten)
        self._bytes -= sum(each.size for each in forgotten)

    async def drain(self, timeout_seconds: float) -> int:
        """Wait until all that was taken is acknowledged. Returns how many events were unfinished at the deadline."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                while self._events and not self.failed.is_set():
                    await self._changed.wait()
        except TimeoutError:
            log.warning("%s: %d events unfinished after %.1f s", self.name, self._events, timeout_seconds)
        return self._events

    async def abort(self) -> None:
        """Stop the stages where they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_full(self, size: int) -> bool:
        return self._events >= self._max_events or (self._events > 0 and self._bytes + size > self._max_bytes)

    async def _guard(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self.failure is None:
                self.failure = error
            if not isinstance(error, HeadraceError):
                log.exception("%s: a stage failed", self.name)
            async with self._changed:
                self.failed.set()
                self._changed.notify_all()

    async def _take(self) -> list[Delivery]:
        async with self._changed:
            while not self._waiting:
                await self._changed.wait()
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_events))]

    async def _run_stage(
        self, stage: Stage, source: asyncio.Queue[list[Delivery]] | None, sink: asyncio.Queue[list[Delivery]]
    ) -> None:
        while True:
            batch = await self._take() if source is None else await source.get()
            await self._with_retries(stage, batch)
            await sink.put(batch)

    async def _with_retries(self, stage: Stage, batch: list[Delivery]) -> None:
        deadline, pause = time.monotonic() + self._retry_seconds, 0.2
        while True:
            try:
                return await stage(batch)
            except HeadraceError as error:
                if not error.retriable or time.monotonic() + pause > deadline:
                    raise
                log.warning("%s: %s; trying again in %.1f s", self.name, error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def _run_acknowledging(self, source: asyncio.Queue[list[Delivery]]) -> None:
        while True:
            batch = await source.get()
            for delivery in batch:
                assert delivery.ticket is not None
                for free in self._watermark.complete(delivery.ticket):
                    await self._acknowledge(free)
            async with self._changed:
                self._events -= len(batch)
                self._bytes -= sum(delivery.size for delivery in batch)
                self.finished_events += len(batch)
                self.last_progress = time.monotonic()
                self._changed.notify_all()
