"""What could not be decided: looked at, repaired, and sent again into the topic it came from.

A dead letter is named by its place in `deadletters`, "partition-offset". What was sent again is remembered in the
compacted topic `deadletters.resent`, under the topic's epoch and that name, so that nothing is sent twice by mistake,
and a letter of a `deadletters` that was made again is not taken for one of before.
"""

import codecs
import heapq
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import orjson

from connectors.deadletters import PREFIX, Origin, read_origin
from connectors.errors import TopicMismatch
from connectors.ports import Publisher, Record
from headrace.wiring import Wiring
from models.errors import ConfigError
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.topics import DEAD_LETTERS_TOPIC, FEEDBACK_TOPIC, RESENT_TOPIC
from streams.wire.records import format_time

RESENT_HEADER = PREFIX + "resent"  # on the record that was sent again: the dead letter's name
_PLACE = re.compile(r"(\d{1,9})-(\d{1,18})", re.ASCII)
FLUSH_LETTERS = 500
CLOCK_SKEW_MS = 60_000  # a time farther ahead than that is no time a broker takes
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

    names: frozenset[str] = frozenset()
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


@dataclass(slots=True)
class Listing:
    """What `list` tells: how many there are, of which reasons, and the newest of them without their values."""

    total: int
    by_reason: dict[str, int]
    newest: list[dict[str, Any]]


@dataclass(slots=True)
class ResendPlan:
    """Which letters are sent again, by name and topic; how many are left out because they were sent before."""

    chosen: dict[str, str] = field(default_factory=dict)
    skipped: int = 0


