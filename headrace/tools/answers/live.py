"""The bank of answers as a worker holds it: in memory, as its topic says, asked as `headrace answers search` asks."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from connectors.answers.sqlite import IN_MEMORY, SQLiteAnswers
from connectors.errors import BrokerUnavailable
from connectors.ports import AnswerVectors, BankState, Record, TopicReader
from headrace.tools.answers.asking import AskedBank
from headrace.tools.answers.bank import Embeds
from headrace.tools.answers.topic import BankTopic, bank_name
from models.errors import MessageError
from streams.routing.answers import FoundInBank, Occasion, Reader
from streams.wire.records import BankClose
from streams.wire.topic_follower import TopicFollower

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 20.0


class LiveBank:
    """Follows the topic from its beginning on. One application's; see streams.routing.answers.Bank. own_encoder: the
    application's."""

    def __init__(self, open_reader: Callable[[], TopicReader], topic: str, own_encoder: Callable[[], Embeds]) -> None:
        self._topic, self._said = topic, BankTopic()
        self._last: dict[int, tuple[int, int]] = {}  # of each partition: offset and time
        self._store = SQLiteAnswers(IN_MEMORY)
        self._asked = AskedBank(self._store, own_encoder, topic)
        self._lock = threading.Lock()  # entries and what they must be stronger than change together
        self._closed: BankClose | None = None  # what closed the bank that is asked
        self._is_current = False
        self._follower = TopicFollower(open_reader, topic, self.take)

    def start(self) -> None:
        """Begin to follow."""
        self._follower.start()

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def rebuild(self) -> None:
        """See the port."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._is_current:
            self._is_current = self._follower.take()[1]
            if not self._is_current:
                if time.monotonic() > deadline:
                    raise BrokerUnavailable(f"{self._topic} is not read to its end after {WAIT_SECONDS:g} s")
                time.sleep(0.02)

    def take(self, record: Record) -> None:
        """One record of the topic. What no command has written is passed over."""
        last_offset, last_ms = self._last.get(record.partition, (-1, -1))
        if record.offset <= last_offset and record.timestamp_ms <= last_ms:
            return  # read again, as after the broker was away: it is known already
        self._last[record.partition] = (record.offset, record.timestamp_ms)
        try:
            changed = self._said.take(record)
        except MessageError as error:
            log.warning("%s, offset %d is passed over: %s", self._topic, record.offset, error)
            return
        if changed is not None:
            self._apply(changed)

    def best(
        self,
        text: str,
        reader: Reader | None,
        embedding: NDArray[np.float32] | None,
        occasion: Occasion | None = None,
    ) -> FoundInBank | None:
        """See the port."""
        with self._lock:
            found, closed = self._asked.best(text, reader, embedding), self._closed
        return None if found is None or closed is None else replace(found, bank=bank_name(closed))

    def _apply(self, changed: Mapping[str, AnswerVectors | None]) -> None:
        closed = self._said.closed
        assert closed is not None
        with self._lock:
            self._store.remove([identity for identity, kept in changed.items() if kept is None])
            self._store.put([kept for kept in changed.values() if kept is not None])
            self._store.set_state(BankState(closed.encoder, closed.dimensions, closed.without_answer))
            self._closed = closed
        log.info("%s: %d answers stand", self._topic, len(self._said.standing))
