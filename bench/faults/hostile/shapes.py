"""Hostile records of which it is known what must become of them: keys, times, deletes, sizes, frames."""

import json
import random
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

WORDS: Final = ("where is my order", "refund please", "card declined", "why was i charged twice", "cancel it")
HUGE_EVERY: Final = 250  # of a kind that is huge: 100,000 records would be gigabytes otherwise
HUGE_KEY_BYTES: Final = 600_000
UNPACKED_BYTES: Final = 3_000_000  # more than any topic takes, and a few kilobytes once compressed
DAY_MS: Final = 86_400_000

DECIDED, PASSED_OVER = "decided", "passed over"


@dataclass(frozen=True, slots=True)
class HostileRecord:
    """A record, and what must become of it.

    verdict: DECIDED, PASSED_OVER, or a dead letter's reason; None: decided or a dead letter. key: None where any will
    do. timestamp_ms: the record's own time; None: now. marks: what must stand in the decision's `extra`.
    """

    value: bytes | None
    verdict: str | None = None
    key: bytes | None = None
    timestamp_ms: int | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    marks: tuple[str, ...] = ()
    kind: str = ""


Shape = Callable[[random.Random, int], HostileRecord]


def text_of(rng: random.Random) -> str:
    """Something that a customer may write."""
    return f"{rng.choice(WORDS)} {rng.randrange(10**6)}"


def _record(rng: random.Random, **fields: object) -> bytes:
    return json.dumps({"text": text_of(rng)} | fields).encode()


def _long(rng: random.Random, number: int) -> bytes:
    """A key that is now and then longer than half a record may be, else some kilobytes, never whole in a body."""
    size = HUGE_KEY_BYTES if number % HUGE_EVERY == 0 else rng.randrange(2_000, 20_000)
    unit = rng.choice((b"k", b"\xff", b"\x01", "ü".encode(), b"\0"))
    return unit * (size // len(unit))


def _huge_key(rng: random.Random, number: int) -> HostileRecord:
    return HostileRecord(_record(rng), DECIDED, _long(rng, number), marks=("headrace_key_cut",))


def _huge_key_of_nothing(rng: random.Random, number: int) -> HostileRecord:
    return HostileRecord(b"{}", "no_text", _long(rng, number))


def _huge_conversation(rng: random.Random, number: int) -> HostileRecord:
    size = HUGE_KEY_BYTES if number % HUGE_EVERY == 0 else rng.randrange(8_000, 20_000)
    name = rng.choice(("c" * size, "\x01" * (size // 6), ["c" * size], {"id": "退" * (size // 6)}))
    return HostileRecord(_record(rng, conversation_id=name), DECIDED, marks=("headrace_key_cut",))


def _binary_key(rng: random.Random, _: int) -> HostileRecord:
    key = rng.choice((struct.pack(">q", rng.randrange(300)), rng.randbytes(16), b"\xff\xfe", b"\0", b"k\0"))
    return HostileRecord(_record(rng), DECIDED, key)


def _other_key(rng: random.Random, _: int) -> HostileRecord:
    name = rng.choice(({"id": 1}, True, 17, 2**70, [1, "a"], "", 1.5))
    return HostileRecord(_record(rng, conversation_id=name), DECIDED)


def _odd_record_time(rng: random.Random, _: int) -> HostileRecord:
    """Micro- and nanoseconds, seconds, years off, and the largest there is."""
    now_ms = int(time.time() * 1_000)
    times = (now_ms * 1_000, now_ms * 10**6, now_ms // 1_000, 1, now_ms + 3 * DAY_MS, now_ms - 800 * DAY_MS, 2**63 - 1)
    return HostileRecord(_record(rng), DECIDED, timestamp_ms=rng.choice(times), marks=("headrace_time_clamped",))


def _time_in_any_unit(rng: random.Random, _: int) -> HostileRecord:
    now_ms = int(time.time() * 1_000)
    at = rng.choice((now_ms * 1_000, now_ms * 10**6, now_ms, now_ms / 1_000, str(now_ms // 1_000), f"{now_ms / 1_000}"))
    return HostileRecord(_record(rng, at=at), DECIDED)


def _no_time(rng: random.Random, _: int) -> HostileRecord:
    at = rng.choice(("yesterday", "9999-12-31T23:59:60Z", -1, 1e300, 10**40, True, [1], "1970-01-01t00:00:00z"))
    return HostileRecord(_record(rng, at=at), DECIDED, marks=("headrace_time_clamped",))


def _tombstone(_rng: random.Random, number: int) -> HostileRecord:
    return HostileRecord(None, PASSED_OVER, b"c-%d" % number)


def _delete(rng: random.Random, _: int) -> HostileRecord:
    value = rng.choice((b"null", b" null\n", _record(rng, __deleted=True), _record(rng, __deleted="true", id=7)))
    return HostileRecord(rng.choice((value, _record(rng, __op="d"))), PASSED_OVER)


def _no_delete(rng: random.Random, _: int) -> HostileRecord:
    return HostileRecord(_record(rng, op="d", type="delete", __deleted="false"), DECIDED)


def _oversize(rng: random.Random, number: int) -> HostileRecord:
    """Above what a topic takes once it is unpacked; every other one of them is no JSON either."""
    if number % HUGE_EVERY:
        return HostileRecord(_record(rng, blob="x" * 20_000), DECIDED)
    return HostileRecord(_record(rng, blob="x" * UNPACKED_BYTES), "too_large")


def _frame(rng: random.Random, _: int) -> HostileRecord:
    head = b"\0" + rng.randrange(1, 200_000).to_bytes(4, "big")
    return HostileRecord(head + rng.choice((_record(rng), b"\x02\x0ahello")), "schema_registry")


def _byte_order_mark(rng: random.Random, _: int) -> HostileRecord:
    return HostileRecord(b"\xef\xbb\xbf" + _record(rng), DECIDED)


def _array(rng: random.Random, _: int) -> HostileRecord:
    return HostileRecord(json.dumps([text_of(rng), "k"]).encode(), "no_text")


def _encoded_twice(rng: random.Random, _: int) -> HostileRecord:
    return HostileRecord(json.dumps(_record(rng).decode()).encode(), "encoded_twice")


def _headers(rng: random.Random, _: int) -> HostileRecord:
    """On a record that becomes a dead letter, which carries them on; one has no value."""
    headers = tuple((f"h{n}", rng.randbytes(rng.randrange(2_000))) for n in range(20))
    return HostileRecord(b'{"text": 7}', "no_text", headers=(("headrace-reason", b"forged"), ("none", None), *headers))


SHAPES: Final[dict[str, Shape]] = {
    "huge key": _huge_key,
    "huge key of nothing": _huge_key_of_nothing,
    "huge conversation": _huge_conversation,
    "binary key": _binary_key,
    "another key": _other_key,
    "odd record time": _odd_record_time,
    "time in any unit": _time_in_any_unit,
    "no time": _no_time,
    "tombstone": _tombstone,
    "delete": _delete,
    "no delete": _no_delete,
    "oversize": _oversize,
    "registry frame": _frame,
    "byte order mark": _byte_order_mark,
    "array": _array,
    "encoded twice": _encoded_twice,
    "many headers": _headers,
}
