import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import MessageError
from streams.application import Source
from streams.wire.records import decision_id, format_time
from streams.wire.source_records import SourceEvent, SourceReader
from streams.wire.text import clean_text, cut_text

SUPPORT = Source(key="/conversation_id", keep="all")
NOW = 1_764_000_000_000


def parsed(body: object, source: Source = SUPPORT):  # type: ignore[no-untyped-def]
    return SourceReader(source).parse(json.dumps(body).encode(), None, NOW)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(b"{not json", "not_json", id="broken JSON"),
        pytest.param(b"", "not_json", id="empty value"),
        pytest.param(b"\xff\xfe\x00", "not_utf8", id="no UTF-8"),
        pytest.param(b"[" * 200_000, "not_json", id="nested too deeply"),
        pytest.param(b'{"text": 7}', "no_text", id="text is a number"),
        pytest.param(b'{"other": "x"}', "no_text", id="no text"),
        pytest.param(b'["text"]', "no_text", id="a list"),
        pytest.param(b'{"text": " \\n"}', "empty_text", id="white space only"),
    ],
)
def test_a_record_without_a_text_is_refused_with_its_reason(value: bytes | None, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        SourceReader(SUPPORT).parse(value, None, NOW)
    assert caught.value.reason == reason


def test_other_peoples_records_are_read_through_pointers() -> None:
    source = Source(text="/payload/body", key="/payload/from/id", at="/ts")
    source_text = parsed({"payload": {"body": "hello", "from": {"id": 7}}, "ts": 1_763_999_000}, source)
    assert (source_text.text, source_text.key, source_text.at_ms) == ("hello", "7", 1_763_999_000_000)


def test_lone_surrogates_and_nul_become_replacement_characters() -> None:
    source_text = SourceReader(SUPPORT).parse(b'{"text": "a\\ud800b\\u0000c"}', None, NOW)
    assert source_text.text.encode()
    assert "\0" not in source_text.text


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("2025-11-24T16:00:00Z", 1_764_000_000_000, id="RFC 3339"),
        pytest.param("2025-11-24T16:00:00", 1_764_000_000_000, id="without zone: UTC"),
        pytest.param(1_763_999_999, 1_763_999_999_000, id="seconds"),
        pytest.param(1_763_999_999_123, 1_763_999_999_123, id="milliseconds"),
        pytest.param("yesterday", NOW, id="no time"),
        pytest.param("9999-12-31T00:00:00Z", NOW, id="absurd year"),
        pytest.param(True, NOW, id="a boolean"),
    ],
)
def test_the_source_time_is_found_or_the_records_own_is_taken(at: object, expected: int) -> None:
    assert parsed({"text": "x", "at": at}).at_ms == expected


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_is_a_prefix_within_the_limit(text: str, limit: int) -> None:
    text = clean_text(text)
    cut = cut_text(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit


def test_unknown_fields_are_kept_as_extra_and_huge_ones_are_marked() -> None:
    kept = SourceReader(SUPPORT).extra(parsed({"text": "x", "conversation_id": "c", "plan": {"tier": 2}}))
    assert kept == {"plan": {"tier": 2}}
    dropped = SourceReader(SUPPORT).extra(parsed({"text": "x", "blob": "y" * 100_000}))
    assert dropped["headrace_dropped_bytes"] > 100_000


def test_extra_with_lone_surrogates_can_be_written_again() -> None:
    source = SourceReader(SUPPORT).parse(b'{"text": "x", "note": "\\ud800"}', None, NOW)
    assert orjson.dumps(SourceReader(SUPPORT).extra(source))


def test_ids_name_topic_epoch_partition_and_offset() -> None:
    assert decision_id("support.chats", "0a1b2c3d", 3, 17) == "support.chats@0a1b2c3d-3-17"


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert format_time(1_764_000_000_123) == "2025-11-24T16:00:00.123Z"


def test_a_user_event_needs_no_text_but_must_be_an_object() -> None:
    event = SourceReader(SUPPORT).parse_event(b'{"user_id": "u"}', None, NOW)
    assert isinstance(event, SourceEvent) and (event.user, event.source.text) == ("u", "")
    with pytest.raises(MessageError) as caught:
        SourceReader(SUPPORT).parse_event(b"7", None, NOW)
    assert caught.value.reason == "not_object"


@pytest.mark.parametrize(
    "note",
    [
        '"\\ud800"',
        "1" + "0" * 400,
        "NaN",
        "[" * 251 + "]" * 251,
        "[" * 253 + "]" * 253,
        "1e999",
        "18446744073709551616",
    ],
    ids=[
        "lone surrogate",
        "huge integer",
        "NaN",
        "nested at the limit",
        "nested past the limit",
        "infinity",
        "past 64 bits",
    ],
)
def test_any_extra_field_that_can_be_parsed_can_be_written_within_a_decision(note: str) -> None:
    reader = SourceReader(SUPPORT)
    source = reader.parse(f'{{"text": "x", "note": {note}}}'.encode(), None, NOW)
    assert orjson.loads(orjson.dumps({"extra": reader.extra(source)}))["extra"]


@pytest.mark.parametrize("at", ["1" + "0" * 400, "-1e308", "NaN", "1e16", "true"])
def test_a_time_that_makes_no_sense_gives_the_records_own(at: str) -> None:
    assert SourceReader(SUPPORT).parse(f'{{"text": "x", "at": {at}}}'.encode(), None, NOW).at_ms == NOW
