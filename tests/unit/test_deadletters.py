"""Dead letters: original bytes, where from, why, and always small enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder

from connectors.deadletters import DeadLetter, Origin, build_dead_letter, read_origin

LIMIT = 20_000


def letter(**changes: object) -> DeadLetter:
    arguments: dict[str, object] = {
        "topic": "support.chats",
        "partition": 3,
        "offset": 17,
        "key": b"k",
        "value": b'{"text": \xff}',
        "reason": "not-json",
        "error": "unexpected byte",
        "max_bytes": LIMIT,
    }
    return build_dead_letter(**{**arguments, **changes})  # type: ignore[arg-type]  # a test's shorthand


def wire_bytes(record: DeadLetter) -> int:
    """The size of a batch with this record, by kafka-python's own encoder."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1 << 30,
    )
    builder.append(0, timestamp=1_700_000_000_000, key=record.key, value=record.value, headers=list(record.headers))
    return len(builder.build())


def test_a_letter_holds_the_record_and_where_it_came_from() -> None:
    built = letter(headers=[("trace", b"\x00\x01")])
    assert (built.key, built.value) == (b"k", b'{"text": \xff}')
    assert read_origin(built.headers) == Origin("support.chats", 3, 17, "not-json", "unexpected byte", None)
    assert ("trace", b"\x00\x01") in built.headers


def test_a_tombstone_stays_one() -> None:
    assert letter(value=None, key=None).value is None


def test_what_does_not_fit_is_cut_and_marked() -> None:
    built = letter(value=b"v" * 100_000)
    assert built.value is not None
    assert LIMIT - 2_000 < len(built.value) < LIMIT
    assert read_origin(built.headers).truncated_bytes == 100_000
    assert read_origin(letter(value=b"v" * 1_000).headers).truncated_bytes is None


def test_a_huge_key_leaves_room_for_the_value() -> None:
    built = letter(key=b"k" * 100_000, value=b"v" * 10_000)
    assert ("headrace-key-truncated", b"100000") in built.headers
    assert built.value == b"v" * 10_000


def test_error_texts_are_short_and_may_hold_anything() -> None:
    built = letter(error="\ud800" + "x" * 100_000)
    assert len(dict(built.headers)["headrace-error"]) <= 2_000


def test_a_letter_about_a_letter_names_the_latest_origin_once() -> None:
    first = letter()
    second = letter(topic="deadletters", offset=5, headers=first.headers)
    assert read_origin(second.headers).topic == "deadletters"
    assert len([name for name, _ in second.headers if name == "headrace-topic"]) == 1


def test_other_records_are_no_dead_letters() -> None:
    with pytest.raises(ValueError, match="headrace-topic is missing"):
        read_origin([("trace", b"1")])


@given(
    key=st.none() | st.binary(max_size=30_000),
    value=st.none() | st.binary(max_size=60_000),
    headers=st.lists(
        st.tuples(st.text(alphabet=st.characters(codec="utf-8"), max_size=50), st.binary(max_size=9_000)), max_size=30
    ),
    error=st.text(max_size=2_000),
)
def test_a_letter_always_fits(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]], error: str
) -> None:
    assert wire_bytes(letter(key=key, value=value, headers=headers, error=error)) <= LIMIT
