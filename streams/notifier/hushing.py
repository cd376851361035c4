"""Silences for receivers that keep their own: what stands in `alerts.silences`, made to stand there as well."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from connectors.ports import Hush, Receiver, SilencingReceiver
from models.errors import ConnectorError

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 10.0  # after a failure


class HushKeeper:
    """Of one receiver. `keep` is called often, and asks the receiver seldom."""

    def __init__(self, app: str, name: str, receiver: Receiver, clock: Callable[[], float]) -> None:
        """name: of the receiver, for logs. clock: monotonic seconds."""
        self._app, self._name, self._clock = app, name, clock
        self._receiver = receiver if isinstance(receiver, SilencingReceiver) else None
        self._asked: Sequence[Hush] | None = None
        self._next, self._is_kept, self._said = 0.0, False, ""

    def keep(self, hushes: Callable[[], Sequence[Hush]]) -> bool:
        """Whether the receiver keeps these; else what is silenced must not be told to it."""
        if self._receiver is None:
            return False
        wanted = hushes()
        if wanted == self._asked and self._clock() < self._next:
            return self._is_kept
        self._asked, self._is_kept = wanted, True
        self._next = self._clock() + self._receiver.repeat_seconds
        try:
            self._receiver.silence(self._app, wanted)
            self._said = ""
        except ConnectorError as error:
            self._is_kept, self._next = False, self._clock() + AGAIN_SECONDS
            if str(error) != self._said:
                self._said = str(error)
                log.warning("%s: %s was not told what is silenced: %s", self._app, self._name, error)
        return self._is_kept
