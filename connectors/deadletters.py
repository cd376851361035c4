"""Dead letters: a record that could not be decided, as it came, with where it came from and why.

    headrace-topic, headrace-partition, headrace-offset    the record
    headrace-reason, headrace-error                        a short fixed word; what went wrong, at most 500 characters
    headrace-timestamp                                     the record's own time, milliseconds since 1970
    headrace-truncated                                     the value's original length, where it had to be cut
    headrace-key-truncated                                 the key's, where it had to be cut
The record's own headers follow, as far as they fit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PREFIX = "headrace-"
ERROR_CHARACTERS = 500
# A batch's frame, the record's own, lengths and deltas: measured under 120 bytes with ten headers, counted generously.
FRAME_BYTES = 512
KEY_SHARE = 4  # at most a quarter of the room for the key: the value says more


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record for the dead letter topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a dead letter's headers say. truncated_bytes: the value's original length, None where it is whole.
    timestamp_ms: the record's own time, None in a letter of an older Headrace."""

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    truncated_bytes: int | None
    timestamp_ms: int | None = None


def build_dead_letter(
    *,
    topic: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    reason: str,
    error: str,
    max_bytes: int,
    headers: Iterable[tuple[str, bytes]] = (),
    timestamp_ms: int | None = None,
) -> DeadLetter:
    """The dead letter, at most `max_bytes` on the wire with everything counted; what does not fit is cut and marked."""
    marks = [
        (PREFIX + "topic", topic.encode()),
        (PREFIX + "partition", str(partition).encode()),
        (PREFIX + "offset", str(offset).encode()),
        (PREFIX + "reason", _bytes(reason)[:100]),
        (PREFIX + "error", _bytes(error[:ERROR_CHARACTERS])),
    ]
    if timestamp_ms is not None:
        marks.append((PREFIX + "timestamp", str(timestamp_ms).encode()))
    room = max_bytes - FRAME_BYTES - sum(len(name) + len(content) + 10 for name, content in marks) - 100
    if key is not None and len(key) > room // KEY_SHARE:
        marks.append((PREFIX + "key-truncated", str(len(key)).encode()))
        key = key[: max(0, room // KEY_SHARE)]
    room -= len(key or b"")
    if value is not None and len(value) > room:
        marks.append((PREFIX + "truncated", str(len(value)).encode()))
        value = value[: max(0, room)]
    room -= len(value or b"")
    for name, content in headers:
        size = len(name.encode("utf-8", "replace")) + len(content) + 10
        if not name.startswith(PREFIX) and size <= room:
            marks.append((name, content))
            room -= size
    return DeadLetter(key, value, tuple(marks))


def read_origin(headers: Iterable[tuple[str, bytes]]) -> Origin:
    """Where a dead letter came from. Raises ValueError where the headers are not a dead letter's."""
    found: Mapping[str, str] = {name: content.decode("utf-8", "replace") for name, content in headers}
    try:
        truncated, timestamp = found.get(PREFIX + "truncated"), found.get(PREFIX + "timestamp")
        return Origin(
            topic=found[PREFIX + "topic"],
            partition=int(found[PREFIX + "partition"]),
            offset=int(found[PREFIX + "offset"]),
            reason=found.get(PREFIX + "reason", ""),
            error=found.get(PREFIX + "error", ""),
            truncated_bytes=int(truncated) if truncated is not None else None,
            timestamp_ms=int(timestamp) if timestamp is not None else None,
        )
    except KeyError as error:
        raise ValueError(f"no dead letter: header {error.args[0]} is missing") from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate becomes "?": an error text must never be the next error
