"""What an event belongs to: the bytes on outgoing records, the text in decisions."""

import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_record import NOW_MS, decision_of, outcome_of
from small_release import small_release

from connectors.deadletters import FRAME_BYTES
from streams.application import Source
from streams.classify.serving import ServedRelease, Trial
from streams.topics import DEAD_LETTER_MAX_BYTES
from streams.wire.source_keys import KEY_TEXT_MAX_BYTES, RECORD_KEY_MAX_BYTES, key_of_bytes, key_of_value
from streams.wire.source_records import SourceEvent, SourceReader

BROKER_LIMIT = 1_000_000
TEXT = b'{"text": "refund please"}'
NAMED = Source(key="/conversation_id")


@pytest.mark.parametrize("key", [None, b"", b"c-17", "kü".encode(), b"\xff\x00", struct.pack(">q", 200)])
def test_the_sources_key_bytes_are_kept_as_they_are(key: bytes | None) -> None:
    """F-14, F-15: binary keys were read as text, so that all of them became the same key."""
    assert outcome_of(TEXT, key).records[0].key == key


def test_four_java_longs_stay_four_keys_on_the_wire_and_in_the_body() -> None:
    """F-14: 200, 201, 254 and 255 as eight bytes were one key."""
    keys = [struct.pack(">q", number) for number in (200, 201, 254, 255)]
    assert [outcome_of(TEXT, key).records[0].key for key in keys] == keys
    decisions = [decision_of(TEXT, key=key) for key in keys]
    assert decisions[0]["key"] == "0x00000000000000c8"
    assert len({decision["key"] for decision in decisions}) == 4
    assert all(decision["extra"] == {"headrace_key_hex": True} for decision in decisions)


def test_two_customers_without_a_key_are_not_one_conversation() -> None:
    """An empty conversation_id was one, and all who wrote with it: what one had given counted for the next."""
    anonymous = b'{"text": "refund please", "conversation_id": ""}'
    assert decision_of(anonymous, source=NAMED)["key"] is None
    assert decision_of(TEXT, key=b"")["key"] is None


@pytest.mark.parametrize("key", [b"", b" \n", "\u00a0".encode()])
def test_a_blank_key_of_a_record_names_nobody_as_one_in_its_body_does(key: bytes) -> None:
    """Both were told apart: an event with an empty key belonged to nobody, though it said its user."""
    assert key_of_bytes(key) == (key, None, {})  # the bytes stay, and with them the partition
    said = b'{"user_id": "u1", "text": "x", "conversation_id": " "}'
    for source in (Source(), NAMED):
        event = SourceReader(source).parse_event(said, key, NOW_MS)
        assert isinstance(event, SourceEvent) and (event.source.key, event.source.record_key) == ("u1", b"u1")
        nobody = SourceReader(source).parse_event(b'{"user_id": " "}', key, NOW_MS)
        assert isinstance(nobody, SourceEvent) and (nobody.user, nobody.source.key) == (None, None)
    assert key_of_bytes(b"\0" * 4).text == "0x00000000"
    assert len(key_of_bytes(b" " * 5_000_000).record_key or b"") <= RECORD_KEY_MAX_BYTES


def test_small_java_longs_look_like_the_others() -> None:
    """A long below 128 is valid UTF-8 full of NUL, which stores refuse."""
    assert decision_of(TEXT, key=struct.pack(">q", 7))["key"] == "0x0000000000000007"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"id": 1}, '{"id":1}', id="an object"),
        pytest.param(True, "true", id="true"),
        pytest.param([1, "a"], '[1,"a"]', id="a list"),
        pytest.param(17, "17", id="a number"),
        pytest.param("c-1", "c-1", id="a text"),
        pytest.param("", "other", id="an empty text names nobody"),
        pytest.param(" \n", "other", id="nor does a blank one"),
        pytest.param(None, "other", id="nothing"),
        pytest.param({}, "other", id="nor an empty object"),
        pytest.param([], "other", id="nor an empty list"),
        pytest.param("\u200b\ufeff", "other", id="nor what nobody sees"),
        pytest.param(0, "0", id="zero"),
        pytest.param("x" * 300, "x" * 300, id="300 characters"),
        pytest.param("a\nb\x1b[31m", "a\nb\x1b[31m", id="control characters"),
    ],
)
def test_a_key_in_the_body_is_written_as_json_not_as_python(value: object, expected: str) -> None:
    """F-36: an object gave "{'id': 1}" and true gave "True"."""
    outcome = outcome_of(orjson.dumps({"text": "refund please", "conversation_id": value}), b"other", source=NAMED)
    assert outcome.records[0].key == expected.encode()
    assert orjson.loads(outcome.records[0].value or b"")["key"] == expected


