"""Shapes of records from the field: change data, arrays, frames, marks, sizes."""

import orjson
import pytest
from one_record import decision_of, outcome_of

from models.errors import ConfigError, MessageError
from streams.application import Source, parse_application
from streams.engine.delivery import Delivery, Outcome
from streams.wire.source_records import SourceReader

DEBEZIUM = Source(text="/after/body", key="/after/id", at="/ts_ms")
WRAPPED = Source(text="/payload/after/body", key="/payload/after/id", at="/payload/ts_ms")
NOW_MS = 1_789_999_000_123


def was_passed_over(outcome: Outcome) -> bool:
    """Nothing is sent, and it is neither decided nor a dead letter."""
    return outcome.records == [] and outcome.rejected_because is None and outcome.signal is None


@pytest.mark.parametrize(
    ("value", "source"),
    [
        pytest.param(None, DEBEZIUM, id="a tombstone"),
        pytest.param({"op": "d", "before": {"id": 1}, "after": None}, DEBEZIUM, id="Debezium"),
        pytest.param({"after": None}, DEBEZIUM, id="Debezium without an operation"),
        pytest.param({"schema": {}, "payload": {"op": "d", "after": None}}, WRAPPED, id="Debezium with its schema"),
        pytest.param({"schema": None, "payload": None}, WRAPPED, id="a tombstone with its schema"),
        pytest.param({"id": 1, "body": "old", "__deleted": "true"}, Source(text="/body"), id="Debezium, flattened"),
        pytest.param({"id": 1, "__deleted": True}, Source(text="/body"), id="flattened, the text left out"),
        pytest.param({"id": 1, "body": "old", "__op": "d"}, Source(text="/body"), id="flattened with its operation"),
        pytest.param({"type": "delete", "data": {"body": "old"}}, Source(text="/data/body"), id="Maxwell"),
        pytest.param({"type": "DELETE", "data": [{"body": "old"}]}, Source(text="/data/0/body"), id="Canal"),
        pytest.param({"op_type": "D", "before": {"body": "old"}}, Source(text="/after/body"), id="GoldenGate"),
        pytest.param({"operationType": "delete", "documentKey": 1}, Source(text="/fullDocument/body"), id="MongoDB"),
        pytest.param(b"null", Source(), id="JSON null"),
        pytest.param({"a/b": None}, Source(text="/a~1b/body"), id="a name with a slash"),
    ],
)
def test_tombstones_and_deletes_are_passed_over(value: object, source: Source) -> None:
    """F-13: of 60 creates, 60 deletes and 60 tombstones 120 became dead letters, and the worker ended."""
    encoded = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    outcome = outcome_of(encoded, b"k", source=source)
    assert was_passed_over(outcome), outcome


@pytest.mark.parametrize(
    ("value", "source"),
    [
        pytest.param({"op": "u", "after": {"body": "refund please"}}, DEBEZIUM, id="an update"),
        pytest.param({"op": "r", "before": None, "after": {"body": "refund please"}}, DEBEZIUM, id="a snapshot"),
        pytest.param(
            {"op": "d", "type": "delete", "text": "delete my account"}, Source(), id="a field beside the text"
        ),
        pytest.param({"text": "refund please", "__deleted": "false"}, Source(), id="flattened, not deleted"),
    ],
)
def test_what_only_looks_like_a_delete_is_decided(value: object, source: Source) -> None:
    assert decision_of(value, source=source)["labels"]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"text": None}, id="text is null"),
        pytest.param({}, id="no text"),
        pytest.param({"text": 17}, id="a number"),
        pytest.param({"text": ["refund"]}, id="a list"),
        pytest.param({"text": True}, id="a boolean"),
    ],
)
def test_a_record_that_should_have_a_text_and_has_none_is_still_a_dead_letter(value: object) -> None:
    """F-37 stays: none of these is a delete."""
    assert outcome_of(orjson.dumps(value)).rejected_because == "no_text"


def test_a_debezium_record_is_decided_with_its_time_and_key() -> None:
    """F-23 stays."""
    decision = decision_of({"op": "c", "ts_ms": NOW_MS, "after": {"id": 7, "body": "refund please"}}, source=DEBEZIUM)
    assert (decision["text"], decision["key"], decision["at"]) == ("refund please", "7", "2026-09-21T13:56:40.123Z")


def test_a_structured_cloudevent_is_decided_with_its_time_and_key() -> None:
    """F-29 stays."""
    event = {"specversion": "1.0", "id": "e-1", "time": "2026-09-21T13:56:40.123Z", "data": {"body": "refund please"}}
    decision = decision_of(event, source=Source(text="/data/body", key="/id", at="/time"))
    assert (decision["text"], decision["key"], decision["at"]) == ("refund please", "e-1", "2026-09-21T13:56:40.123Z")


def test_an_array_is_a_record_too() -> None:
    """F-30: the text of ["text", "k"] was not found at /0, though /0/text worked."""
    decision = decision_of(["refund please", "k1", 3], source=Source(text="/0", key="/1", keep="all"))
    assert (decision["text"], decision["key"], decision["extra"]) == ("refund please", "k1", {"2": 3})


@pytest.mark.parametrize(
    ("value", "source"),
    [
        pytest.param(
            {"messages": [{"content": "refund please"}]}, Source(text="/messages/0/content"), id="nested list"
        ),
        pytest.param("refund please", Source(text=""), id="a JSON text"),
        pytest.param([{"text": "refund please"}], Source(text="/0/text"), id="an object in a list"),
        pytest.param(b'\xef\xbb\xbf{"text": "refund please"}', Source(), id="byte order mark"),
        pytest.param("\ufeffrefund please".encode(), Source(format="text"), id="byte order mark before a text"),
    ],
)
def test_the_text_is_read_where_it_stands(value: object, source: Source) -> None:
    """F-31 stays. F-34: a byte order mark before JSON made a dead letter; before a text it was decided upon."""
    assert decision_of(value, source=source)["text"] == "refund please"


