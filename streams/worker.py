"""The worker's engine: parse and tokenise, decide, send and confirm; then the position moves on."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import orjson

from streams.application import Application
from streams.classify import Outcome, OutRecord
from streams.engine import Delivery, Engine, Stage


class Handler(Protocol):
    """Turns deliveries into outcomes, off the event loop: prepare runs for batch n+1 while decide runs for batch n."""

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """First half; may set `result` to an Outcome already (dead letters)."""

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Second half: afterwards every delivery's `result` is an Outcome."""


def in_thread(work: Callable[[Sequence[Delivery]], None], name: str) -> Stage:
    """A stage that runs `work` in a thread of its own, one batch at a time."""
    pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def stage(batch: Sequence[Delivery]) -> None:
        await asyncio.get_running_loop().run_in_executor(pool, work, batch)

    return stage


def worker_engine(
    app: Application,
    handler: Handler,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Callable[[Delivery], Awaitable[None]],
    on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None,
) -> Engine:
    """The three stages of a worker. on_outcomes: told of each batch once it is confirmed (metrics)."""

    async def publish(batch: Sequence[Delivery]) -> None:
        outcomes: list[Outcome] = [delivery.result for delivery in batch]
        records = [record for outcome in outcomes for record in outcome.records]
        signals = [outcome.signal for outcome in outcomes if outcome.signal is not None]
        if signals:
            records.append(OutRecord(app.signals_topic, None, orjson.dumps(signals)))
        await send_all(records)
        on_outcomes(outcomes)

    stages = [in_thread(handler.prepare, f"{app.name}-prepare"), in_thread(handler.decide, f"{app.name}-decide"), publish]
    return Engine(f"worker-{app.name}", stages, acknowledge)