class DeadLetterQueue:
    """Reads `deadletters` and sends letters again. The topic may be larger than memory: it is read as a stream."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._reader = wiring.reader()
        self._epoch = wiring.epoch(DEAD_LETTERS_TOPIC)

    def letters(self, wanted: DeadLetterFilter, progress: Progress = lambda *_: None) -> Iterator[QueuedLetter]:
        """Those that are wanted, as they stand in the topic. A record there that is no dead letter is left out."""
        resent = self._resent()
        try:
            for number, record in enumerate(self._records(wanted.names), 1):
                progress("reading", number, number)
                try:
                    origin = read_origin(record.headers)
                except ValueError:
                    continue
                letter = QueuedLetter(record, origin, self._resent_at(record, resent))
                if wanted.matches(letter):
                    yield letter
        except TopicMismatch:
            return

    def find(self, name: str) -> QueuedLetter:
        """The one with this name. Raises ConfigError."""
        letter = next(self.letters(DeadLetterFilter(names=frozenset([name]))), None)
        if letter is None:
            raise _no_such_letter([name])
        return letter

    def plan(
        self, wanted: DeadLetterFilter, *, again: bool, has_value: bool, progress: Progress = lambda *_: None
    ) -> ResendPlan:
        """What a resend would send; nothing is sent.

        again: those that were sent before as well. Raises ConfigError for a name that is not there, and for a letter
        that was cut (its original bytes are gone) where no repaired value is given.
        """
        plan, names = ResendPlan(), set()
        for letter in self.letters(wanted, progress):
            names.add(letter.name)
            if letter.resent_at is not None and not again:
                plan.skipped += 1
                continue
            if not has_value and not letter.is_whole:
                raise ConfigError(
                    f"dead letter {letter.name} was cut to fit ({letter.origin.truncated_bytes} bytes at first); "
                    f"give its repaired value with --value FILE"
                )
            plan.chosen[letter.name] = letter.origin.topic
        if missing := sorted(wanted.names - names):
            raise _no_such_letter(missing)
        return plan

    def resend(self, plan: ResendPlan, *, value: bytes | None = None, progress: Progress = lambda *_: None) -> int:
        """Send each into the topic it came from, with the record's own time and headers: confirmed, then remembered.
        value: repaired bytes, for a single letter. Returns how many were sent."""
        if not plan.chosen:
            return 0
        sent = 0
        letters = self.letters(DeadLetterFilter(names=frozenset(plan.chosen)))
        publisher = self._wiring.publisher()
        try:
            while names := [self._send(publisher, letter, value) for letter in islice(letters, FLUSH_LETTERS)]:
                publisher.flush()
                at = format_time(wall_clock_ms())
                for name in names:
                    publisher.send(RESENT_TOPIC, orjson.dumps({"at": at}), f"{self._epoch}-{name}".encode())
                publisher.flush()
                sent += len(names)
                progress("sending", sent, len(plan.chosen))
        finally:
            publisher.close()
        return sent

    def close(self) -> None:
        """Release connections."""
        self._reader.close()

    @staticmethod
    def _send(publisher: Publisher, letter: QueuedLetter, value: bytes | None) -> str:
        headers = [header for header in letter.record.headers if not header[0].startswith(PREFIX)]
        headers.append((RESENT_HEADER, letter.name.encode()))
        content = letter.record.value if value is None else value
        publisher.send(letter.origin.topic, content, letter.record.key, headers, _own_time(letter))
        return letter.name

    def _records(self, names: Collection[str]) -> Iterator[Record]:
        """Of the whole topic, or of no more than the stretch in which the named places lie."""
        if not names:
            return self._reader.read(DEAD_LETTERS_TOPIC)
        places = [(int(place[1]), int(place[2])) for name in names if (place := _PLACE.fullmatch(name))]
        offsets = {partition: [offset for p, offset in places if p == partition] for partition, _ in places}
        return self._reader.read(
            DEAD_LETTERS_TOPIC,
            {partition: min(some) for partition, some in offsets.items()},
            {partition: max(some) + 1 for partition, some in offsets.items()},
            partitions=offsets,
        )

    def _resent_at(self, record: Record, resent: Mapping[str, str]) -> str | None:
        """When a letter was sent again. Marks without an epoch are of an older Headrace: one that is older than the
        letter means another one, of the same place in a topic that is gone."""
        name = f"{record.partition}-{record.offset}"
        if (marked := resent.get(f"{self._epoch}-{name}")) is not None:
            return marked
        marked = resent.get(name)
        return marked if marked is not None and marked >= format_time(record.timestamp_ms) else None

    def _resent(self) -> dict[str, str]:
        try:
            return {
                (record.key or b"").decode("utf-8", "replace"): str(orjson.loads(record.value)["at"])
                for record in self._reader.read(RESENT_TOPIC)
                if record.value is not None
            }
        except TopicMismatch:  # an installation from before there was such a topic
            return {}


def listing(letters: Iterable[QueuedLetter], limit: int) -> Listing:
    """Count them, and keep the newest, oldest first."""
    reasons: Counter[str] = Counter()

    def entries() -> Iterator[tuple[int, int, dict[str, Any]]]:
        for number, letter in enumerate(letters):
            reasons[letter.origin.reason] += 1
            yield letter.record.timestamp_ms, number, letter.as_json()

    newest = heapq.nlargest(limit, entries(), key=lambda entry: entry[:2])
    return Listing(reasons.total(), dict(reasons.most_common()), [entry for _, _, entry in reversed(newest)])


def check_targets(plan: ResendPlan, apps: Sequence[Application]) -> None:
    """Refuse what an application does not read: whoever may write `deadletters` chooses the topic that a letter names,
    and a resend writes there with the operator's rights. Raises ConfigError naming the topic and the way out."""
    allowed = {FEEDBACK_TOPIC}
    for app in apps:
        allowed |= {*app.source_topics, app.decisions_topic, app.signals_topic, app.stories_topic, app.trends_topic}
    for name, topic in plan.chosen.items():
        if topic not in allowed:
            raise ConfigError(
                f"dead letter {name} says it came from {topic!r}, which none of the applications "
                f"{', '.join(app.name for app in apps)} reads; nothing was sent. If it is a topic of your own "
                f"application, name its file: --app FILE.toml; --topic TOPIC leaves others out"
            )


def _own_time(letter: QueuedLetter) -> int | None:
    """The record's own time, so that it falls into the same month again; None where a broker would refuse it."""
    at = letter.record.timestamp_ms if letter.origin.timestamp_ms is None else letter.origin.timestamp_ms
    return at if 0 <= at <= wall_clock_ms() + CLOCK_SKEW_MS else None


def _no_such_letter(names: Sequence[str]) -> ConfigError:
    return ConfigError(f"there is no dead letter {', '.join(names)}; `headrace deadletters list` shows their names")


def shown_value(value: bytes | None, limit: int = 4_000) -> str:
    """A record's bytes for a person: text where it is UTF-8, else hexadecimal."""
    if value is None:
        return "(no value)"
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(value[:limit])  # half a character at the cut is left out
    except UnicodeDecodeError:
        text = value[:limit].hex(" ")
    return text + (f" … ({len(value)} bytes)" if len(value) > limit else "")
