"""Sends through a Faust app's own producer, in batches made here: one future for each, not one for each record.

The producer is not idempotent. aiokafka numbers a batch when it is taken to be sent and tries it again without end, so
a batch that the broker refuses leaves a hole that makes it refuse the partition's every later one (out of order
sequence number), and a batch that we gave up waiting for would still be written beside the one that repeats it. So a
network retry may write a record twice; ids make that harmless.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError

from connectors.errors import BrokerUnavailable
from models.errors import MessageError
from streams.engine.delivery import REFUSED, TOO_LARGE, OutRecord, RecordsRefused, Refusal
from streams.faust_runtime.errors import translate

CONFIRM_SECONDS = 30.0
BATCH_BYTES = 1_000_000  # below the broker's limit for a batch (1,048,588) with its own header


class Producer:
    """Sends and confirms through a Faust app's own producer."""

    def __init__(self, app: faust.App) -> None:
        self._app = app

    async def send_all(self, records: Sequence[OutRecord]) -> None:
        """Send and wait until every record is confirmed; records of one partition keep their order.

        Raises RecordsRefused where the broker never takes some of them, once all others are confirmed;
        BrokerUnavailable where they are not confirmed within CONFIRM_SECONDS; AccessDenied, TopicMismatch or
        ConnectorError where trying again cannot help. After any but the first nothing is known of the records: send
        all of them again, and some may be there twice.
        """
        try:
            async with asyncio.timeout(CONFIRM_SECONDS):
                parts = await self._by_partition(records)
                results = await asyncio.gather(*[self._send_partition(*part) for part in parts], return_exceptions=True)
        except TimeoutError as error:
            raise BrokerUnavailable(
                f"the broker did not confirm {len(records)} records within {CONFIRM_SECONDS:.0f} s"
            ) from error
        except (KafkaError, faust.exceptions.FaustError) as error:
            raise _translated(error) from error
        refusals: list[Refusal] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            refusals += result
        if refusals:
            raise RecordsRefused(refusals)

    @property
    def _client(self) -> Any:
        """The aiokafka producer below Faust's: Faust sends one record at a time, each with a future of its own, at
        0.2 ms each (bench/README.md)."""
        producer: Any = self._app.producer
        return producer._ensure_producer()

    async def _by_partition(self, records: Sequence[OutRecord]) -> list[tuple[str, int, list[OutRecord]]]:
        choose = {topic: await self._partitioner(topic) for topic in {record.topic for record in records}}
        # records without a key go to one partition together
        any_partition = {topic: choose_partition(None) for topic, choose_partition in choose.items()}
        by_place: dict[tuple[str, int], list[OutRecord]] = {}
        for record in records:
            place = any_partition[record.topic] if record.key is None else choose[record.topic](record.key)
            by_place.setdefault((record.topic, place), []).append(record)
        return [(topic, partition, kept) for (topic, partition), kept in by_place.items()]

    async def _partitioner(self, topic: str) -> Callable[[bytes | None], int]:
        """Where the client puts a key of this topic; one without a key goes to another partition each time. Raises
        BrokerUnavailable while the client knows no partition of it."""
        client = self._client
        partitions = sorted(await client.partitions_for(topic) or ())
        if not partitions:
            raise BrokerUnavailable(f"the broker names no partition of {topic}")
        # None while the metadata is being replaced, empty while no partition has a leader: then any will do, and waits
        available = list(client._metadata.available_partitions_for_topic(topic) or partitions)
        return lambda key: int(client._partitioner(key, partitions, available))

    async def _send_partition(self, topic: str, partition: int, records: Sequence[OutRecord]) -> list[Refusal]:
        """One batch after the other, each confirmed before the next is sent: a failure leaves no gap in the order.
        Returns what was refused. Raises what `send_all` raises."""
        refusals: list[Refusal] = []
        batch, taken, left = self._client.create_batch(), list[OutRecord](), deque(records)
        while left:
            try:
                fits = _append(batch, left[0])
            except (TypeError, ValueError, AttributeError) as error:  # no bytes, a lone surrogate in a header's name
                reason = MessageError(REFUSED, f"the record cannot be encoded: {error!r}")
                refusals.append(Refusal(left.popleft(), reason))
                batch = self._batch_of(taken)  # half of that record may stand in the other one
                continue
            if fits:
                taken.append(left.popleft())
            elif taken:
                refusals += await self._confirm(batch, topic, partition, taken)
                batch, taken = self._client.create_batch(), []
            else:
                refusals.append(Refusal(left.popleft(), MessageError(TOO_LARGE, "the record fits no batch")))
                batch = self._client.create_batch()
        return refusals + await self._confirm(batch, topic, partition, taken)

    def _batch_of(self, records: Sequence[OutRecord]) -> Any:
        batch = self._client.create_batch()
        for record in records:
            _append(batch, record)
        return batch

    async def _confirm(self, batch: Any, topic: str, partition: int, records: Sequence[OutRecord]) -> list[Refusal]:
        """Send a batch. The broker refuses all of it for one record, so a refused one is sent again in halves."""
        if not records:
            return []
        batch.close()
        try:
            await (await self._client.send_batch(batch, topic, partition=partition))
        except (KafkaError, faust.exceptions.FaustError) as error:
            reason = _translated(error)
            if not isinstance(reason, MessageError):
                raise reason from error
        else:
            return []
        if len(records) == 1:
            return [Refusal(records[0], reason)]
        middle = len(records) // 2
        first = await self._send_partition(topic, partition, records[:middle])
        return first + await self._send_partition(topic, partition, records[middle:])


def _append(batch: Any, record: OutRecord) -> bool:
    return batch.append(key=record.key, value=record.value, timestamp=None, headers=record.headers) is not None


def _translated(error: KafkaError | faust.exceptions.FaustError) -> Exception:
    if isinstance(error, KafkaError):
        return translate(error)
    return BrokerUnavailable(f"the producer is not ready: {error!r}")