LONG_KEYS = [
    pytest.param(b"k" * 600_000, None, id="600 kB of letters"),
    pytest.param(b"\xff" * 350_000, None, id="350 kB of bytes that are no UTF-8"),
    pytest.param(b"\x01" * 180_000, None, id="180 kB of control characters"),
    pytest.param("ü".encode() * 300_000, None, id="600 kB of umlauts"),
    pytest.param(b"k" * 5_000_000, None, id="more than any topic takes, unpacked"),
    pytest.param(b"c", "c" * 600_000, id="600 kB in the body"),
    pytest.param(b"c", "\x01" * 150_000, id="control characters in the body"),
    pytest.param(b"c", ["c" * 600_000], id="a list in the body"),
]


@pytest.mark.parametrize(("key", "conversation"), LONG_KEYS)
def test_no_key_makes_a_decision_or_a_trial_that_a_broker_refuses(key: bytes, conversation: object) -> None:
    """S-A6, D-A1: the key stood uncut in the record and in its body, so a 600 kB customer id made 1.2 MB, and every
    worker in turn ended with it."""
    trial = Trial("shadow", ServedRelease(small_release().classifier))
    value = orjson.dumps({"text": "refund please", "conversation_id": conversation})
    outcome = outcome_of(value, key, source=NAMED, trials=(trial,), max_dead_letter_share=1.0)
    assert len(outcome.records) == 2
    for record in outcome.records:
        assert len(record.key or b"") + len(record.value or b"") < BROKER_LIMIT / 2
        decision = orjson.loads(record.value or b"")
        assert len(decision["key"].encode()) <= KEY_TEXT_MAX_BYTES
        assert decision["extra"]["headrace_key_cut"] is True


@pytest.mark.parametrize(("key", "conversation"), LONG_KEYS)
def test_no_key_makes_a_dead_letter_that_a_broker_refuses(key: bytes, conversation: object) -> None:
    (letter,) = outcome_of(orjson.dumps({"text": 7, "conversation_id": conversation}), key, source=NAMED).records
    headers = sum(len(name) + len(content) for name, content in letter.headers)
    assert len(letter.key or b"") + len(letter.value or b"") + headers < DEAD_LETTER_MAX_BYTES - FRAME_BYTES / 2


def test_a_key_of_usual_length_is_kept_whole_on_the_record_where_its_text_is_cut() -> None:
    key = b"k" * RECORD_KEY_MAX_BYTES
    assert key_of_bytes(key).record_key == key
    text = key_of_bytes(key).text or ""
    assert text.startswith("k" * 900) and len(text.encode()) == KEY_TEXT_MAX_BYTES


@pytest.mark.parametrize("start", ["k" * 2_000, "\udcff" * 2_000, "ü" * 2_000], ids=["letters", "bytes", "umlauts"])
def test_long_keys_that_begin_alike_stay_two_conversations(start: str) -> None:
    """What one customer had said counted for the other one."""
    one, two = (start.encode("utf-8", "surrogateescape") + end for end in (b"1", b"2"))
    assert key_of_bytes(one).text == key_of_bytes(one).text != key_of_bytes(two).text
    assert key_of_value(start + "1").text != key_of_value(start + "2").text


@pytest.mark.parametrize("end", [b"1", b"2"])
def test_an_id_of_more_digits_than_a_number_of_64_bits_is_read_to_its_end(end: bytes) -> None:
    """123456789012345678901 and 123456789012345678902 were both 1.2345678901234568e+20."""
    number = b"12345678901234567890" + end
    outcome = outcome_of(b'{"text": "refund please", "conversation_id": %b, "n": 1.5}' % number, source=NAMED)
    decision = orjson.loads(outcome.records[0].value or b"")
    assert decision["key"] == number.decode() and outcome.records[0].key == number


def test_a_key_that_is_too_long_is_stood_for_by_its_digest_so_partitions_stay() -> None:
    long = [b"k" * 20_000 + end for end in (b"a", b"b", b"a")]
    first, second, again = [key_of_bytes(key).record_key for key in long]
    assert first == again != second
    assert (first or b"").startswith(b"sha256:")


@given(st.binary(max_size=3_000) | st.text(max_size=1_500).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_make_a_key_that_can_be_written(key: bytes) -> None:
    made = key_of_bytes(key)
    assert made.record_key == key
    if made.text is None:  # whoever has none would be one conversation with all others
        assert not key.decode("utf-8", "replace").strip()
        return
    assert "\0" not in made.text and len(made.text.encode()) <= KEY_TEXT_MAX_BYTES
    whole = not made.marks
    assert not whole or made.text.encode() == key


any_json: Any = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(any_json)
def test_any_json_makes_a_key_that_can_be_written(value: Any) -> None:
    made = key_of_value(value)
    assert orjson.dumps(made.text) and len(made.record_key or b"") <= RECORD_KEY_MAX_BYTES
