"""Drift that people said is to be expected: what stands in `drift.accepted`, and from when until when it holds.

The topic is compacted by application and episode; a tombstone withdraws. An acceptance holds for signals by their
records' times, from a little after it was given: so whoever reads the same topics, whenever, lets the same signals
pass.
"""

import contextlib
from collections.abc import Iterator

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import AcceptedDrift, decode


class AcceptedEpisodes:
    """Of one application, as far as the topic was read. Records may come more than once."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._standing: dict[bytes, tuple[int, AcceptedDrift | None]] = {}  # key to offset and what stands there

    def take(self, record: Record) -> None:
        """Take a record of the topic in. What is no acceptance withdraws what stood there, as it has taken its
        place."""
        key = record.key or b""
        if key in self._standing and self._standing[key][0] >= record.offset:
            return
        accepted = None
        if record.value is not None:
            with contextlib.suppress(MessageError):
                accepted = decode(AcceptedDrift, record.value)
        self._standing[key] = record.offset, accepted if accepted is not None and accepted.app == self._app else None

    def __iter__(self) -> Iterator[AcceptedDrift]:
        """All that stand, whether their time has come, is, or is over."""
        return (accepted for _, accepted in self._standing.values() if accepted is not None)

    def of(self, fingerprint: str, at_ms: int | None = None) -> AcceptedDrift | None:
        """The acceptance of an episode; at a time, None: at any before its end is known to be over."""
        chosen = (one for one in self if one.fingerprint == fingerprint)
        return next((one for one in chosen if at_ms is None or one.holds_at(at_ms)), None)

    def at(self, at_ms: int) -> tuple[AcceptedDrift, ...]:
        """Those that hold at a time, milliseconds since 1970."""
        return tuple(one for one in self if one.holds_at(at_ms))
