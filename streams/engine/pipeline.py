"""The engine every role runs on: take what has arrived, pass it through stages, acknowledge in delivery order.

    submit ──> waiting (bounded by events and bytes) ──> stage 1 ──> stage 2 ──> ... ──> acknowledge
                                                     one batch between any two stages

It batches continuously: the next batch is whatever arrived while stage 1 was busy or its last batch still waited for
stage 2, so a lone event is taken at once and only one batch stands ready ahead of stage 2. A batch leaves a stage
before the next one enters it, so results stay in the order of delivery.

When something fails, one of three things happens (streams.engine.guard says when):
- one event cannot be decided: it becomes a dead letter, and its position moves on;
- the broker or the store is away: the batch is tried again for up to RETRY_SECONDS;
- the engine ends: every waiter gets the error, nothing later is acknowledged, the role stops with the reason, and
  whoever owns the partitions next decides those events.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

from models.errors import HeadraceError
from streams.engine.buffer import DeliveryBuffer, InFlightBudget, Limits
from streams.engine.delivery import Acknowledge, Delivery
from streams.engine.guard import Batch, GiveUp, Stage, StageGuard
from streams.engine.offset_tracker import OffsetTracker, Partition

__all__ = ["BatchPipeline", "PipelineObserver", "Stage", "Unobserved", "in_thread"]

log = logging.getLogger(__name__)

RETRY_SECONDS = 60.0  # a retriable error (store or broker away) is tried again for so long before the role stops


class PipelineObserver(Protocol):
    """Told how an engine works (metrics). Called on the event loop, so it must be quick."""

    def batch_taken(self, engine: str, events: int, oldest_wait_seconds: float) -> None:
        """A batch was cut; its oldest event has waited so long."""

    def stage_done(self, engine: str, stage: str, events: int, seconds: float) -> None:
        """A stage has finished a batch."""


class Unobserved:
    """A PipelineObserver that looks away."""

    def batch_taken(self, engine: str, events: int, oldest_wait_seconds: float) -> None:
        """Nothing."""

    def stage_done(self, engine: str, stage: str, events: int, seconds: float) -> None:
        """Nothing."""


class BatchPipeline:
    """Runs stages over deliveries. start, submit, drain (finish what is in flight), abort (drop it)."""

    def __init__(
        self,
        name: str,
        stages: Sequence[Stage],
        acknowledge: Acknowledge,
        *,
        give_up: GiveUp | None = None,
        bounds: Limits | None = None,
        retry_seconds: float = RETRY_SECONDS,
        observer: PipelineObserver | None = None,
    ) -> None:
        """stages: at least one; the last one sends and confirms. acknowledge: called on the event loop with what may be
        acknowledged, each partition's in its order. give_up: makes the dead letter of a delivery that a stage fails on
        (streams.engine.guard); without it such a failure ends the engine. retry_seconds: for how long a retriable error
        is tried again before it ends the engine. Raises nothing: what ended the engine stands in `failure`, and
        `submit` raises it."""
        self.name = name
        self._stages = stages
        self._acknowledge = acknowledge
        self._guard = StageGuard(name, stages, give_up, retry_seconds)
        self._observer = observer or Unobserved()
        bounds = bounds or Limits()
        self._buffer: DeliveryBuffer[Delivery] = DeliveryBuffer(bounds)
        self._budgets = {urgent: InFlightBudget(bounds) for urgent in (False, True)}
        self._releasing = False
        self._arrived, self._progressed = asyncio.Event(), asyncio.Event()
        self._offsets: OffsetTracker[Delivery] = OffsetTracker()
        self._tasks: list[asyncio.Task[None]] = []
        self.failure: BaseException | None = None
        self.positions: dict[Partition, int] = {}  # next offset to read, where something was acknowledged
        self.finished_events = 0

    def start(self) -> None:
        """Start one task a stage."""
        queues: list[asyncio.Queue[Batch]] = [asyncio.Queue(maxsize=1) for _ in self._stages]
        sources = [None, *queues[:-1]]
        loops = [partial(self._run_stage, *ends) for ends in zip(range(len(queues)), sources, queues, strict=True)]
        loops.append(partial(self._run_acknowledging, queues[-1]))
        self._tasks = [asyncio.create_task(self._ending(loop), name=f"{self.name}-{n}") for n, loop in enumerate(loops)]

    @property
    def in_flight(self) -> int:
        """Events taken and not finished."""
        return sum(budget.events for budget in self._budgets.values())

    def is_full(self, urgent: bool = False) -> bool:
        """Whether the next delivery would have to wait."""
        return self._releasing or self._budgets[urgent].is_full(1)

    async def submit(self, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries in their order, waiting while the bounds are reached. Raises what ended the engine."""
        for delivery in deliveries:
            budget, size = self._budgets[delivery.urgent], delivery.size
            if not await self._wait_for_room(budget, size):
                return  # a rebalance came meanwhile; whoever owns the partition now gets these again
            delivery.ticket = self._offsets.deliver((delivery.topic, delivery.partition), delivery)
            self._buffer.add(delivery, urgent=delivery.urgent)
            budget.add(1, size)
            self._arrived.set()

    def assign(self, partitions: Iterable[Partition]) -> None:
        """A new assignment begins: acknowledgements of older deliveries no longer count."""
        self._offsets.assign(partitions)
        self.positions.clear()

    async def release(
        self, partitions: Iterable[Partition], timeout_seconds: float, commit: Callable[[], Awaitable[None]]
    ) -> None:
        """Partitions are being taken away: forget what has not entered a stage (the next owner decides it), finish and
        acknowledge what has, `commit`, and never acknowledge anything of them afterwards."""
        lost = set(partitions)
        self._releasing = True
        try:
            self._release_budget(self._buffer.drop(lambda delivery: (delivery.topic, delivery.partition) in lost))
            await self.drain(timeout_seconds)
            await commit()
            self._offsets.revoke(lost)
            for partition in lost:
                self.positions.pop(partition, None)
        finally:
            self._releasing = False
            self._progressed.set()

    def is_outstanding(self, partition: Partition) -> bool:
        """Whether something of a partition was taken and is not acknowledged."""
        return self._offsets.is_in_flight(partition)

    async def drain(self, timeout_seconds: float) -> int:
        """Wait until all that was taken is acknowledged. Returns how many events were unfinished at the deadline."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while self.in_flight and self.failure is None:
                    self._progressed.clear()
                    await self._progressed.wait()
        except TimeoutError:
            log.warning("%s: %d events unfinished after %.1f s", self.name, self.in_flight, timeout_seconds)
        return self.in_flight

    async def abort(self) -> None:
        """Stop the stages where they are, and let their threads end."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stage in self._stages:
            if isinstance(stage.run, ThreadStep):
                stage.run.close()

    async def _wait_for_room(self, budget: InFlightBudget, size: int) -> bool:
        """Whether the assignment is still the one of the call when there is room. Raises what ended the engine."""
        generation = self._offsets.generation
        while self.failure is None and (self._releasing or budget.is_full(size)):
            self._progressed.clear()
            await self._progressed.wait()
        if self.failure is not None:
            raise self.failure
        return self._offsets.generation == generation

    def _release_budget(self, deliveries: Iterable[Delivery]) -> None:
        for delivery in deliveries:
            self._budgets[delivery.urgent].add(-1, -delivery.size)
        self._progressed.set()

    async def _ending(self, loop: Callable[[], Awaitable[None]]) -> None:
        try:
            await loop()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self.failure is None:
                self.failure = error
            if not isinstance(error, HeadraceError):
                log.exception("%s: a stage failed", self.name)
            self._progressed.set()

    async def _take(self) -> Batch:
        while not self._buffer:
            self._arrived.clear()
            await self._arrived.wait()
        deliveries, oldest_wait_seconds = self._buffer.take()
        self._observer.batch_taken(self.name, len(deliveries), oldest_wait_seconds)
        return Batch(deliveries, [deliveries])

    async def _run_stage(self, number: int, source: asyncio.Queue[Batch] | None, sink: asyncio.Queue[Batch]) -> None:
        while True:
            if source is None:
                # one batch is ready ahead of the next stage, not two: what comes meanwhile joins the next one
                await sink.join()
                batch = await self._take()
            else:
                batch = await source.get()
                source.task_done()
            started = time.perf_counter()
            await self._guard.run(number, batch)
            seconds = time.perf_counter() - started
            self._observer.stage_done(self.name, self._stages[number].name, len(batch.deliveries), seconds)
            await sink.put(batch)

    async def _run_acknowledging(self, source: asyncio.Queue[Batch]) -> None:
        while True:
            batch = (await source.get()).deliveries
            source.task_done()
            self.finished_events += len(batch)
            self._release_budget(batch)  # before acknowledging: the acknowledger looks at how much room is left
            in_flight = [delivery.ticket for delivery in batch if delivery.ticket is not None]
            for delivery in batch:
                # it refers back to the delivery; such cycles stay until the collector runs: hundreds of MB at a backlog
                delivery.ticket = None
            acknowledged = self._offsets.mark_done(in_flight)
            self.positions.update(
                ((delivery.topic, delivery.partition), delivery.offset + 1) for delivery in acknowledged
            )
            self._acknowledge(acknowledged)


class ThreadStep:
    """A step that runs in a thread of its own, one batch at a time."""

    def __init__(self, work: Callable[[Sequence[Delivery]], None], name: str) -> None:
        self._work = work
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def __call__(self, batch: Sequence[Delivery]) -> None:
        """Run it over a batch."""
        await asyncio.wrap_future(self.submit(lambda: self._work(batch)))

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Run something else in the same thread, between two batches."""
        return self._pool.submit(work)

    def close(self) -> None:
        """End the thread once it has finished the batch at hand; nobody waits for that."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def in_thread(work: Callable[[Sequence[Delivery]], None], name: str) -> ThreadStep:
    """`work` as a stage's step. The engine closes it."""
    return ThreadStep(work, name)
