"""Following a topic with a reader of its own, outside any group: all that stands there, then what comes.

It collects; whoever needs the records takes what was heard when it suits, or has each handed over as it comes.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from connectors.ports import Record, TopicReader
from models.errors import HeadraceError

log = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 2.0


class TopicFollower:
    """start, take as often as one likes, close. After a broker was away it begins at the beginning: repeats are
    harmless to who keeps the compacted state."""

    def __init__(
        self, open_reader: Callable[[], TopicReader], topic: str, hand_over: Callable[[Record], None] | None = None
    ) -> None:
        """hand_over: called in the follower's thread with each record; None: they are kept for `take`."""
        self._open_reader, self._topic, self._hand_over = open_reader, topic, hand_over or self._keep
        self._heard: list[Record] = []
        self._lock = threading.Lock()
        self._current, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{topic}-follower", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def take(self) -> tuple[list[Record], bool]:
        """What was heard since the last call, and whether all that stood at the start has been heard by now."""
        is_all = self._current.is_set()
        with self._lock:
            heard, self._heard = self._heard, []
        return heard, is_all

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()

    def _keep(self, record: Record) -> None:
        with self._lock:
            self._heard.append(record)

    def _run(self) -> None:
        said = ""
        while not self._closing.is_set():
            try:
                self._follow(self._open_reader())
                said = ""
            except HeadraceError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("%s cannot be read: %s; trying again", self._topic, error)
            except Exception:
                log.exception("following %s failed; starting again", self._topic)
            self._closing.wait(RECONNECT_SECONDS)

    def _follow(self, reader: TopicReader) -> None:
        try:
            for record in reader.follow(self._topic):
                if self._closing.is_set():
                    return
                if record is None:
                    self._current.set()
                else:
                    self._hand_over(record)
        finally:
            reader.close()
