"""The notifier on the event loop: of several one is active, whoever was given the alerts' partition."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from connectors.ports import Receiver, Record
from streams.application import Application, ReceiverSpec
from streams.clock import wall_clock_ms
from streams.engine.delivery import Acknowledge, Delivery
from streams.engine.offset_tracker import Partition
from streams.engine.pipeline import BatchPipeline, PipelineObserver, Stage, in_thread
from streams.notifier.deliveries import Deliveries
from streams.notifier.telling import Teller
from streams.topics import ALERTS_TOPIC, SILENCES_TOPIC, TOLD_TOPIC
from streams.wire.records import Told

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
STOP_SECONDS: Final = 5.0  # for the words that are being told


class NotifierSources(Protocol):
    """What a notifier stands on."""

    def note(self, told: Told) -> None:
        """Confirmed when it returns. Raises BrokerUnavailable."""

    def read(self, topic: str) -> Iterable[Record]:
        """All that stands in a topic; nothing where it is not there. Raises BrokerUnavailable."""

    def follow(self, topic: str, take: Callable[[Record], None]) -> Callable[[], None]:
        """Have a topic's records taken from its beginning on, as they come, in a thread; what ends that."""

    def receiver(self, spec: ReceiverSpec) -> Receiver:
        """Raises ConfigError where it cannot be made."""


class NotifierService:
    """pipeline, then assigned and released as the group decides. State comes from the topics at each assignment, so the
    position of the group only wakes it."""

    def __init__(
        self, app: Application, sources: NotifierSources, mask: Callable[[str], str] = lambda text: text
    ) -> None:
        """Raises ConfigError for a receiver that cannot be made."""
        self.app, self._sources, self._mask = app, sources, mask
        self._receivers = {spec.name: sources.receiver(spec) for spec in app.receivers}
        self._deliveries = Deliveries(app)
        self._tellers: list[Teller] = []
        self._unfollow: Callable[[], None] = lambda: None
        self.counts: dict[str, dict[str, int]] = {spec.name: {} for spec in app.receivers}
        self._observe = in_thread(self._take, f"{app.name}-notifier")
        self._pipeline: BatchPipeline | None = None
        self._beginning: asyncio.Task[None] | None = None
        self._term = 0  # grows whenever this notifier becomes active or ceases to be
        self._changing = threading.Lock()

    def pipeline(self, acknowledge: Acknowledge, observer: PipelineObserver | None = None) -> BatchPipeline:
        """Take alerts in and wake those who tell them."""
        self._pipeline = BatchPipeline(
            f"notifier-{self.app.name}", [Stage("take", self._observe)], acknowledge, observer=observer
        )
        return self._pipeline

    def pending(self) -> dict[str, int]:
        """Receiver to words that it is still to be told; zero while this notifier stands by."""
        if not self._tellers:
            return dict.fromkeys(self._receivers, 0)
        return self._deliveries.pending({spec.name: spec for spec in self.app.receivers}, wall_clock_ms())

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """Whoever has the alerts is active, all others stand by."""
        is_active = any(topic == ALERTS_TOPIC for topic, _ in partitions)
        if is_active and self._beginning is None:
            with self._changing:
                self._term += 1
            self._beginning = asyncio.create_task(self._begin(self._term), name=f"{self.app.name}-notifier-begins")
        elif not is_active:
            log.info("%s: another notifier is active, this one stands by", self.app.name)

    async def released(self) -> None:
        """Others tell from here on: at once, whatever a rebuilding or a slow receiver still does."""
        with self._changing:
            self._term += 1
            tellers, self._tellers = self._tellers, []
            unfollow, self._unfollow = self._unfollow, lambda: None
        unfollow()
        for teller in tellers:
            teller.ask_to_stop()
        beginning, self._beginning = self._beginning, None
        if beginning is not None:
            beginning.cancel()
        await asyncio.gather(*(asyncio.to_thread(teller.stop, STOP_SECONDS) for teller in tellers))

    async def _begin(self, term: int) -> None:
        """Until the state is there: a broker may be away."""
        said = ""
        while True:
            try:
                return await self._in_thread(lambda: self._rebuild(term))
            except Exception as error:
                if not getattr(error, "retriable", False):
                    log.error("%s: the notifier failed", self.app.name, exc_info=error)
                    assert self._pipeline is not None
                    self._pipeline.failure = error
                    return None
                if str(error) != said:
                    said = str(error)
                    log.warning("%s: %s; trying again", self.app.name, error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.wrap_future(self._observe.submit(work))

    def _rebuild(self, term: int) -> None:
        """What stands, what was told and what is silenced, then the tellers, if it is still ours to tell."""
        deliveries = Deliveries(self.app)
        for record in self._sources.read(SILENCES_TOPIC):
            deliveries.take_silence(record)
        for record in self._sources.read(TOLD_TOPIC):
            deliveries.take_told(record)
        for record in self._sources.read(ALERTS_TOPIC):
            deliveries.take_alert(record)
        with self._changing:
            if term != self._term:
                return
            self._deliveries = deliveries
            self._tellers = [
                Teller(self.app, spec, self._receivers[spec.name], deliveries, self._sources.note, self._mask)
                for spec in self.app.receivers
            ]
            self._unfollow = self._sources.follow(SILENCES_TOPIC, self._take_silence)
            for teller in self._tellers:
                self.counts[teller.spec.name] = teller.counts
                teller.start()
        log.info("%s: the notifier is active, %s", self.app.name, _in_words(self.pending()))

    def _take_silence(self, record: Record) -> None:
        self._deliveries.take_silence(record)
        for teller in self._tellers:
            teller.wake()

    def _take(self, batch: Sequence[Delivery]) -> None:
        for one in batch:
            record = Record(one.topic, one.partition, one.offset, one.key, one.value, one.timestamp_ms)
            self._deliveries.take_alert(record)
        for teller in self._tellers:
            teller.wake()


def _in_words(pending: dict[str, int]) -> str:
    words = ", ".join(f"{number} for {name}" for name, number in pending.items() if number)
    return f"to be told: {words}" if words else "everybody is told of everything"
