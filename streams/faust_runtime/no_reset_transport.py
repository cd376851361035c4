"""A Faust transport that reads what is committed and never jumps: where the broker no longer has the next record, it
says so and reads nothing.

Faust reads uncommitted records unless it runs "exactly once" itself: what a producer took back would be decided as if
it had been said.

aiokafka goes on at the oldest record (`auto_offset_reset`) without a word to anybody: retention that overtook a reader,
or a topic that was made again, would look like a quiet minute. `auto_offset_reset="none"` would not do: it also refuses
a partition that appeared after the start, which has no position and is rightly read from its beginning.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import faust
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport

from streams.faust_runtime.backpressure import GatedConsumer

# below "faust", whose lines our logging keeps silent; a logger of our own, as mode replaces an inherited one that it
# made
log = logging.getLogger("faust.no_reset_transport")


class NoResetThread(AIOKafkaConsumerThread):
    """The thread that reads. truncated_partitions: (topic, partition) whose next record is not in the log any more."""

    logger = log
    truncated_partitions: set[tuple[str, int]]

    async def on_start(self) -> None:
        """As Faust's own, before anything is subscribed to."""
        self.truncated_partitions = set()
        await super().on_start()
        self._hold(self._ensure_consumer()._fetcher)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # read when it starts; Faust has no setting for it
        commit = consumer.commit

        async def commit_with_epochs(offsets: Mapping[Any, OffsetAndMetadata]) -> None:
            """A position in a topic of the same name that is made again must not pass for one in that."""
            await commit({tp: at._replace(metadata=transport.epochs.get(tp.topic, "")) for tp, at in offsets.items()})

        consumer.commit = commit_with_epochs
        return consumer

    def _hold(self, fetcher: Any) -> None:
        update = fetcher._update_fetch_positions
        fresh: set[Any] = set()  # without a committed position: going to the beginning is right there

        async def update_or_hold(assignment: Any, node_id: Any, partitions: Iterable[Any]) -> bool:
            going = []
            try:
                for tp in partitions:
                    state = assignment.state_value(tp)
                    if state.awaiting_reset and tp not in fresh:
                        await self._hold_partition(tp, state)
                        continue
                    if not state.has_valid_position:
                        fresh.add(tp)
                    going.append(tp)
            except asyncio.CancelledError:  # as in the client's own: the assignment is no longer of interest
                return False
            woken = bool(going and await update(assignment, node_id, going))
            fresh.difference_update(tp for tp in going if assignment.state_value(tp).has_valid_position)
            return woken

        fetcher._update_fetch_positions = update_or_hold

    async def _hold_partition(self, tp: Any, state: Any) -> None:
        """Leave it at the committed position and fetch it no more, until it is assigned anew. Merely without a position
        it would keep its broker's other partitions waiting: the client fetches none of them before all have one."""
        self.truncated_partitions.add((tp.topic, tp.partition))
        committed = await state.fetch_committed()
        state.pause()
        state.seek(max(committed.offset, 0))


class HeldConsumer(GatedConsumer):
    """A consumer on such a thread."""

    logger = log

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return NoResetThread(self, loop=self.loop, beacon=self.beacon)


class NoResetTransport(Transport):
    """A transport of such consumers. epochs: of each topic, committed with every position."""

    Consumer = HeldConsumer
    epochs: Mapping[str, str] = MappingProxyType({})


def refuse_offset_reset(app: faust.App, epochs: Mapping[str, str]) -> None:
    """Give a Faust app this transport. Call before it starts."""
    transport = NoResetTransport(app.conf.broker_consumer, app)
    transport.epochs = epochs
    app.transport = transport
