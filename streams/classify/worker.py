"""The worker's engine: a handler's steps, then send and confirm; then the position moves on."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import orjson

from models.errors import HeadraceError
from streams.application import Application
from streams.engine.delivery import Acknowledge, Delivery, Outcome, OutRecord, SendAll, Step
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.wire.outcomes import give_up
from streams.wire.sending import send_outcomes, signed

log = logging.getLogger(__name__)

SIGNALS_PER_RECORD = 256
SIGNALS_BYTES = 500_000  # of one record; a broker takes twice as much


class Handler(Protocol):
    """Turns deliveries into outcomes, off the event loop, in steps of which each works on another batch."""

    @property
    def steps(self) -> Sequence[Step]:
        """In their order. Any of them may set `result` to an Outcome (dead letters); after the last one every
        delivery's `result` is one."""


def worker_pipeline(
    app: Application,
    handler: Handler,
    send_all: SendAll,
    acknowledge: Acknowledge,
    on_outcomes: Callable[[Sequence[Outcome]], None] = lambda _: None,
    observer: PipelineObserver | None = None,
    on_left_out: Callable[[str], None] = lambda topic: None,
) -> BatchPipeline:
    """The stages of a worker.

    on_outcomes: told of each batch once it is confirmed and before it is acknowledged (metrics, the dead letters'
    share). What it raises on purpose ends the engine; any other error of it is logged, as what is sent is sent.
    on_left_out: told the topic of each record beside the decisions that Kafka refused for good.
    """

    send_own = signed(app.name, send_all)

    async def publish(batch: Sequence[Delivery]) -> None:
        signals = [delivery.result.signal for delivery in batch if delivery.result.signal is not None]
        for topic in await send_outcomes(send_own, batch, _signal_records(app.signals_topic, signals)):
            on_left_out(topic)
        try:
            on_outcomes([delivery.result for delivery in batch])
        except HeadraceError:
            raise
        except Exception:
            log.exception("%s: a confirmed batch could not be counted", app.name)

    stages = [Stage(name, in_thread(work, f"{app.name}-{name}")) for name, work in handler.steps]
    stages.append(Stage("publish", publish))
    return BatchPipeline(f"worker-{app.name}", stages, acknowledge, give_up=give_up, observer=observer)


def _signal_records(topic: str, signals: Sequence[dict[str, Any]]) -> list[OutRecord]:
    """Lists short enough for one record each: a signal takes about 2 kB, and several times that where its text and
    symbols are made of what JSON must escape."""
    lists: list[list[bytes]] = []
    size = 0
    for signal in map(orjson.dumps, signals):
        if not lists or len(lists[-1]) >= SIGNALS_PER_RECORD or size + len(signal) > SIGNALS_BYTES:
            lists.append([])
            size = 0
        lists[-1].append(signal)
        size += len(signal) + 1
    return [OutRecord(topic, None, b"[" + b",".join(encoded) + b"]") for encoded in lists]
