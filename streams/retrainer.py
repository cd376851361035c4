"""The retrainer's engine: a request in; a job that trains and compares; at best a release out.

The job is handed in. It runs for minutes, so one request is taken at a time, and the engine's bounds do the rest.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from models.errors import HeadraceError, MessageError
from streams.engine.buffer import Limits
from streams.engine.delivery import Acknowledge, Delivery, OutRecord
from streams.engine.pipeline import BatchPipeline, Stage
from streams.topics import RELEASES_TOPIC
from streams.wire.outcomes import dead_letter
from streams.wire.records import Release, RetrainRequest, decode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobResult:
    """release: the new state to announce, or None when the challenger was not better. verdict: in words."""

    release: Release | None
    verdict: str


Job = Callable[[RetrainRequest], Awaitable[JobResult]]


def retrainer_pipeline(
    job: Job,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Acknowledge,
) -> BatchPipeline:
    """One stage, one request at a time."""

    async def retrain(batch: Sequence[Delivery]) -> None:
        (delivery,) = batch
        try:
            request = decode(RetrainRequest, delivery.value)
        except MessageError as error:
            return await send_all(dead_letter(delivery, error).records)
        try:
            result = await job(request)
        except HeadraceError as error:
            if error.retriable:
                raise
            log.error("retraining %s failed, the champion goes on: %s", request.app, error)
            return None
        log.info("retraining %s: %s", request.app, result.verdict)
        if result.release is not None:
            await send_all([OutRecord(RELEASES_TOPIC, result.release.model.encode(), result.release.encode())])
        return None

    return BatchPipeline("retrainer", [Stage("retrain", retrain)], acknowledge, bounds=Limits(batch_events=1))
