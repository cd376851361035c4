"""A Faust transport that never jumps: where the broker no longer has what is to be read next, it says so and reads nothing.

aiokafka goes on at the oldest record (`auto_offset_reset`) without a word to anybody: retention that overtook a reader, or
a topic that was made again, would look like a quiet minute. The policy "none" is no way out, as it also refuses a partition
that appeared after the start, which has no position and is rightly read from its beginning.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Transport

from streams.faust_runtime.backpressure import GatedConsumer

log = logging.getLogger("faust.held_transport")  # what Faust says stays Faust's; a name of our own, as mode replaces an inherited logger that it made
HELD_SECONDS = 0.5  # the client asks again and again for a partition without a position


class HeldThread(AIOKafkaConsumerThread):
    """The thread that reads. cut: (topic, partition) whose next record is not in the log any more."""

    logger = log
    cut: set[tuple[str, int]]

    async def on_start(self) -> None:
        """As Faust's own, before anything is subscribed to."""
        self.cut = set()
        await super().on_start()
        self._hold(self._ensure_consumer()._fetcher)

    def _hold(self, fetcher: Any) -> None:
        update = fetcher._update_fetch_positions
        fresh: set[Any] = set()  # without a committed position: going to the beginning is right there

        async def update_or_hold(assignment: Any, node_id: Any, partitions: Iterable[Any]) -> bool:
            going = []
            for tp in partitions:
                state = assignment.state_value(tp)
                if state.awaiting_reset and tp not in fresh:
                    self.cut.add((tp.topic, tp.partition))
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
        return HeldThread(self, loop=self.loop, beacon=self.beacon)


class HeldTransport(Transport):
    """A transport of such consumers."""

    Consumer = HeldConsumer


def hold_positions(app: faust.App) -> None:
    """Give a Faust app this transport. Call before it starts."""
    app.transport = HeldTransport(app.conf.broker_consumer, app)
