"""Re-deciding records with the code that decides live: read, prepare, encode and decide run side by side, a batch
apart.

What is in memory at any time is a few batches, whatever the topic's length; each is bounded by events and by bytes.
"""

import math
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from connectors.ports import Record
from headrace.slot_finders import slot_finder
from models.classifier import Classifier
from streams.application import Application
from streams.classify.handler import ClassifyHandler
from streams.classify.sampling import Sample
from streams.classify.serving import Serving
from streams.conversations.memory import Past
from streams.engine.delivery import Delivery, Outcome
from streams.routing.answers import Bank

BATCH_EVENTS = 1_024
BATCH_BYTES = 8 * 1024 * 1024
LOOK_AGAIN_SECONDS = 0.2
OLDEST_DAYS = 36_525  # events of a century: history is what a replay is for
MODEL_ERROR = (
    "model_error"  # the reason of a text that a release failed on; every other one stands before any model runs
)

T = TypeVar("T")


def replay_handler(
    app: Application,
    classifier: Classifier,
    topic: str,
    epoch: str,
    *,
    with_signals: bool = False,
    past: Past | None = None,
    bank: Bank | None = None,
) -> ClassifyHandler:
    """The live handler without what depends on the moment: no event is late, nothing is remembered or tried out
    beside it, and nothing is audited: live, audits may raise the fast path's thresholds, and a replayed label must
    not depend on where the replay began. with_signals: whether it says of every event what a monitor needs. past: what
    was decided before the stretch, for conversations. bank: of answers; None: none is asked."""
    source = app.source.model_copy(update={"max_age_days": OLDEST_DAYS})
    offline = app.model_copy(update={"deadline_seconds": None, "source": source})
    return ClassifyHandler(
        offline,
        Serving(classifier),
        {topic: epoch},
        signal_sample=Sample(math.inf if with_signals else 0.0),
        audit_sample=Sample(0.0),
        of_history=True,
        slot_finder=slot_finder(app),
        past=past,
        bank=bank,
    )


@dataclass(frozen=True, slots=True)
class Decided:
    """One record and what each release made of it, in their order: the decision as it would stand in `decisions.<app>`
    (bytes and parsed), or why there is none. passed_over: why there is nothing to decide in the record. signal: the
    first release's, where its handler was asked for them."""

    record: Record
    raw: tuple[bytes | None, ...]
    decisions: tuple[dict[str, Any] | None, ...]
    rejected_because: tuple[str | None, ...]
    passed_over: str | None = None
    signal: dict[str, Any] | None = None


def decide_records(
    records: Iterable[Record], handlers: list[ClassifyHandler], decisions_topic: str
) -> Iterator[list[Decided]]:
    """Batch after batch, in the order of `records`. Raises what reading raises, and ModelError where a release fails on
    every text of a batch."""
    with (
        Prefetcher(_batches(records), depth=2) as batches,
        Prefetcher(_prepared(batches, handlers), depth=1) as prepared,
        Prefetcher(_encoded(prepared, handlers), depth=1) as encoded,
    ):
        for batch, deliveries in encoded:
            for handler, own in zip(handlers, deliveries, strict=True):
                handler.decide(own)
            outcomes = zip(*([_outcome(delivery) for delivery in own] for own in deliveries), strict=True)
            yield [_decided(record, of_each, decisions_topic) for record, of_each in zip(batch, outcomes, strict=True)]


def _batches(records: Iterable[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record.value or b"") + len(record.key or b"")
        if len(batch) >= BATCH_EVENTS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _prepared(
    batches: Iterable[list[Record]], handlers: list[ClassifyHandler]
) -> Iterator[tuple[list[Record], list[list[Delivery]]]]:
    for batch in batches:
        deliveries = [[_delivery(record) for record in batch] for _ in handlers]
        for handler, own in zip(handlers, deliveries, strict=True):
            handler.prepare(own)
        yield batch, deliveries


def _encoded(
    prepared: Iterable[tuple[list[Record], list[list[Delivery]]]], handlers: list[ClassifyHandler]
) -> Iterator[tuple[list[Record], list[list[Delivery]]]]:
    for batch, deliveries in prepared:
        for handler, own in zip(handlers, deliveries, strict=True):
            handler.encode(own)
        yield batch, deliveries


def _delivery(record: Record) -> Delivery:
    return Delivery(record.topic, record.partition, record.offset, record.key, record.value, record.timestamp_ms)


def _outcome(delivery: Delivery) -> Outcome:
    outcome: Outcome = delivery.result
    return outcome


def _decided(record: Record, outcomes: tuple[Outcome, ...], decisions_topic: str) -> Decided:
    raw = tuple(_raw(outcome, decisions_topic) for outcome in outcomes)
    parsed = tuple(None if value is None else orjson.loads(value) for value in raw)
    rejected_because = tuple(outcome.rejected_because for outcome in outcomes)
    return Decided(record, raw, parsed, rejected_because, outcomes[0].passed_over, outcomes[0].signal)


def _raw(outcome: Outcome, decisions_topic: str) -> bytes | None:
    if outcome.rejected_because is not None or outcome.passed_over is not None:
        return None
    return next(record.value for record in outcome.records if record.topic == decisions_topic)


class Prefetcher(Generic[T]):
    """Computes an iterable in a thread of its own, at most `depth` items ahead of who takes them; what it raises is
    raised there. Leaving the `with` block ends it."""

    def __init__(self, items: Iterable[T], depth: int) -> None:
        self._items = items
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay-ahead", daemon=True)

    def __enter__(self) -> "Prefetcher[T]":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item, error = self._ready.get(timeout=LOOK_AGAIN_SECONDS)
            except queue.Empty:
                if self._closing.is_set():  # the one that takes from this one was left itself
                    return
                continue
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            assert item is not None
            yield item

    def _run(self) -> None:
        ending: BaseException = StopIteration()
        try:
            for item in self._items:
                if not self._put((item, None)):
                    return
        except BaseException as error:  # told to the one who takes, in its thread
            ending = error
        self._put((None, ending))

    def _put(self, item: tuple[T | None, BaseException | None]) -> bool:
        while not self._closing.is_set():
            try:
                self._ready.put(item, timeout=LOOK_AGAIN_SECONDS)
                return True
            except queue.Full:
                continue
        return False
