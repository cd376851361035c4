"""The worker's engine: a handler's steps, then send and confirm; then the position moves on."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import orjson

from streams.application import Application
from streams.engine.delivery import Acknowledge, Delivery, Outcome, OutRecord, Step
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread

SIGNALS_PER_RECORD = 256


class Handler(Protocol):
    """Turns deliveries into outcomes, off the event loop, in steps of which each works on another batch."""

    @property
    def steps(self) -> Sequence[Step]:
        """In their order. Any of them may set `result` to an Outcome (dead letters); after the last one every
        delivery's `result` is one."""


def worker_pipeline(
    app: Application,
    handler: Handler,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Acknowledge,
    on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None,
    observer: PipelineObserver | None = None,
) -> BatchPipeline:
    """The stages of a worker. on_outcomes: told of each batch once it is confirmed (metrics)."""

    async def publish(batch: Sequence[Delivery]) -> None:
        outcomes: list[Outcome] = [delivery.result for delivery in batch]
        records = [record for outcome in outcomes for record in outcome.records]
        signals = [outcome.signal for outcome in outcomes if outcome.signal is not None]
        records += _signal_records(app.signals_topic, signals)
        await send_all(records)
        on_outcomes(outcomes)

    stages = [Stage(name, in_thread(work, f"{app.name}-{name}")) for name, work in handler.steps]
    stages.append(Stage("publish", publish))
    return BatchPipeline(f"worker-{app.name}", stages, acknowledge, observer=observer)


def _signal_records(topic: str, signals: Sequence[dict[str, Any]]) -> list[OutRecord]:
    """Lists short enough for one record each: a signal takes up to 2 kB."""
    starts = range(0, len(signals), SIGNALS_PER_RECORD)
    return [OutRecord(topic, None, orjson.dumps(signals[start : start + SIGNALS_PER_RECORD])) for start in starts]
