"""Only what the application asks for is copied from a record into its decision and the store (N-11)."""

import json
from typing import Any

import pytest
from one_record import decision_of

from connectors.documents import sort_out
from connectors.elasticsearch.mapping import mappings_for
from connectors.ports import Document
from models.errors import ConfigError
from streams.application import Source, parse_application
from streams.wire.source_records import SourceReader, SourceText

RECORD = {
    "text": "refund please",
    "conversation_id": "c1",
    "at": "2026-11-01T10:00:00Z",
    "customer_id": "secret",
    "symbols": ["ABC"],
    "payload": {"channel": "chat", "address": "1 Main Street", "deep": {"plan": "gold"}},
}
AT_MS = 1_793_527_200_000


def kept(record: Any = RECORD, **source: Any) -> Document:
    reader = SourceReader(Source(key="/conversation_id", **source))
    parsed = reader.parse(json.dumps(record).encode(), None, AT_MS)
    assert isinstance(parsed, SourceText)
    return reader.extra(parsed)


def test_by_default_nothing_is_kept_but_what_the_applications_file_names() -> None:
    """The whole record, the customer's id included, was copied into `extra`."""
    assert kept() == {}
    assert kept(symbols="/symbols") == {"symbols": ["ABC"]}


def test_all_keeps_what_does_not_stand_in_the_decision_anyway() -> None:
    assert kept(keep="all") == {name: RECORD[name] for name in ("customer_id", "symbols", "payload")}


def test_none_keeps_not_even_what_is_named() -> None:
    assert kept(keep="none", symbols="/symbols") == {}


def test_pointers_keep_their_fields_where_they_stood() -> None:
    assert kept(keep=("/payload/channel", "/payload/deep/plan", "/missing")) == {
        "payload": {"channel": "chat", "deep": {"plan": "gold"}}
    }


def test_a_field_and_one_within_it_are_kept_without_changing_the_record() -> None:
    record = {"text": "x", "payload": {"channel": "chat"}}
    assert kept(record, keep=("/payload", "/payload/channel")) == {"payload": {"channel": "chat"}}
    assert kept(record, keep=("/payload/channel", "/payload")) == {"payload": {"channel": "chat"}}
    assert record == {"text": "x", "payload": {"channel": "chat"}}


def test_names_with_slash_and_tilde_are_found_as_pointers_write_them() -> None:
    assert kept({"text": "x", "a/b": 1, "c~d": 2}, keep=("/a~1b", "/c~0d")) == {"a/b": 1, "c~d": 2}


def test_marks_of_what_was_done_to_a_record_stand_whatever_is_kept() -> None:
    assert "headrace_time_clamped" in kept({"text": "x", "at": "yesterday"}, keep="none")


ODD_FIELDS = [
    pytest.param({"a": 1}, id="a number"),
    pytest.param({"a": "1"}, id="a text where a number stood"),
    pytest.param({"a": {"b": 1}}, id="an object where a text stood"),
    pytest.param({"a": [1, "two", {"three": 3.0}, [], None]}, id="a list of all kinds"),
    pytest.param({"a.b": 1, "a": {"b": 2}}, id="a name with a dot beside the path"),
    pytest.param({".": 1, "..": 2, "a..b": 3, ".a": 4, "a.": 5}, id="dots"),
    pytest.param({"": 1}, id="an empty name"),
    pytest.param({" ": 1, "\t": 2}, id="blank names"),
    pytest.param({"\0": "\0"}, id="NUL"),
    pytest.param({"a": {f"field{n}": n for n in range(3_000)}}, id="3,000 fields"),
    pytest.param({"k" * 40_000: 1}, id="a long name"),
    pytest.param({"a": "v" * 40_000}, id="a long text"),
    pytest.param({"_id": "x", "_source": 1, "_index": "y"}, id="names of the store's own"),
    pytest.param({"id": "x", "app": "other", "labels": 5, "extra": 7}, id="names of a decision's own"),
    pytest.param({"a": 2**64}, id="2^64"),
    pytest.param({"a": -(2**63) - 1, "b": 10**400}, id="integers of any size"),
    pytest.param({"a": 1e308, "b": -1e-320, "c": -0.0}, id="the ends of floats"),
    pytest.param({"a": True, "b": None, "c": False}, id="true, false and null"),
    pytest.param({"a": "2026-13-45T99:99:99Z"}, id="what looks like a time"),
    pytest.param({"a": {"type": "nested", "properties": {}}}, id="what looks like a mapping"),
    pytest.param({"\u202e": "\u202e", "🙂": "🙂"}, id="marks and emoji"),
    pytest.param({"a": "\ud800", "\udfff": 1}, id="lone surrogates"),
    pytest.param({"a": {}, "b": [], "c": [[[]]]}, id="empty ones"),
    pytest.param({"__proto__": 1, "constructor": {"prototype": 2}}, id="names that languages know"),
]
ABSURD_TIMES = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", -(10**18), 10**30, "yesterday"]


def is_stored(record: dict[str, Any]) -> bool:
    """Whether a decision on it, with all its fields, is one that the stores take."""
    source = Source(key="/conversation_id", at="/at", keep="all")
    decision = decision_of(json.dumps({"text": "refund please"} | record).encode(), source=source)
    accepted, refused = sort_out([decision], {"support": ["intent", "urgency"]})
    return len(accepted) == 1 and not refused


@pytest.mark.parametrize("fields", ODD_FIELDS)
def test_whatever_stands_in_a_record_its_decision_can_be_stored(fields: dict[str, Any]) -> None:
    """F-22 stays: 24 odd shapes, 24 found. Elasticsearch keeps `extra` and looks at nothing in it."""
    assert is_stored(fields)
    assert mappings_for(["intent"])["properties"]["extra"] == {"type": "object", "enabled": False}


def nested(levels: int) -> dict[str, Any]:
    """Objects in each other, so many of them."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("levels", range(246, 258))
def test_a_field_is_kept_as_deep_as_stores_take_it_and_no_deeper(levels: int) -> None:
    """Between what JSON writes and what stores take lay a level: such an event was decided, and its decision became a
    dead letter of the indexer."""
    record = nested(levels)  # all of its fields are `extra`, which takes the record's place
    assert is_stored(record)
    extra = kept(record | {"text": "refund please"}, keep="all")
    assert extra == (record if levels <= 250 else {"headrace_dropped_fields": ["a"]})


@pytest.mark.parametrize("at", ABSURD_TIMES, ids=repr)
def test_whatever_a_record_calls_its_time_its_decision_can_be_stored(at: object) -> None:
    """F-22 stays: five absurd times, five found."""
    assert is_stored({"at": at})


@pytest.mark.parametrize("value", ['"some"', '["channel"]', "true"])
def test_a_wrong_choice_is_refused(value: str) -> None:
    text = f'name = "a"\ntopic = "t"\n[source]\nkeep = {value}\n[[heads]]\nname = "h"\ncolumn = "c"\n'
    with pytest.raises(ConfigError, match="keep"):
        parse_application(text, None, "a.toml")  # type: ignore[arg-type]  # no relative path stands in it
