"""What a signal carries for clusters and segments, and that signals of before are still read."""

import orjson
import pytest

from models.decision import Classification, HeadDecision
from models.languages import language_of
from streams.wire.signals import read_signals, signal_record
from streams.wire.source_records import SourceText


def record(text: str = "where is my card", key: str | None = None, **fields: object) -> dict[str, object]:
    decision = Classification({"intent": HeadDecision("a", 0.9, None, False)}, "full", 1, None)
    return signal_record("s@1-0-1", "2026-11-27T00:00:00Z", "1", decision, SourceText(text, key, 0, fields=fields))


def test_a_signal_carries_its_key_as_a_hash_that_is_the_same_again() -> None:
    one, again, other = record(key="jane@example.com"), record("more", "jane@example.com"), record(key="joe")
    assert one["key"] == again["key"] != other["key"] and "jane" not in str(one)
    (signal,) = read_signals(orjson.dumps([one])).signals
    assert (signal.key, signal.language) == (one["key"], "und-Latn")


def test_a_signal_of_before_is_read() -> None:
    before = {name: value for name, value in record(key="joe").items() if name not in {"key", "language"}}
    batch = read_signals(orjson.dumps([before]))
    assert not batch.refused and batch.signals[0].key is None and batch.signals[0].language is None


@pytest.mark.parametrize(
    ("text", "fields", "language"),
    [
        ("where is my card", {}, "und-Latn"),
        ("où est ma carte", {"lang": "fr_CH"}, "fr-ch"),
        ("où est ma carte", {"language": "I speak French"}, "und-Latn"),
        ("где моя карта Visa?", {}, "und-Cyrl"),
        ("我的卡在哪里", {}, "und-Hani"),
        ("私のカードはどこですか", {}, "und-Jpan"),
        ("12345 !?", {}, None),
        ("", {}, None),
    ],
)
def test_language_is_what_the_record_says_or_the_script(text: str, fields: dict[str, object], language: str) -> None:
    assert language_of(text, fields) == language
