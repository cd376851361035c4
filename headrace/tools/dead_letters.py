"""What could not be decided: looked at, repaired, and sent again into the topic it came from.

A dead letter is named by its place in `deadletters`, "partition-offset". What was sent again is remembered in the
compacted topic `deadletters.resent`, under that name, so that nothing is sent twice by mistake.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.deadletters import PREFIX, Origin, read_origin
from connectors.errors import TopicMismatch
from connectors.ports import Record
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.topics import DEAD_LETTERS_TOPIC, RESENT_TOPIC
from streams.wire.outcomes import wall_clock_ms
from streams.wire.records import format_time

RESENT_HEADER = PREFIX + "resent"  # on the record that was sent again: the dead letter's name
FLUSH_LETTERS = 500
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class QueuedLetter:
    """A dead letter and where it came from. resent_at: RFC 3339, None where it was not sent again."""

    record: Record
    origin: Origin
    resent_at: str | None = None

    @property
    def name(self) -> str:
        """Partition and offset in `deadletters`."""
        return f"{self.record.partition}-{self.record.offset}"

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut, so that the original bytes can be sent."""
        return self.origin.truncated_bytes is None and not any(
            name == PREFIX + "key-truncated" for name, _ in self.record.headers
        )

    def as_json(self) -> dict[str, Any]:
        """Without the value."""
        return {
            "name": self.name,
            "reason": self.origin.reason,
            "error": self.origin.error,
            "topic": self.origin.topic,
            "partition": self.origin.partition,
            "offset": self.origin.offset,
            "at": format_time(self.record.timestamp_ms),
            "bytes": len(self.record.value or b""),
            "resent_at": self.resent_at,
        }


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters: all that fit every filter. names: of these places only; empty: of any."""

    names: tuple[str, ...] = ()
    reason: str | None = None
    topic: str | None = None
    since_ms: int = 0

    def matches(self, letter: QueuedLetter) -> bool:
        """Whether a dead letter is wanted."""
        return (
            (not self.names or letter.name in self.names)
            and self.reason in (None, letter.origin.reason)
            and self.topic in (None, letter.origin.topic)
            and letter.record.timestamp_ms >= self.since_ms
        )


class DeadLetterQueue:
    """Reads `deadletters` and sends letters again."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._reader = wiring.reader()

    def letters(self, wanted: DeadLetterFilter, progress: Progress = lambda *_: None) -> Iterator[QueuedLetter]:
        """Those that are wanted, as they stand in the topic. A record there that is no dead letter is left out."""
        resent = self._resent()
        try:
            for number, record in enumerate(self._reader.read(DEAD_LETTERS_TOPIC), 1):
                progress("reading", number, number)
                try:
                    origin = read_origin(record.headers)
                except ValueError:
                    continue
                letter = QueuedLetter(record, origin, resent.get(f"{record.partition}-{record.offset}"))
                if wanted.matches(letter):
                    yield letter
        except TopicMismatch:
            return

    def find(self, name: str) -> QueuedLetter:
        """The one with this name. Raises ConfigError."""
        found = next(self.letters(DeadLetterFilter(names=(name,))), None)
        if found is None:
            raise ConfigError(f"there is no dead letter {name!r}; `headrace deadletters list` shows their names")
        return found

    def resend(
        self, letters: Sequence[QueuedLetter], *, value: bytes | None = None, progress: Progress = lambda *_: None
    ) -> int:
        """Send each into the topic it came from: confirmed, then remembered. value: repaired bytes, for a single
        letter.

        Raises ConfigError for a letter that was cut (its original bytes are gone) and has no repaired value.
        """
        for letter in letters:
            if value is None and not letter.is_whole:
                raise ConfigError(
                    f"dead letter {letter.name} was cut to fit ({letter.origin.truncated_bytes} bytes at first); "
                    f"give its repaired value with --value FILE"
                )
        publisher = self._wiring.publisher()
        try:
            for start in range(0, len(letters), FLUSH_LETTERS):
                part = letters[start : start + FLUSH_LETTERS]
                for letter in part:
                    headers = [each for each in letter.record.headers if not each[0].startswith(PREFIX)]
                    headers.append((RESENT_HEADER, letter.name.encode()))
                    sent = letter.record.value if value is None else value
                    publisher.send(letter.origin.topic, sent, letter.record.key, headers)
                publisher.flush()
                at = format_time(wall_clock_ms())
                for letter in part:
                    publisher.send(RESENT_TOPIC, orjson.dumps({"at": at}), letter.name.encode())
                publisher.flush()
                progress("sending", start + len(part), len(letters))
        finally:
            publisher.close()
        return len(letters)

    def close(self) -> None:
        """Release connections."""
        self._reader.close()

    def _resent(self) -> dict[str, str]:
        try:
            return {
                (record.key or b"").decode("utf-8", "replace"): str(orjson.loads(record.value)["at"])
                for record in self._reader.read(RESENT_TOPIC)
                if record.value is not None
            }
        except TopicMismatch:  # an installation from before there was such a topic
            return {}


def by_reason(letters: Sequence[QueuedLetter]) -> dict[str, int]:
    """How many for each reason, the most frequent first."""
    return dict(Counter(letter.origin.reason for letter in letters).most_common())


def shown_value(value: bytes | None, limit: int = 4_000) -> str:
    """A record's bytes for a person: text where it is UTF-8, else hexadecimal; control characters escaped."""
    if value is None:
        return "(no value)"
    cut = value[:limit]
    try:
        text = cut.decode("utf-8")
    except UnicodeDecodeError:
        text = cut.hex(" ")
    shown = "".join(letter if letter.isprintable() or letter == "\n" else f"\\x{ord(letter):02x}" for letter in text)
    return shown + (f" … ({len(value)} bytes)" if len(value) > limit else "")
