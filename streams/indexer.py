"""The indexer's engine: decisions in, documents in the store, then the position moves on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connectors.ports import DecisionStore, IndexReport
from models.errors import MessageError
from streams.engine.buffer import Limits
from streams.engine.dead_letter_limit import DeadLetterLimit
from streams.engine.delivery import Acknowledge, Delivery, Outcome, SendAll
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.wire.outcomes import dead_letter, give_up
from streams.wire.records import json_object
from streams.wire.sending import send_outcomes

BATCH_EVENTS, BATCH_BYTES = 512, 4_000_000


@dataclass(slots=True)
class IndexerCounts:
    """What an indexer did since it started. told: stories of items that are new beside decisions. windows: of trends,
    each as often as it was written."""

    created: int = 0
    repeats: int = 0
    rejected: int = 0
    told: int = 0
    windows: int = 0


def indexer_pipeline(
    store: DecisionStore,
    send_all: SendAll,
    acknowledge: Acknowledge,
    counts: IndexerCounts,
    observer: PipelineObserver | None = None,
    limit: DeadLetterLimit | None = None,
    beside: Mapping[str, Literal["story", "window"]] | None = None,
) -> BatchPipeline:
    """Two stages: index a batch in a thread, then send and confirm the dead letters of what is no decision or what the
    store refuses for good. limit: on the share of those; where it is passed the engine ends with TooManyDeadLetters
    before that batch is acknowledged. beside: topics of what is told beside decisions, and
    what that is."""

    kinds = beside or {}

    def index(batch: Sequence[Delivery]) -> None:
        report = _put([one for one in batch if one.topic not in kinds], "decision", store.index)
        counts.created += report.created
        counts.repeats += report.repeats
        if stories := [one for one in batch if kinds.get(one.topic) == "story"]:
            counts.told += _put(stories, "story", store.tell).created
        if windows := [one for one in batch if kinds.get(one.topic) == "window"]:
            counts.windows += _put(windows, "window", store.put_windows).created

    async def publish(batch: Sequence[Delivery]) -> None:
        outcomes: list[Outcome] = [delivery.result for delivery in batch]
        rejected = sum(outcome.rejected_because is not None for outcome in outcomes)
        if rejected:
            await send_outcomes(send_all, batch)
            counts.rejected += rejected
        if limit is not None:
            limit.observe_outcomes(outcomes)

    return BatchPipeline(
        "indexer",
        [Stage("index", in_thread(index, "indexer")), Stage("publish", publish)],
        acknowledge,
        give_up=give_up,
        bounds=Limits(batch_events=BATCH_EVENTS, batch_bytes=BATCH_BYTES),
        observer=observer,
    )


def _put(
    deliveries: Sequence[Delivery], name: str, put: Callable[[Sequence[dict[str, Any]]], IndexReport]
) -> IndexReport:
    """Give a store what stands in these; what is none, or is refused for good, gets a dead letter as its result. name:
    of what each should be."""
    readable: list[Delivery] = []  # the one at a position was read into the document at that position
    documents: list[dict[str, Any]] = []
    for delivery in deliveries:
        try:
            documents.append(json_object(delivery.value, name))
        except MessageError as error:
            delivery.result = dead_letter(delivery, error)
            continue
        delivery.result = Outcome([])
        readable.append(delivery)
    report = put(documents)
    for rejected in report.rejected:
        delivery = readable[rejected.position]
        delivery.result = dead_letter(delivery, MessageError("not_indexed", rejected.reason))
    return report
