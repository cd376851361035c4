"""One process at a time: a lease in the registry, which a dead holder loses. It works wherever a file can be made that
must not exist yet, and needs no common clock.

A lease is a row of numbered files; who makes the next number holds it. The holder writes a new beat into its file every
few seconds; whoever waits and sees no new beat for `LEASE_SECONDS` of its own clock makes the next number, which only
one of those who wait can. A holder that was paused for longer than that finds the higher number and has lost it: so
what is done under a lease must be safe to be done twice, the lease only makes that rare.
"""

import contextlib
import itertools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from connectors.errors import RegistryError

log = logging.getLogger(__name__)

LEASE_SECONDS: Final = 15.0
BEAT_SECONDS: Final = 3.0
GIVEN_BACK: Final = b"given back"


class LeaseFiles(Protocol):
    """The folder of one lease."""

    def names(self) -> Sequence[str]:
        """Names of its files."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None where it is not there."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, over an older one."""

    def create(self, name: str, content: bytes) -> None:
        """Write a new file. Raises FileExistsError where it is there already."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""


class Lease:
    """take, until it is True; then give_back. All of them raise RegistryError where the registry does."""

    def __init__(self, files: LeaseFiles, clock: Callable[[], float] = time.monotonic) -> None:
        self._files, self._clock = files, clock
        self._token = uuid.uuid4().hex
        self._number = 0
        self._seen: tuple[int, bytes, float] | None = None  # number and content last seen of another holder, since when
        self._beats = itertools.count(1)
        self._ended, self._lost = threading.Event(), threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def is_lost(self) -> bool:
        """Whether somebody else holds it now, because no beat came for too long."""
        return self._lost.is_set()

    def take(self) -> bool:
        """Whether it is held now. Where another process holds it: False; ask again, with this very object."""
        last = max((int(name) for name in self._files.names() if name.isdecimal()), default=0)
        if last and not self._is_free(last):
            return False
        with contextlib.suppress(FileExistsError):
            self._files.create(str(last + 1), self._content())
            self._number = last + 1
            for old in self._files.names():
                if old.isdecimal() and int(old) < self._number:
                    self._files.remove(old)
            self._heart = threading.Thread(target=self._beat_on, name="lease", daemon=True)
            self._heart.start()
            return True
        return False

    def give_back(self) -> None:
        """Let the next one have it at once."""
        self._ended.set()
        if self._heart is not None:
            self._heart.join(BEAT_SECONDS)
        if self._number and not self.is_lost:
            self._files.write(str(self._number), GIVEN_BACK)
        self._number = 0

    def beat(self) -> None:
        """Show that the holder lives, or find out that the lease is lost."""
        if any(name.isdecimal() and int(name) > self._number for name in self._files.names()):
            self._lost.set()
        else:
            self._files.write(str(self._number), self._content())

    def _is_free(self, number: int) -> bool:
        """Whether its holder gave it back, or has not been seen alive for too long."""
        seen, self._seen = self._seen, None  # what cannot be read now is no sign of death: begin to wait anew
        content = self._files.read(str(number))
        if content is None or content == GIVEN_BACK:
            return True
        now = self._clock()
        self._seen = seen if seen is not None and seen[:2] == (number, content) else (number, content, now)
        return now - self._seen[2] > LEASE_SECONDS

    def _content(self) -> bytes:
        return f"{self._token} {next(self._beats)}".encode()

    def _beat_on(self) -> None:
        while not self._lost.is_set() and not self._ended.wait(BEAT_SECONDS):
            try:
                self.beat()
            except RegistryError as error:
                log.warning("a lease could not be renewed: %s", error)
