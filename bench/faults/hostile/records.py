"""Records that nobody should send, and that somebody will: generated from a seed, each kind in turn."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from bench.faults.hostile.shapes import HUGE_EVERY, SHAPES, HostileRecord, Shape, text_of

SOURCE_MAX_BYTES: Final = 1_000_000  # below the topic's limit of 1,048,588 with the record's frame
PLANES: Final = tuple(range(17))
DEEP: Final[tuple[int, ...]] = (
    *range(246, 258),
    500,
    1_100,
    5_000,
    50_000,
)  # some parsers and writers of JSON end at 254, others at 1,024
OVERLONG: Final = (b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf")
SURROGATES: Final = (b"\xed\xa0\x80", b"\xed\xbf\xbf")

Make = Callable[[random.Random, int], bytes]


def hostile_records(count: int, seed: int) -> Iterator[HostileRecord]:
    """`count` records, all kinds in turn; the same for the same seed, but for times, which are told from now."""
    rng = random.Random(seed)
    kinds: list[tuple[str, Make | Shape]] = [*KINDS.items(), *SHAPES.items()]
    for number in range(count):
        kind, make = kinds[number % len(kinds)]
        made = make(rng, number // len(kinds))
        yield replace(made if isinstance(made, HostileRecord) else HostileRecord(made), kind=kind)


def _dumps(value: object) -> bytes:
    return json.dumps(value).encode()


def _good(rng: random.Random, _: int) -> bytes:
    return _dumps({"text": text_of(rng)})


def _broken_json(rng: random.Random, _: int) -> bytes:
    whole = _good(rng, 0)
    at = rng.randrange(1, len(whole))
    return rng.choice(
        (
            whole[:at],
            whole[:at] + rng.choice(b'{}[]",:').to_bytes(1, "big") + whole[at:],
            whole + whole,
            whole.replace(b'"', b"'"),
        )
    )


def _noise(rng: random.Random, _: int) -> bytes:
    return rng.randbytes(rng.randrange(0, 400))


def _invalid_utf8(rng: random.Random, _: int) -> bytes:
    harm = rng.choice((b"\xff\xfe", b"\x80", b"\xe2\x82", b"\xf5\x80\x80\x80", *OVERLONG, *SURROGATES))
    return b'{"text": "' + text_of(rng).encode() + harm + b'"}'


def _other_encoding(rng: random.Random, _: int) -> bytes:
    return json.dumps({"text": f"{text_of(rng)} größer 退款"}, ensure_ascii=False).encode(
        rng.choice(("utf-16", "utf-32", "utf-8-sig", "gb18030"))
    )


def _huge(rng: random.Random, number: int) -> bytes:
    """Now and then up to the limit of the topic, else some kilobytes; in words, in one word, or as a field beside the
    text."""
    size = SOURCE_MAX_BYTES if number % HUGE_EVERY == 0 else rng.randrange(2_000, 20_000)
    how = rng.randrange(4)
    if how == 0:
        return _dumps({"text": "refund " * (size // 7)})
    if how == 1:
        return _dumps({"text": "x" * size})
    return _dumps({"text": text_of(rng), "blob": "y" * size}) if how == 2 else b"z" * size


def _deep(rng: random.Random, number: int) -> bytes:
    depth = rng.choice(DEEP[:-1]) if number % HUGE_EVERY else DEEP[-1]
    opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    inner = opening * depth + b"1" + closing * depth
    return rng.choice(
        (inner, b'{"text": ' + inner + b"}", b'{"text": "' + text_of(rng).encode() + b'", "deep": ' + inner + b"}")
    )


def _controls(rng: random.Random, _: int) -> bytes:
    """Escaped, which JSON allows, and raw, which it does not."""
    characters = "".join(chr(rng.choice((*range(1, 32), 127, *range(128, 160)))) for _ in range(8))
    text = f"{text_of(rng)} {characters}"
    return rng.choice((_dumps({"text": text}), b'{"text": "' + text.encode() + b'"}'))


def _nul(rng: random.Random, _: int) -> bytes:
    return rng.choice(
        (
            _dumps({"text": f"{text_of(rng)}\0 end"}),
            b'{"text": "a\0b"}',
            b"\0" * 40,
            _dumps({"text": "\0"}),
            _dumps({"te\0xt": 1, "text": text_of(rng), "x\0": "\0"}),
        )
    )


def _planes(rng: random.Random, _: int) -> bytes:
    """Characters of all seventeen planes, noncharacters and unassigned ones with them."""
    low = [rng.randrange(0x20, 0xFFFE) for _ in PLANES]
    text = "".join(
        chr(plane * 0x10000 + at) for plane, at in zip(PLANES, low, strict=True) if plane or not 0xD800 <= at <= 0xDFFF
    )
    return json.dumps({"text": f"{text_of(rng)} {text}"}, ensure_ascii=rng.random() < 0.5).encode()


def _lone_surrogate(rng: random.Random, _: int) -> bytes:
    half = f"\\u{rng.randrange(0xD800, 0xE000):04x}"
    return (f'{{"text": "{text_of(rng)} {half} x", "note{half}": "{half}", "conversation_id": "{half}"}}').encode()


def _wrong_types(rng: random.Random, _: int) -> bytes:
    wrong: object = rng.choice((None, True, 17, -0.0, 1e308, 2**70, [], {}, ["text"], {"text": "x"}, [[]]))
    return rng.choice(
        (
            _dumps({"text": wrong}),
            _dumps([wrong]),
            _dumps([{"text": text_of(rng)}]),
            _dumps({"text": text_of(rng), "at": wrong, "conversation_id": wrong}),
        )
    )


def _odd_numbers(rng: random.Random, _: int) -> bytes:
    number = rng.choice(("NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "0x10", "01", "1_000", "-0"))
    return f'{{"text": "{text_of(rng)}", "at": {number}, "score": {number}}}'.encode()


def _odd_times(rng: random.Random, _: int) -> bytes:
    times = (
        "0000-00-00",
        "9999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "yesterday",
        "",
        "1e400",
        "+1000000-01-01",
        "2026-11-24T25:61:61Z",
    )
    return _dumps({"text": text_of(rng), "at": rng.choice((*times, -1, 1e18, -1e18, 253402300800000))})


def _empty(rng: random.Random, _: int) -> bytes:
    return rng.choice(
        (
            b"",
            b" ",
            b"{}",
            b"[]",
            b'""',
            b'{"text": ""}',
            b'{"text": " \\n\\t "}',
            '{"text": "\u200b\u2060"}'.encode(),
        )
    )


def _doubled_fields(rng: random.Random, _: int) -> bytes:
    twice = f'"text": 1, "text": "{text_of(rng)}"'
    ours = '"id": "x", "labels": {"intent": 3}, "extra": {"extra": []}, "__proto__": {}'
    return f"{{{twice}, {ours}}}".encode()


def _markup(rng: random.Random, _: int) -> bytes:
    texts = (
        "<script>alert(1)</script>",
        "'; DROP TABLE decisions; --",
        "${jndi:ldap://x}",
        "%s%n%x",
        "../../etc/passwd",
        "\u202egnp.exe",
        "{{7*7}}",
        "\ufeff\ufffe",
    )
    return _dumps({"text": f"{rng.choice(texts)} {text_of(rng)}", rng.choice(texts): rng.choice(texts)})


def _many_fields(rng: random.Random, _: int) -> bytes:
    return _dumps({"text": text_of(rng)} | {f"field.{number}": number for number in range(rng.randrange(50, 400))})


KINDS: Final[dict[str, Make]] = {
    "good": _good,
    "broken json": _broken_json,
    "noise": _noise,
    "invalid utf-8": _invalid_utf8,
    "another encoding": _other_encoding,
    "huge": _huge,
    "deeply nested": _deep,
    "control characters": _controls,
    "nul": _nul,
    "every plane": _planes,
    "lone surrogate": _lone_surrogate,
    "wrong types": _wrong_types,
    "odd numbers": _odd_numbers,
    "odd times": _odd_times,
    "empty": _empty,
    "doubled fields": _doubled_fields,
    "markup": _markup,
    "many fields": _many_fields,
}
