"""Which alerts nobody is to be told of, as it stands in `alerts.silences`. Pure: the time is handed in.

A silence ends with its time. An acknowledgement ends with the firing that it is about: it holds no later one.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from connectors.ports import Record
from models.errors import MessageError
from streams.wire.records import Alert, Silence, decode

ACKNOWLEDGEMENT: Final = "acknowledgement"


class Silences:
    """What stands in the topic, taken record by record; one that was taken before changes nothing."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._said: dict[bytes, tuple[int, Silence | None, int]] = {}  # key to offset, word and the record's time
        for record in records:
            self.take(record)

    def take(self, record: Record) -> None:
        """Take a record in. One that cannot be read is as good as a withdrawal: it took the place of what stood."""
        key = record.key or b""
        if key in self._said and self._said[key][0] >= record.offset:
            return
        silence = None
        if record.value is not None:
            try:
                silence = decode(Silence, record.value)
            except MessageError:
                silence = None
        self._said[key] = record.offset, silence, record.timestamp_ms

    def standing(self, now_ms: int) -> Iterator[Silence]:
        """Those whose time is not over, acknowledgements of whatever firing included."""
        for _, silence, _ in self._said.values():
            if silence is not None and (silence.until_ms is None or silence.until_ms > now_ms):
                yield silence

    def silence_of(self, alert: Alert, now_ms: int) -> Silence | None:
        """The silence of an alert that lasts longest; None where it may be told."""
        fitting = [one for one in self.standing(now_ms) if one.kind != ACKNOWLEDGEMENT and one.fits(alert)]
        return max(fitting, key=lambda one: one.until_ms or 0, default=None)

    def acknowledgement_of(self, alert: Alert, over_ms: int = -1) -> Silence | None:
        """Who looks after this firing of an alert. over_ms: when the cause was over last, as far as is known,
        milliseconds since 1970; it counts where the alert does not say when its firing began."""
        if alert.state != "firing":
            return None
        for _, silence, said_ms in self._said.values():
            if silence is None or silence.kind != ACKNOWLEDGEMENT or not silence.fits(alert):
                continue
            if silence.fired_at == alert.fired_at and (alert.fired_at is not None or said_ms >= over_ms):
                return silence
        return None
