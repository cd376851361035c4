"""Following a topic: who waits for all that stood in it does not wait for a poll that finds nothing as well."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from connectors.kafka import client
from connectors.kafka.client import KafkaReader
from connectors.ports import Record


class ScriptedReader(KafkaReader):
    """On a topic of one partition that is as long as `end`; each poll gives the next of `polls`."""

    def __init__(self, polls: Sequence[int], end: int) -> None:
        self._address, self._closed = "broker", client.threading.Event()
        self.polls, self.end, self.position, self.polled = list(polls), end, 0, 0
        self.waited: list[float] = []

    def _stand(self, topic: str) -> tuple[str, dict[int, tuple[int, int]]]:
        return "aaaaaaaa", {0: (0, self.end)}

    @contextlib.contextmanager
    def _consumer(self, starts: Mapping[int, int], partitions: Sequence[Any]) -> Iterator[Any]:
        yield None

    def _poll(self, consumer: Any, seconds: float) -> Iterator[Record]:
        self.polled += 1
        self.waited.append(seconds)
        for _ in range(self.polls.pop(0) if self.polls else 0):
            self.position += 1
            yield Record("releases", 0, self.position - 1, b"support", b"{}", 0)

    def _positions(self, consumer: Any, partitions: Sequence[Any]) -> dict[int, int]:
        return {0: self.position}


@pytest.mark.parametrize(("polls", "end", "needed"), [([3], 3, 1), ([2, 1], 3, 2), ([], 0, 0)])
def test_end_of_what_stood_is_told_with_its_last_record(polls: list[int], end: int, needed: int) -> None:
    """A worker's start waited 0.2 s for an empty poll of `model.releases`, though it had read all of it."""
    reader = ScriptedReader(polls, end)
    following = reader.follow("releases")
    heard = [next(following) for _ in range(end + 1)]
    assert [record is None for record in heard] == [False] * end + [True]
    assert reader.polled == needed


def test_each_empty_poll_after_that_is_told() -> None:
    reader = ScriptedReader([1, 0, 1], 1)
    following = reader.follow("releases")
    assert [next(following) is None for _ in range(5)] == [False, True, True, False, True]


def test_first_records_are_not_waited_for_by_long_polls() -> None:
    """The client sends no fetch in the poll that learns the leader, and a start lost that whole poll: 0.2 s."""
    reader = ScriptedReader([0, 0, 1], 1)
    following = reader.follow("releases", 0.2)
    assert [next(following) is None for _ in range(3)] == [False, True, True]
    assert max(reader.waited[:3]) <= 0.02 and reader.waited[3] == 0.2


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_connection_that_was_released_ends_it_and_one_that_broke_is_told(is_closed: bool) -> None:
    """At the end of a demo on a busy machine a thread wrote a traceback: it asked for the topic as it was closed."""

    class Asking(ScriptedReader):
        def _poll(self, consumer: Any, seconds: float) -> Iterator[Record]:
            if self.polled:
                if is_closed:
                    self._closed.set()
                raise RuntimeError("the client is closed")
            yield from super()._poll(consumer, seconds)

    following = Asking([1], 1).follow("decisions")
    assert [next(following) is None for _ in range(2)] == [False, True]
    with pytest.raises(StopIteration if is_closed else RuntimeError):
        next(following)
