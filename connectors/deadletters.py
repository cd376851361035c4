"""Dead letters: a record that could not be decided, as it came, with where it came from and why.

    headrace-topic, headrace-partition, headrace-offset    the record
    headrace-reason, headrace-error                        a short fixed word; what went wrong, at most 500 characters
    headrace-app                                           the application that could not decide it
    headrace-timestamp                                     the record's own time, milliseconds since 1970
    headrace-truncated                                     the value's original length, where it had to be cut
    headrace-key-truncated                                 the key's, where it had to be cut
The record's own headers follow, as far as they fit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PREFIX = "headrace-"
LENGTH_MARK, KEY_LENGTH_MARK = PREFIX + "truncated", PREFIX + "key-truncated"
APP_MARK = PREFIX + "app"
LENGTH_MARKS = (LENGTH_MARK, KEY_LENGTH_MARK)
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
    timestamp_ms: the record's own time; app: the application that could not decide it; None in a letter of an older
    Headrace."""

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    truncated_bytes: int | None
    timestamp_ms: int | None = None
    app: str | None = None


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
    return _fitted(key, value, marks, headers, max_bytes)


def cut_dead_letter(letter: DeadLetter, max_bytes: int) -> DeadLetter:
    """The same one at most `max_bytes` on the wire, for a dead letter topic that takes no larger one. The marks keep
    telling the original lengths; headers that were not ours go where they do not fit."""
    own = dict(header for header in letter.headers if header[0].startswith(PREFIX))
    cut = _fitted(
        letter.key,
        letter.value,
        [header for header in letter.headers if header[0].startswith(PREFIX) and header[0] not in LENGTH_MARKS],
        [header for header in letter.headers if not header[0].startswith(PREFIX)],
        max_bytes - sum(len(name) + 20 for name in LENGTH_MARKS),
    )
    lengths = dict(header for header in cut.headers if header[0] in LENGTH_MARKS)
    lengths |= {name: own[name] for name in LENGTH_MARKS if name in own}
    others = [header for header in cut.headers if header[0] not in LENGTH_MARKS]
    return DeadLetter(cut.key, cut.value, (*others, *lengths.items()))


def wire_bytes(letter: DeadLetter) -> int:
    """About as large as it is on the wire."""
    in_headers = sum(len(name.encode("utf-8", "replace")) + len(content) + 10 for name, content in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + in_headers + FRAME_BYTES


def _fitted(
    key: bytes | None,
    value: bytes | None,
    marks: Iterable[tuple[str, bytes]],
    headers: Iterable[tuple[str, bytes]],
    max_bytes: int,
) -> DeadLetter:
    """marks: ours, kept whole. headers: as far as they fit."""
    kept = list(marks)
    room = max_bytes - FRAME_BYTES - sum(len(name) + len(content) + 10 for name, content in kept) - 100
    if key is not None and len(key) > room // KEY_SHARE:
        kept.append((KEY_LENGTH_MARK, str(len(key)).encode()))
        key = key[: max(0, room // KEY_SHARE)]
    room -= len(key or b"")
    if value is not None and len(value) > room:
        kept.append((LENGTH_MARK, str(len(value)).encode()))
        value = value[: max(0, room)]
    room -= len(value or b"")
    for name, content in headers:
        size = len(name.encode("utf-8", "replace")) + len(content) + 10
        if not name.startswith(PREFIX) and size <= room:
            kept.append((name, content))
            room -= size
    return DeadLetter(key, value, tuple(kept))


def read_origin(headers: Iterable[tuple[str, bytes]]) -> Origin:
    """Where a dead letter came from. Raises ValueError where the headers are not a dead letter's."""
    fields: Mapping[str, str] = {name: content.decode("utf-8", "replace") for name, content in headers}
    try:
        truncated, timestamp = fields.get(PREFIX + "truncated"), fields.get(PREFIX + "timestamp")
        return Origin(
            topic=fields[PREFIX + "topic"],
            partition=int(fields[PREFIX + "partition"]),
            offset=int(fields[PREFIX + "offset"]),
            reason=fields.get(PREFIX + "reason", ""),
            error=fields.get(PREFIX + "error", ""),
            truncated_bytes=int(truncated) if truncated is not None else None,
            timestamp_ms=int(timestamp) if timestamp is not None else None,
            app=fields.get(APP_MARK),
        )
    except KeyError as error:
        raise ValueError(f"no dead letter: header {error.args[0]} is missing") from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # a lone surrogate becomes "?": an error text must never be the next error
