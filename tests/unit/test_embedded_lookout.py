import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from connectors.kafka.embedded import EmbeddedBroker
from streams.faust_runtime.lookout import Lookout, watch

TOPIC = "looked.at"
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(4)]
FOR_EVER = 3_600.0
LOOKS = 12


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with EmbeddedBroker() as broker:
        yield broker.address


class Scene:
    """A consumer of all partitions with its lookout, read all the time as Faust reads it once `read` was called.
    fetches: the client's own, so far."""

    def __init__(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, hold_seconds: float) -> None:
        self.consumer, self.producer, self.fetches = consumer, producer, 0
        send = consumer._client.send

        async def counted(node_id: int, request: object, **how: object) -> object:
            self.fetches += type(request).__name__ == "FetchRequest"
            return await send(node_id, request, **how)

        consumer._client.send = counted
        self.lookout: Lookout = watch(consumer._fetcher, hold_seconds)
        self._heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.reading: asyncio.Task[None] | None = None

    def read(self) -> None:
        async def all_that_comes() -> None:
            while True:
                self._heard.put_nowait(bytes((await self.consumer.getone()).value))

        self.reading = asyncio.create_task(all_that_comes())

    async def say(self, value: bytes, partition: int = 0) -> None:
        await self.producer.send_and_wait(TOPIC, value, partition=partition)

    async def hear(self) -> bytes:
        return await self._heard.get()

    async def looks(self, count: int = LOOKS) -> None:
        begun = self.lookout.questions
        await until(lambda: self.lookout.questions >= begun + count)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


@asynccontextmanager
async def scene(address: str, hold_seconds: float = FOR_EVER, *, is_read: bool = True) -> AsyncIterator[Scene]:
    producer = AIOKafkaProducer(bootstrap_servers=address)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, fetch_max_wait_ms=20)
    await producer.start()
    made = None
    try:
        await producer.partitions_for(TOPIC)
        consumer.assign(PARTITIONS)
        await consumer.start()
        made = Scene(consumer, producer, hold_seconds)
        await consumer.seek_to_end()
        if is_read:
            made.read()
        yield made
    finally:
        if made is not None and made.reading is not None:
            made.reading.cancel()
        await consumer.stop()
        await producer.stop()


def test_while_nothing_comes_the_client_does_not_fetch(address: str) -> None:
    async def run() -> None:
        async with scene(address) as on:
            await on.looks()
            begun = on.fetches
            await on.looks()
            assert on.fetches == begun

    asyncio.run(run())


def test_what_comes_to_any_partition_is_read_in_order_and_once(address: str) -> None:
    async def run() -> None:
        async with scene(address) as on:
            for partition in (0, 3, 1, 1, 2):
                await on.looks(3)
                for number in range(3):
                    await on.say(b"%d.%d" % (partition, number), partition)
                assert [await on.hear() for _ in range(3)] == [b"%d.%d" % (partition, number) for number in range(3)]

    asyncio.run(run())


def test_a_record_is_not_missed_while_another_one_waits_to_be_taken(address: str) -> None:
    """The client asks for the other partitions then: a look at those alone would not see what comes to this one."""

    async def run() -> None:
        async with scene(address, is_read=False) as on:
            await on.looks()
            await on.say(b"first", 1)
            await until(lambda: PARTITIONS[1] in on.consumer._fetcher._records)
            begun = on.fetches
            await until(lambda: on.fetches > begun + 2)  # of the others, again and again
            on.read()
            assert await on.hear() == b"first"
            await on.say(b"second", 1)
            assert await on.hear() == b"second"

    asyncio.run(run())


def test_a_sought_position_is_read_though_nothing_new_comes(address: str) -> None:
    async def run() -> None:
        async with scene(address) as on:
            await on.say(b"again", 2)
            assert await on.hear() == b"again"
            await on.looks()
            on.consumer.seek(PARTITIONS[2], await on.consumer.position(PARTITIONS[2]) - 1)
            assert await on.hear() == b"again"

    asyncio.run(run())


def test_a_look_ends_by_itself_and_the_client_asks(address: str) -> None:
    async def run() -> None:
        async with scene(address, hold_seconds=0.1) as on:
            await on.looks()
            begun = on.fetches
            await until(lambda: on.fetches > begun + 2)

    asyncio.run(run())


@pytest.mark.parametrize("is_there", [True, False])
def test_without_its_connection_the_client_reads_as_ever(address: str, is_there: bool) -> None:
    async def run() -> None:
        async with scene(address) as on:
            await on.looks()
            if not is_there:
                on.lookout._address = lambda: ("127.0.0.1", 1)
            on.lookout.close()
            await on.say(b"after all")
            assert await on.hear() == b"after all"
            if is_there:
                await on.looks()

    asyncio.run(run())
