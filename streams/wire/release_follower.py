"""Following `model.releases`: a reader of its own, outside any group, from the beginning to the end and on from there.

The topic carries the whole state of each model, so the last record of a key is all one has to know.
"""

import logging
import threading
from collections.abc import Callable, Mapping

from connectors.ports import TopicReader
from models.errors import HeadraceError, MessageError
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release, decode

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 2.0


def newer(known: Release | None, heard: Release) -> bool:
    """Whether `heard` changes what is known: repeats and stragglers of a compacted topic do not."""
    return known is None or heard.revision > known.revision


class ReleaseFollower:
    """Tells `on_release` of every new state of the models it is asked about. start, wait_until_current, close."""

    def __init__(
        self, open_reader: Callable[[], TopicReader], on_release: Mapping[str, Callable[[Release], None]]
    ) -> None:
        self._open_reader, self._on_release = open_reader, on_release
        self.known: dict[str, Release] = {}
        self._told: dict[str, int] = {}
        self._current, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="release-follower", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wait_until_current(self, timeout_seconds: float) -> bool:
        """True once everything that stood in the topic has been heard."""
        return self._current.wait(timeout_seconds)

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow(self._open_reader())
            except HeadraceError as error:
                log.warning("releases cannot be read: %s; trying again", error)
            except Exception:
                log.exception("the release follower failed; starting it again")
            self._closing.wait(RECONNECT_SECONDS)

    def _follow(self, reader: TopicReader) -> None:
        try:
            for record in reader.follow(RELEASES_TOPIC):
                if self._closing.is_set():
                    return
                if record is None:
                    self._tell()
                    self._current.set()
                elif record.value is not None:
                    self._hear(record.value)
        finally:
            reader.close()

    def _hear(self, value: bytes) -> None:
        try:
            release = decode(Release, value)
        except MessageError as error:
            log.error("a record in %s is skipped: %s", RELEASES_TOPIC, error)
            return
        if newer(self.known.get(release.model), release):
            self.known[release.model] = release

    def _tell(self) -> None:
        for model, release in list(self.known.items()):
            if model in self._on_release and self._told.get(model) != release.revision:
                self._told[model] = release.revision
                self._on_release[model](release)
