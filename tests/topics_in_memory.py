"""A topic of one partition as a list, with readers and publishers on it: enough of the ports for what goes to and comes
from compacted topics."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from connectors.ports import Record


class MemoryTopics:
    """Records of all topics, by name. before_write: called before a record is appended, as another writer's chance."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}
        self.before_write: Callable[[], None] = lambda: None

    def append(
        self, topic: str, value: bytes | None, key: bytes | None, headers: Iterable[tuple[str, bytes]] = ()
    ) -> int:
        records = self.records.setdefault(topic, [])
        records.append(Record(topic, 0, len(records), key, value, 0, tuple(headers)))
        return len(records) - 1

    def reader(self) -> "MemoryReader":
        return MemoryReader(self)

    def publisher(self) -> "MemoryPublisher":
        return MemoryPublisher(self)

    def admin(self) -> "MemoryAdmin":
        return MemoryAdmin(self)


class MemoryAdmin:
    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    def readable_offsets(self, topic: str) -> dict[int, tuple[int, int]]:
        return {0: (0, len(self._topics.records.get(topic, [])))}

    def close(self) -> None:
        pass


class MemoryReader:
    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics

    def read(
        self, topic: str, start: Mapping[int, int] | None = None, end: Mapping[int, int] | None = None
    ) -> Iterator[Record]:
        yield from self._topics.records.get(topic, [])[(start or {}).get(0, 0) :]

    def follow(self, topic: str, poll_seconds: float = 0.2) -> Iterator[Record | None]:
        yield from self.read(topic)
        yield None

    def close(self) -> None:
        pass


class MemoryPublisher:
    def __init__(self, topics: MemoryTopics) -> None:
        self._topics = topics
        self._places: list[tuple[str, int, int]] = []

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
        timestamp_ms: int | None = None,
    ) -> None:
        self._topics.before_write()
        self._places.append((topic, 0, self._topics.append(topic, value, key, headers)))

    def flush(self, timeout_seconds: float = 30.0) -> list[tuple[str, int, int]]:
        places, self._places = self._places, []
        return places

    def close(self) -> None:
        pass
