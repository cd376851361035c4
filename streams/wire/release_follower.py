"""Following `model.releases`: a reader of its own, outside any group, from the beginning to the end and on from there.

The topic carries the whole state of each model, so the last record of a key is all one has to know. What the follower
heard is told as a state, not as an event: who is told compares it with what it has, as often as it likes.
"""

import logging
import random
import threading
import time
from collections.abc import Callable

from connectors.ports import TopicReader
from models.errors import HeadraceError
from streams.topics import RELEASES_TOPIC
from streams.wire.records import Release
from streams.wire.release_state import Announced, take_in

log = logging.getLogger(__name__)

RECONNECT_SECONDS = 2.0
SETTLE_SECONDS = 10.0, 20.0  # for which who wrote a record that counts for nothing may say what stands himself


class ReleaseFollower:
    """Tells `on_release` of every new state of any model. start, wait_until_current, close."""

    def __init__(
        self,
        open_reader: Callable[[], TopicReader],
        on_release: Callable[[Release], None] = lambda release: None,
        clock: Callable[[], float] = time.monotonic,
        settle: Callable[[str], None] = lambda model: None,
    ) -> None:
        """on_release: called in the follower's thread, once everything that stood in the topic has been read. settle:
        called there with a model whose last records go on to count for nothing; see ReleaseLog.settle."""
        self._open_reader, self._on_release, self._clock, self._settle = open_reader, on_release, clock, settle
        self._settle_at: dict[str, float] = {}  # by model whose last records count for nothing
        self._standing: dict[str, Announced] = {}
        self._current, self._closing = threading.Event(), threading.Event()
        self._failure: tuple[float, str] | None = None  # since when it cannot read, and the latest reason
        self._thread = threading.Thread(target=self._run, name="release-follower", daemon=True)

    @property
    def known(self) -> dict[str, Release]:
        """The last state heard of each model."""
        return {model: announced.release for model, announced in self._standing.items()}

    def standing(self, model: str) -> Announced | None:
        """A model's last state and its place in the topic."""
        return self._standing.get(model)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def wait_until_current(self, timeout_seconds: float) -> bool:
        """True once everything that stood in the topic has been heard."""
        return self._current.wait(timeout_seconds)

    def trouble(self) -> tuple[float, str] | None:
        """For how many seconds the topic could not be read, and why; None while it can."""
        failure = self._failure
        return None if failure is None else (self._clock() - failure[0], failure[1])

    def close(self) -> None:
        """Stop reading."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow(self._open_reader())
            except HeadraceError as error:
                self._note_failure(str(error))
                log.warning("releases cannot be read: %s; trying again", error)
            except Exception as error:
                self._note_failure(repr(error))
                log.exception("the release follower failed; starting it again")
            self._closing.wait(RECONNECT_SECONDS)

    def _note_failure(self, reason: str) -> None:
        since = self._clock() if self._failure is None else self._failure[0]
        self._failure = (since, reason)

    def _follow(self, reader: TopicReader) -> None:
        heard: dict[str, Announced] = {}  # a reader begins at the beginning: old states must not be told again
        try:
            for record in reader.follow(RELEASES_TOPIC):
                if self._closing.is_set():
                    return
                if record is not None:
                    take_in(heard, record)
                    continue
                self._failure = None
                self._tell(heard)
                self._current.set()
                self._settle_what_was_lost()
        finally:
            reader.close()

    def _tell(self, heard: dict[str, Announced]) -> None:
        for model, announced in heard.items():
            if announced != self._standing.get(model):
                self._on_release(announced.release)  # where this fails, all of it is told again
        self._standing = dict(heard)

    def _settle_what_was_lost(self) -> None:
        """Not at once, and not all at once: there are as many followers as processes."""
        lost = [model for model, announced in self._standing.items() if announced.lost]
        self._settle_at = {model: self._settle_at.get(model) or self._later() for model in lost}
        for model in lost:
            if self._clock() < self._settle_at[model]:
                continue
            self._settle_at[model] = self._later()
            try:
                self._settle(model)
                log.info("%s: what stands is said again, as its last record counts for nothing", model)
            except HeadraceError as error:
                log.warning("%s: what stands of %s could not be said again: %s", model, RELEASES_TOPIC, error)

    def _later(self) -> float:
        return self._clock() + random.uniform(*SETTLE_SECONDS)
