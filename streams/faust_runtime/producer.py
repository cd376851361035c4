"""Sends through a Faust app's own producer, in batches made here: one future for each, not one for each record."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError

from connectors.errors import BrokerUnavailable
from streams.engine.delivery import OutRecord

CONFIRM_SECONDS = 30.0
BATCH_BYTES = 1_000_000  # below the broker's limit for a batch (1,048,588) with its own header


class Producer:
    """Sends and confirms through a Faust app's own producer."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def send_all(self, records: Sequence[OutRecord]) -> None:
        """Send and wait until every record is confirmed; records of one partition keep their order. Raises
        BrokerUnavailable."""
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                await asyncio.gather(*[self._send_partition(*each) for each in await self._by_partition(records)])
        except (TimeoutError, KafkaError, faust.exceptions.FaustError) as error:
            raise BrokerUnavailable(f"the broker did not confirm {len(records)} records: {error!r}") from error

    @property
    def _client(self) -> Any:
        """The aiokafka producer below Faust's: Faust sends one record at a time, each with a future of its own, at
        0.2 ms each (bench/README.md)."""
        producer: Any = self._app.producer
        return producer._ensure_producer()

    async def _by_partition(self, records: Collection[OutRecord]) -> list[tuple[str, int, list[OutRecord]]]:
        choose = {topic: await self._partitioner(topic) for topic in {record.topic for record in records}}
        any_partition = {
            topic: chosen(None) for topic, chosen in choose.items()
        }  # records without a key go to one partition together
        found: dict[tuple[str, int], list[OutRecord]] = {}
        for record in records:
            place = any_partition[record.topic] if record.key is None else choose[record.topic](record.key)
            found.setdefault((record.topic, place), []).append(record)
        return [(topic, partition, kept) for (topic, partition), kept in found.items()]

    async def _partitioner(self, topic: str) -> Callable[[bytes | None], int]:
        """Where the client puts a key of this topic; one without a key goes to another partition each time."""
        client = self._client
        partitions = sorted(await client.partitions_for(topic))
        available = list(client._metadata.available_partitions_for_topic(topic))
        return lambda key: int(client._partitioner(key, partitions, available))

    async def _send_partition(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """One batch after the other, each confirmed before the next is sent: a failure leaves no gap in the order."""
        client = self._client
        batch = client.create_batch()
        for record in records:
            if not _append(batch, record):
                await self._confirm(batch, topic, partition)
                batch = client.create_batch()
                if not _append(batch, record):
                    raise BrokerUnavailable(f"a record of {len(record.value or b'')} bytes fits no batch for {topic}")
        await self._confirm(batch, topic, partition)

    async def _confirm(self, batch: Any, topic: str, partition: int) -> None:
        batch.close()
        await (await self._client.send_batch(batch, topic, partition=partition))


def _append(batch: Any, record: OutRecord) -> bool:
    return batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers) is not None
