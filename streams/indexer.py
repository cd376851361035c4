"""The indexer's engine: decisions in, documents in the store, then the position moves on."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import orjson

from connectors.ports import DecisionStore
from models.errors import MessageError
from streams.engine.buffer import Limits
from streams.engine.delivery import Acknowledge, Delivery, OutRecord
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage
from streams.wire.outcomes import dead_letter

log = logging.getLogger(__name__)


@dataclass(slots=True)
class IndexerCounts:
    """What an indexer did since it started."""

    created: int = 0
    repeats: int = 0
    rejected: int = 0


def indexer_pipeline(
    store: DecisionStore,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Acknowledge,
    counts: IndexerCounts,
    observer: PipelineObserver | None = None,
) -> BatchPipeline:
    """One stage: index a batch in a thread; what the store refuses for good becomes a dead letter."""

    async def index(batch: Sequence[Delivery]) -> None:
        decisions: list[Delivery] = []  # the one at a position was decoded into the document at that position
        documents, letters = [], []
        for delivery in batch:
            try:
                document = orjson.loads(delivery.value or b"")
            except orjson.JSONDecodeError as error:
                letters.append(dead_letter(delivery, MessageError("bad_record", f"no decision: {error!r}")))
                continue
            if not isinstance(document, dict):
                letters.append(dead_letter(delivery, MessageError("bad_record", "no decision: no JSON object")))
                continue
            decisions.append(delivery)
            documents.append(document)
        report = await asyncio.to_thread(store.index, documents)
        for rejected in report.rejected:
            letters.append(dead_letter(decisions[rejected.position], MessageError("not_indexed", rejected.reason)))
        if letters:
            await send_all([record for letter in letters for record in letter.records])
        counts.created += report.created
        counts.repeats += report.repeats
        counts.rejected += len(letters)

    return BatchPipeline(
        "indexer",
        [Stage("index", index)],
        acknowledge,
        bounds=Limits(batch_events=512, batch_bytes=4_000_000),
        observer=observer,
    )
