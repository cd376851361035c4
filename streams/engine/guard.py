"""Runs a stage so that one delivery cannot take the others along, or end the engine.

What a stage raises decides:

    retriable (broker or store away)         the stage is run again, for up to retry_seconds
    any other HeadraceError                  meant: it ends the engine (a release that fails, missing rights, too many
                                             dead letters)
    MessageError, or an error of no kind     the batch is run again, delivery by delivery, from the first stage on; a
    that we know                             delivery that fails alone is given up: it becomes a dead letter

A delivery that was given up skips the stages in between. The last stage, which sends and confirms, sees every delivery
of the batch in its order again, so results are sent, and acknowledged, in the order of delivery. It must do what can
fail on a delivery before it sends, as what is sent twice is there twice.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import HeadraceError, MessageError
from streams.engine.delivery import Delivery

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0

GiveUp = Callable[[Delivery, Exception], Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """A step over a batch. name: as it stands in the metrics (prepare, encode, decide, publish, index, observe,
    retrain)."""

    name: str
    run: Callable[[Sequence[Delivery]], Awaitable[None]]


@dataclass(slots=True)
class Batch:
    """deliveries: in their order. parts: what the next stage is run over: all of them together, or, once a stage failed
    on them, one by one and without those that were given up."""

    deliveries: list[Delivery]
    parts: list[list[Delivery]]


class StageGuard:
    """Runs an engine's stages.

    give_up: makes the `result` of a delivery that a stage fails on though it is alone (a dead letter, which the last
    stage sends). None: there is no such result, so what fails unexpectedly ends the engine.
    """

    def __init__(self, name: str, stages: Sequence[Stage], give_up: GiveUp | None, retry_seconds: float) -> None:
        self._name, self._stages, self._give_up, self._retry_seconds = name, stages, give_up, retry_seconds

    async def run(self, number: int, batch: Batch) -> None:
        """Run a stage over a batch. Raises what ends the engine."""
        is_last = number == len(self._stages) - 1
        parts: list[list[Delivery]] = []
        for part in [batch.deliveries] if is_last else batch.parts:
            try:
                await self._with_retries(self._stages[number], part)
                parts.append(part)
            except Exception as error:
                if self._give_up is None or _is_meant(error):
                    raise
                log.exception("%s: %s failed on a batch of %d", self._name, self._stages[number].name, len(part))
                alone = self._confirm_alone if is_last else self._run_alone
                parts += [
                    [delivery] for delivery in part if await alone(number, delivery, error, len(part), self._give_up)
                ]
        batch.parts = parts

    async def _run_alone(
        self, number: int, delivery: Delivery, error: Exception, together: int, give_up: GiveUp
    ) -> bool:
        """Run the stages up to this one over a delivery alone. Returns whether it goes on to the next one.

        error: of the batch of `together` deliveries; one that was alone already is not tried again.
        """
        if together == 1:
            delivery.result = give_up(delivery, error)
            return False
        delivery.result = None
        try:
            for stage in self._stages[: number + 1]:
                await self._with_retries(stage, [delivery])
        except Exception as own_error:
            if _is_meant(own_error):
                raise
            delivery.result = give_up(delivery, own_error)
            return False
        return True

    async def _confirm_alone(
        self, number: int, delivery: Delivery, error: Exception, together: int, give_up: GiveUp
    ) -> bool:
        """Run the last stage over a delivery alone, and where that fails over what giving it up leads to."""
        if together > 1:
            try:
                await self._with_retries(self._stages[number], [delivery])
                return True
            except Exception as own_error:
                if _is_meant(own_error):
                    raise
                error = own_error
        delivery.result = give_up(delivery, error)
        await self._with_retries(self._stages[number], [delivery])
        return True

    async def _with_retries(self, stage: Stage, deliveries: Sequence[Delivery]) -> None:
        deadline, pause = time.monotonic() + self._retry_seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return await stage.run(deliveries)
            except HeadraceError as error:
                if not error.retriable or time.monotonic() + pause > deadline:
                    raise
                log.warning("%s: %s; trying again in %.1f s", self._name, error, pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def _is_meant(error: Exception) -> bool:
    """Whether an error was raised to end the engine, not about one delivery."""
    return isinstance(error, HeadraceError) and not isinstance(error, MessageError)
