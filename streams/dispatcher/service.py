"""The dispatcher on the event loop: partitions are shared among several as the group decides, decisions and people's
changes of one partition going to the same one."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from models.errors import ConfigError, HeadraceError, MessageError
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.dispatcher.dispatching import Output, PartitionDispatcher
from streams.engine.delivery import Acknowledge, Delivery, Outcome, OutRecord, RecordsRefused, SendAll
from streams.engine.offset_tracker import Partition
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage
from streams.topics import ALERTS_TOPIC
from streams.wire.outcomes import dead_letter, give_up
from streams.wire.records import ConversationChange, HeldConversation, decision_id, decode, read_decision
from streams.wire.sending import send_outcomes

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 1.0
BACKLOG_SECONDS: Final = 30.0  # so long nobody is reminded of what may be answered in changes that are still to be read


@dataclass(slots=True)
class Past:
    """What a partition's dispatcher begins with. held: by conversation. sent: ids of answers about records that may
    come again. decisions: with their offsets, those of the window below the group's position, in their order.
    changes_end: the offset after the last change that stands; None: none is to be read."""

    held: dict[str, HeldConversation] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    decisions: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)
    changes_end: int | None = None


class DispatcherService:
    """pipeline, then assigned and released as the group decides. State comes from the topics at each assignment."""

    def __init__(
        self,
        app: Application,
        send_all: SendAll,
        past: Callable[[Collection[int]], Mapping[int, Past]],
        epochs: Mapping[str, str],
        mask: Callable[[str], str] = lambda text: text,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """past: of these partitions, read in a thread; raises ConnectorError. epochs: of each topic that is read."""
        self.app, self._send_all, self._past, self._epochs = app, send_all, past, epochs
        self._mask, self._now_ms = mask, now_ms
        self.counts: Counter[str] = Counter()
        self._of: dict[int, PartitionDispatcher] = {}
        self._wanted: frozenset[int] | None = None  # partitions whose past is still to be read
        self._backlog: dict[int, int] = {}
        self._backlog_until = 0.0
        self._unsent: list[Output] = []
        self._turn = asyncio.Lock()  # what is written of a conversation keeps its order
        self._pipeline: BatchPipeline | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._looked: float | None = None  # when what is due was last looked at; None: others look

    def pipeline(self, acknowledge: Acknowledge, observer: PipelineObserver | None = None) -> BatchPipeline:
        """Dispatch decisions and changes."""
        stages = [Stage("dispatch", self._dispatch)]
        self._pipeline = BatchPipeline(
            f"dispatcher-{self.app.name}", stages, acknowledge, give_up=give_up, observer=observer
        )
        return self._pipeline

    def standing(self) -> dict[str, int]:
        """How many conversations people have, and in how many somebody waits longer than was promised."""
        known, now_ms = list(self._of.values()), self._now_ms()
        return {
            "people": sum(one.with_people for one in known),
            "overdue": sum(one.overdue(now_ms) for one in known),
        }

    def timers_silence_seconds(self) -> float:
        """For how long nobody has looked at what is due, where this process is to: 0 where it has no partitions."""
        looked = self._looked
        return 0.0 if looked is None else time.monotonic() - looked

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """Their past is read before the next record of them is dispatched. Raises ConfigError where decisions and
        changes of one partition go to different dispatchers."""
        decisions = frozenset(place for topic, place in partitions if topic == self.app.decisions_topic)
        changes = frozenset(place for topic, place in partitions if topic == self.app.changes_topic)
        if decisions != changes and self._pipeline is not None:
            self._pipeline.failure = ConfigError(
                f"{self.app.decisions_topic} and {self.app.changes_topic} must have the same number of partitions"
            )
        self._wanted = decisions
        self._looked = time.monotonic() if decisions else None
        if self._ticking is None and decisions:
            self._ticking = asyncio.create_task(self._tick(), name=f"{self.app.name}-dispatcher-ticks")

    async def released(self) -> None:
        """Others go on from here: nothing is written any more."""
        ticking, self._ticking, self._looked = self._ticking, None, None
        if ticking is not None:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        async with self._turn:
            self._of, self._wanted, self._unsent = {}, None, []

    async def _dispatch(self, batch: Sequence[Delivery]) -> None:
        async with self._turn:
            await self._rebuild()
            await self._send_unsent()
            for delivery in batch:
                if delivery.result is None:  # else it failed to be sent and is tried again
                    delivery.result = self._taken(delivery)
            await self._write([one.result for one in batch if isinstance(one.result, Output)])
            letters = [one for one in batch if isinstance(one.result, Outcome)]
            if letters:
                await send_outcomes(self._send_all, letters)
                self.counts["dead_letters"] += len(letters)

    def _taken(self, delivery: Delivery) -> Output | Outcome:
        place = self._place(delivery.topic, delivery.partition, delivery.offset)
        dispatcher = self._of.get(delivery.partition)
        if dispatcher is None:
            raise ConfigError(f"{place} came to a dispatcher that does not have its partition of both topics")
        if self._backlog.get(delivery.partition, 0) <= delivery.offset + 1 and delivery.topic == self.app.changes_topic:
            self._backlog.pop(delivery.partition, None)
        if delivery.value is None:
            return Output()
        try:
            if delivery.topic == self.app.decisions_topic:
                return dispatcher.take_decision(place, delivery.offset, read_decision(delivery.value))
            change = decode(ConversationChange, delivery.value)
            return dispatcher.take_change(place, change, delivery.timestamp_ms)
        except MessageError as error:
            return dead_letter(delivery, error)

    def _place(self, topic: str, partition: int, offset: int) -> str:
        return decision_id(topic, self._epochs.get(topic, ""), partition, offset)

    async def _rebuild(self) -> None:
        """Where there was an assignment: forget all, and read back."""
        while (wanted := self._wanted) is not None:
            past = await asyncio.to_thread(self._past, wanted)
            self._of = {partition: self._begun(partition, one) for partition, one in past.items()}
            self._unsent = []
            self._backlog = {p: one.changes_end for p, one in past.items() if one.changes_end is not None}
            self._backlog_until = time.monotonic() + BACKLOG_SECONDS
            if self._wanted is wanted:
                self._wanted = None
                log.info("%s: people have %d conversations", self.app.name, self.standing()["people"])

    def _begun(self, partition: int, past: Past) -> PartitionDispatcher:
        dispatcher = PartitionDispatcher(self.app, past.held, past.sent, self._mask)
        for offset, decision in past.decisions:
            try:
                dispatcher.recall(self._place(self.app.decisions_topic, partition, offset), offset, decision)
            except MessageError:
                continue  # it became a dead letter when it was dispatched
        return dispatcher

    async def _tick(self) -> None:
        """What is due by the clock. A broker that is away is tried again at the next tick."""
        said = ""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            try:
                await self._take_steps()
                said = ""
            except HeadraceError as error:
                if not error.retriable and self._pipeline is not None:
                    self._pipeline.failure = error
                    return
                if str(error) != said:
                    said = str(error)
                    log.warning("%s: %s; trying again", self.app.name, error)
            except Exception as error:  # the task would end without a word
                log.error("%s: the dispatcher failed", self.app.name, exc_info=error)
                if self._pipeline is not None:
                    self._pipeline.failure = error
                return

    async def _take_steps(self) -> None:
        async with self._turn:
            await self._rebuild()
            await self._send_unsent()
            if self._backlog and time.monotonic() < self._backlog_until:
                return
            self._unsent = [one.due(self._now_ms()) for one in self._of.values()]
            await self._send_unsent()
            self._looked = time.monotonic()

    async def _send_unsent(self) -> None:
        await self._write(self._unsent)
        self._unsent = []

    async def _write(self, outputs: Iterable[Output]) -> None:
        """Answers and alerts first, then what stands: whoever dies in between finds what was sent, and no conversation
        that says it was where it was not."""
        outputs = list(outputs)
        app = self.app
        words = [
            OutRecord(app.answers_topic, answer.conversation.encode(), answer.encode())
            for output in outputs
            for answer in output.answers
        ]
        words += [
            OutRecord(ALERTS_TOPIC, alert.fingerprint.encode(), alert.encode())
            for output in outputs
            for alert in output.alerts
        ]
        await self._send(words)
        await self._send(
            [
                OutRecord(app.conversations_topic, identity.encode(), None if held is None else held.encode())
                for output in outputs
                for identity, held in output.held
            ]
        )
        for output in outputs:
            self.counts.update(output.counts)
            output.counts.clear()  # of a batch that is written again each thing counts once

    async def _send(self, records: Sequence[OutRecord]) -> None:
        """What the broker refuses for good is left out: it must not keep the others from moving on."""
        if not records:
            return
        try:
            await self._send_all(records)
        except RecordsRefused as error:
            self.counts["refused"] += len(error.refusals)
            log.error("%s: %s", self.app.name, error)
