"""The retrainer's engine: a request in; a job that trains and compares; at best a release announced.

The job is handed in, in two steps, each of which may be done again: a request that is delivered again finds what was
trained for it by its id, and goes on from there. It runs for minutes, so one request is taken at a time, and the
engine's bounds do the rest.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from models.errors import HeadraceError, MessageError
from streams.engine.buffer import Limits
from streams.engine.delivery import Acknowledge, Delivery, OutRecord
from streams.engine.pipeline import BatchPipeline, Stage
from streams.wire.outcomes import dead_letter
from streams.wire.records import RetrainRequest, decode
from streams.wire.sending import send_dead_letter

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Challenger:
    """What a request led to. version: published and not announced yet; None where nothing better came of it. verdict:
    in words. figures: of one that the gate refused, for the history."""

    version: str | None
    verdict: str
    figures: Mapping[str, Any] = field(default_factory=dict)


class Retraining(Protocol):
    """The work behind a request. Both steps raise HeadraceError; what is retriable is tried again from the first."""

    async def train(self, request: RetrainRequest) -> Challenger:
        """Train and compare; where that was done before for this very request, what came of it."""

    async def announce(self, request: RetrainRequest, challenger: Challenger) -> str:
        """Announce the challenger, unless another release serves by now; what came of it, in words."""


def retrainer_pipeline(
    app: str,
    job: Retraining,
    send_all: Callable[[Sequence[OutRecord]], Awaitable[None]],
    acknowledge: Acknowledge,
    on_ended: Callable[[str, str], None] = lambda app, outcome: None,
) -> BatchPipeline:
    """One stage, one request of `app` at a time; requests about other applications are passed over, as they have
    retrainers of their own. on_ended: told the application and how it ended: finished or failed."""

    async def retrain(batch: Sequence[Delivery]) -> None:
        (delivery,) = batch
        try:
            request = decode(RetrainRequest, delivery.value)
        except MessageError as error:
            if delivery.key in (None, app.encode()):
                await send_dead_letter(send_all, dead_letter(delivery, error).records[0])
            return
        if request.app != app:
            return
        try:
            log.info("retraining %s: %s", app, await _answer(job, request))
        except HeadraceError as error:
            if error.retriable:
                raise
            log.error("retraining %s failed, the champion goes on: %s", app, error)
            on_ended(app, "failed")
        except Exception as error:  # a request must not end every retrainer in turn
            log.exception("retraining %s failed, the champion goes on", app)
            failure = MessageError("internal_error", f"{type(error).__name__}: {error}")
            await send_dead_letter(send_all, dead_letter(delivery, failure).records[0])
            on_ended(app, "failed")
        else:
            on_ended(app, "finished")

    return BatchPipeline("retrainer", [Stage("retrain", retrain)], acknowledge, bounds=Limits(batch_events=1))


async def _answer(job: Retraining, request: RetrainRequest) -> str:
    challenger = await job.train(request)
    return challenger.verdict if challenger.version is None else await job.announce(request, challenger)
