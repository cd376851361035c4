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
from collections.abc import Iterable
from typing import Any

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport

from streams.faust_runtime.backpressure import GatedConsumer

# below "faust", whose lines our logging keeps silent; a logger of our own, as mode replaces an inherited one that it
# made
log = logging.getLogger("faust.no_reset_transport")
HELD_SECONDS = 0.5  # the client asks again and again for a partition without a position


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
        return consumer

    def _hold(self, fetcher: Any) -> None:
        update = fetcher._update_fetch_positions
        fresh: set[Any] = set()  # without a committed position: going to the beginning is right there

        async def update_or_hold(assignment: Any, node_id: Any, partitions: Iterable[Any]) -> bool:
            going = []
            for tp in partitions:
                state = assignment.state_value(tp)
                if state.awaiting_reset and tp not in fresh:
                    self.truncated_partitions.add((tp.topic, tp.partition))
                else:
                    if not state.has_valid_position:
                        fresh.add(tp)
                    going.append(tp)
            if not going:
                await asyncio.sleep(HELD_SECONDS)
                return False
            woken = bool(await update(assignment, node_id, going))
            fresh.difference_update(tp for tp in going if assignment.state_value(tp).has_valid_position)
            return woken

        fetcher._update_fetch_positions = update_or_hold


class HeldConsumer(GatedConsumer):
    """A consumer on such a thread."""

    logger = log

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return NoResetThread(self, loop=self.loop, beacon=self.beacon)


class NoResetTransport(Transport):
    """A transport of such consumers."""

    Consumer = HeldConsumer


def refuse_offset_reset(app: faust.App) -> None:
    """Give a Faust app this transport. Call before it starts."""
    app.transport = NoResetTransport(app.conf.broker_consumer, app)