@pytest.mark.parametrize(
    "pointer", ["/-", "/5", "/01", "/x"], ids=["past the end", "a place that is not there", "a leading zero", "a name"]
)
def test_a_place_that_an_array_has_not_holds_no_text(pointer: str) -> None:
    source = Source(text="/0", key=pointer, at=pointer, symbols=pointer)
    assert decision_of(["refund please"], source=source)["key"] is None
    assert outcome_of(b'["refund please"]', source=Source(text=pointer)).rejected_because == "no_text"


FRAMED = b"\0\0\0\0\x07"


@pytest.mark.parametrize(
    ("value", "source", "reason", "words"),
    [
        pytest.param(FRAMED + b'{"text": "x"}', Source(), "schema_registry", "schema id 7", id="framed JSON"),
        pytest.param(FRAMED + b"\x02\x0ahello", Source(), "schema_registry", "schema id 7", id="framed Avro"),
        pytest.param(FRAMED + b"$where", Source(format="text"), "schema_registry", "schema id 7", id="framed text"),
        pytest.param(b'"{\\"text\\": \\"x\\"}"', Source(), "encoded_twice", "the record is", id="encoded twice"),
        pytest.param(
            b'{"payload": "{\\"text\\": \\"x\\"}"}',
            Source(text="/payload/text"),
            "encoded_twice",
            "/payload is",
            id="a part encoded twice",
        ),
        pytest.param(b'"just a text"', Source(), "no_text", "no text at /text", id="a text where an object should be"),
        pytest.param(b'{"body": "x"}', Source(), "no_text", "no text at /text: nothing or null", id="no such field"),
        pytest.param(b'{"text": 7.5}', Source(), "no_text", "no text at /text: a number", id="a number for a text"),
        pytest.param(b'{"text": false}', Source(), "no_text", "true or false", id="a truth for a text"),
        pytest.param(b'{"text": ["x"]}', Source(), "no_text", "no text at /text: a list", id="a list for a text"),
        pytest.param(b'{"text": {"en": "x"}}', Source(), "no_text", "at /text: an object", id="an object for a text"),
        pytest.param(b"\xff\xfe{\0}\0", Source(), "not_utf8", "UTF-8", id="UTF-16"),
        pytest.param("größer".encode("latin-1"), Source(format="text"), "not_utf8", "UTF-8", id="Latin-1"),
        pytest.param(b'{"text": "x"}\0', Source(), "not_json", "JSON", id="a trailing NUL"),
        pytest.param(b'{"text": "x"} {"text": "y"}', Source(), "not_json", "JSON", id="two objects"),
        pytest.param(b"\xef\xbb\xbf", Source(format="text"), "empty_text", "empty", id="nothing but a mark"),
    ],
)
def test_a_record_that_cannot_be_read_says_why(value: bytes, source: Source, reason: str, words: str) -> None:
    """F-32, F-33, F-35: JSON encoded twice and a Schema Registry's frame were "no text" and "no JSON", and with
    format "text" the frame was decided upon. F-37 stays."""
    with pytest.raises(MessageError, match=words) as caught:
        SourceReader(source).parse(value, None, NOW_MS)
    assert caught.value.reason == reason


def test_a_number_that_json_does_not_know_and_a_name_given_twice_do_not_hide_the_text() -> None:
    """F-37 stays."""
    assert decision_of(b'{"text": 1, "text": "refund please", "score": NaN}')["text"] == "refund please"


@pytest.mark.parametrize("source", [Source(), Source(format="text")], ids=["json", "text"])
def test_a_value_above_the_limit_is_refused_before_it_is_parsed(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-A2: 408 kB on the wire unpacked to a value of 400 MB, and parsing it took three times as much again."""

    def fail(*_: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr("streams.wire.source_records.load_json", fail, raising=False)
    monkeypatch.setattr("streams.wire.source_records._load_json", fail, raising=False)
    monkeypatch.setattr("streams.wire.source_records._plain_text", fail)
    outcome = outcome_of(b'{"text": "' + b"x" * 3_000_000 + b'"}', source=source)
    assert outcome.rejected_because == "too_large"
    (letter,) = outcome.records
    assert dict(letter.headers)["headrace-truncated"] == b"3000012"


def test_the_limit_can_be_raised_for_a_topic_of_larger_records() -> None:
    value = b'{"text": "refund please", "scan": "' + b"x" * 1_100_000 + b'"}'
    assert outcome_of(value).rejected_because == "too_large"
    assert (
        decision_of(value, source=Source(max_bytes=2_000_000, keep="all"))["extra"]["headrace_dropped_bytes"]
        > 1_100_000
    )


def test_headers_count_among_the_bytes_in_flight() -> None:
    """S-A12: 4,096 records with a megabyte of headers each were not bounded."""
    assert Delivery("t", 0, 0, b"k", b"v", 0, headers=[("name", b"x" * 1_000)]).size == 1_006


@pytest.mark.parametrize("pointer", ["/a~b", "/a~", "payload.body", "$.a"])
def test_a_pointer_that_is_none_is_refused_in_one_line(pointer: str) -> None:
    """F-38: "/a~b" passed the check of the file and ended the worker with a traceback."""
    text = f'name = "a"\ntopic = "t"\n[source]\ntext = "{pointer}"\n[[heads]]\nname = "h"\ncolumn = "c"\n'
    with pytest.raises(ConfigError, match="is no JSON pointer") as caught:
        parse_application(text, folder=None, origin="app.toml")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
