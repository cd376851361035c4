"""The worker's engine: a handler's steps, then send and confirm; then the position moves on."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import orjson

from models.errors import HeadraceError
from streams.application import Application
from streams.engine.buffer import Limits
from streams.engine.delivery import Acknowledge, Delivery, Outcome, OutRecord, SendAll, Step
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.wire.outcomes import give_up
from streams.wire.sending import send_outcomes, signed

log = logging.getLogger(__name__)

SIGNALS_PER_RECORD = 256
# An event is small and its list is not: 8 ms of a core among 10,000 items. What is withdrawn is heard between batches,
# and the watchdog takes a batch that is finished as its sign of life.
LISTS_AT_ONCE = 64
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
        for topic in await send_outcomes(send_own, batch, _signal_records(app.signals_topic, batch)):
            on_left_out(topic)
        try:
            on_outcomes([delivery.result for delivery in batch])
        except HeadraceError:
            raise
        except Exception:
            log.exception("%s: a confirmed batch could not be counted", app.name)

    stages = [Stage(name, in_thread(work, f"{app.name}-{name}")) for name, work in handler.steps]
    stages.append(Stage("publish", publish))
    bounds = Limits(batch_events=LISTS_AT_ONCE) if app.kind == "recommend" else None
    return BatchPipeline(f"worker-{app.name}", stages, acknowledge, give_up=give_up, bounds=bounds, observer=observer)


def _signal_records(topic: str, batch: Sequence[Delivery]) -> list[OutRecord]:
    """Those of one source partition under one key, as a monitor goes by their order, and the embedded broker gives
    this topic several partitions as well."""
    by_source: dict[bytes, list[dict[str, Any]]] = {}
    for delivery in batch:
        if delivery.result.signal is not None:
            key = f"{delivery.topic}-{delivery.partition}".encode()
            by_source.setdefault(key, []).append(delivery.result.signal)
    return [OutRecord(topic, key, value) for key, signals in by_source.items() for value in _lists(signals)]


def _lists(signals: Sequence[dict[str, Any]]) -> Iterator[bytes]:
    """Short enough for one record each: a signal takes about 2 kB, and several times that where its text and symbols
    are made of what JSON must escape."""
    encoded: list[bytes] = []
    size = 0
    for signal in map(orjson.dumps, signals):
        if encoded and (len(encoded) >= SIGNALS_PER_RECORD or size + len(signal) > SIGNALS_BYTES):
            yield b"[" + b",".join(encoded) + b"]"
            encoded, size = [], 0
        encoded.append(signal)
        size += len(signal) + 1
    if encoded:
        yield b"[" + b",".join(encoded) + b"]"
