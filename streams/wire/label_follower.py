"""Following `feedback.labels` with a reader of its own, outside any group: all that stands there, then what comes.

It only collects; whoever counts the labels takes what was heard when it suits.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from connectors.ports import Record, TopicReader
from models.errors import HeadraceError
from streams.topics import FEEDBACK_TOPIC

log = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = 2.0


class LabelFollower:
    """start, take as often as one likes, close. After a broker was away it begins at the beginning: repeats are
    harmless to who keeps the compacted state."""

    def __init__(self, open_reader: Callable[[], TopicReader]) -> None:
        self._open_reader = open_reader
        self._heard: list[Record] = []
        self._lock = threading.Lock()
        self._current, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="label-follower", daemon=True)

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

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow(self._open_reader())
            except HeadraceError as error:
                log.warning("labels cannot be read: %s; trying again", error)
            except Exception:
                log.exception("the label follower failed; starting it again")
            self._closing.wait(RECONNECT_SECONDS)

    def _follow(self, reader: TopicReader) -> None:
        try:
            for record in reader.follow(FEEDBACK_TOPIC):
                if self._closing.is_set():
                    return
                if record is None:
                    self._current.set()
                else:
                    with self._lock:
                        self._heard.append(record)
        finally:
            reader.close()
