"""A bank of answers as it stood at any time that its topic still tells of."""

import heapq
import logging
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from connectors.answers.sqlite import IN_MEMORY, SQLiteAnswers
from connectors.errors import TopicMismatch
from connectors.ports import AnswerVectors, BankState, Record
from headrace.tools.answers.asking import AskedBank
from headrace.tools.answers.bank import Embeds
from headrace.tools.answers.topic import BankTopic, bank_name
from headrace.wiring import Wiring
from models.errors import MessageError
from streams.routing.answers import FoundInBank, Reader

log = logging.getLogger(__name__)

MOST_VERSIONS: Final = 200  # the newest; of each its entries' places are kept, and of an entry what differs
OPEN_VERSIONS: Final = 2  # that can be asked at once: one of 10,000 entries takes 105 MB


@dataclass(frozen=True, slots=True)
class _Version:
    entries: dict[str, AnswerVectors]
    state: BankState


class BankHistory:
    """What stood when, by the topic's records. Compaction takes away what is replaced, and with it the versions that it
    belonged to; the newest one is always there. own_encoder: the application's."""

    def __init__(self, own_encoder: Callable[[], Embeds]) -> None:
        self._own_encoder, self._said = own_encoder, BankTopic()
        self._entries: dict[str, AnswerVectors] = {}
        self._versions: OrderedDict[str, _Version] = OrderedDict()
        self._since: list[tuple[int, str]] = []  # from when on which, oldest first
        self._open: OrderedDict[str, AskedBank] = OrderedDict()

    def take(self, record: Record) -> None:
        """The topic's next record. What no command has written is passed over."""
        try:
            changed = self._said.take(record)
        except MessageError as error:
            log.warning("%s, offset %d is passed over: %s", record.topic, record.offset, error)
            return
        closed = self._said.closed
        if changed is None or closed is None:
            return
        for identity, kept in changed.items():
            if kept is None:
                self._entries.pop(identity, None)
            else:
                self._entries[identity] = kept
        state = BankState(closed.encoder, closed.dimensions, closed.without_answer)
        name = bank_name(closed)
        self._versions[name] = _Version(dict(self._entries), state)
        self._versions.move_to_end(name)
        self._since.append((record.timestamp_ms, name))
        if len(self._versions) > MOST_VERSIONS:
            self._versions.popitem(last=False)

    def __contains__(self, name: str) -> bool:
        return name in self._versions

    def standing_at(self, at_ms: int) -> str | None:
        """Which bank stood at a time, milliseconds since 1970; None: none that the topic tells of."""
        place = bisect_right(self._since, at_ms, key=lambda one: one[0])
        return self._since[place - 1][1] if place else None

    @property
    def newest(self) -> str | None:
        """The bank as it stands now; None: there is none."""
        return self._since[-1][1] if self._since else None

    def best(
        self, name: str, text: str, reader: Reader | None, embedding: NDArray[np.float32] | None
    ) -> FoundInBank | None:
        """As the bank of this name answered. Raises KeyError for one that is not there any more."""
        found = self.bank(name).best(text, reader, embedding)
        return None if found is None else replace(found, bank=name)

    def bank(self, name: str) -> AskedBank:
        """The bank of this name, to be asked. Raises KeyError for one that is not there any more."""
        if name not in self._open:
            version = self._versions[name]
            store = SQLiteAnswers(IN_MEMORY)
            store.put(list(version.entries.values()))
            store.set_state(version.state)
            self._open[name] = AskedBank(store, self._own_encoder, f"the bank {name}")
            if len(self._open) > OPEN_VERSIONS:
                self._open.popitem(last=False)
        self._open.move_to_end(name)
        return self._open[name]


def read_history(wiring: Wiring, topic: str, own_encoder: Callable[[], Embeds]) -> BankHistory:
    """All that the topic tells; nothing where it is not there. Raises BrokerUnavailable."""
    history = BankHistory(own_encoder)
    for record in _in_time(wiring, topic):
        history.take(record)
    return history


def _in_time(wiring: Wiring, topic: str) -> Iterator[Record]:
    """On the embedded broker the topic has four partitions, and a bank is all that stood in them at a time."""
    admin, reader = wiring.admin(), wiring.reader()
    try:
        partitions = sorted(admin.readable_offsets(topic))
        each = [reader.read(topic, partitions=[partition]) for partition in partitions]
        yield from heapq.merge(*each, key=lambda record: record.timestamp_ms)
    except TopicMismatch:
        return
    finally:
        admin.close()
        reader.close()
