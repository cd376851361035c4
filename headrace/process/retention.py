"""Drops what the store has kept for long enough: at the start, and then once a day for as long as the process lives."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from connectors.ports import DecisionStore
from models.errors import HeadraceError

log = logging.getLogger(__name__)

DAY_SECONDS, AGAIN_SECONDS = 86_400.0, 3_600.0  # between two that worked; after one that did not


class Retention:
    """Of one store, for some applications. Call it often, from a thread that may wait: it works only when it is due."""

    def __init__(
        self,
        store: DecisionStore,
        apps: Sequence[str],
        days: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """days: how long decisions are kept."""
        self._store, self._apps, self._kept = store, list(apps), timedelta(days=days)
        self._clock, self._now = clock, now
        self._due_at = clock()

    def __call__(self) -> None:
        """A store that refuses is told and asked again an hour later: that decisions are kept for too long stops no
        indexer."""
        if self._clock() < self._due_at:
            return
        before = f"{self._now() - self._kept:%Y-%m-%d}"
        try:
            dropped = self._store.delete_before(before, self._apps)
        except HeadraceError as error:
            self._due_at = self._clock() + AGAIN_SECONDS
            log.warning("retention: nothing was dropped of before %s: %s", before, error)
            return
        self._due_at = self._clock() + DAY_SECONDS
        log.info("retention: %d dropped of before %s", dropped, before)
