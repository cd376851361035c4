"""Only what the application asks for is copied from a record into its decision and the store (N-11)."""

from typing import Any

import orjson
import pytest

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
    parsed = reader.parse(orjson.dumps(record), None, AT_MS)
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


@pytest.mark.parametrize("value", ['"some"', '["channel"]', "true"])
def test_a_wrong_choice_is_refused(value: str) -> None:
    text = f'name = "a"\ntopic = "t"\n[source]\nkeep = {value}\n[[heads]]\nname = "h"\ncolumn = "c"\n'
    with pytest.raises(ConfigError, match="keep"):
        parse_application(text, None, "a.toml")  # type: ignore[arg-type]  # no relative path stands in it
