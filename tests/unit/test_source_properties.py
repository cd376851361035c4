"""Whatever bytes, key and times a record has: it is read, passed over or refused, and what it leads to can be sent."""

import json
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from repeats import repeats
from small_release import small_encoder

from models.classifier import Classifier
from models.decision import Classification, HeadDecision
from models.errors import MessageError
from streams.application import Application, HeadSpec, Source
from streams.classify.decision_records import DecisionRecords
from streams.classify.release_batch import Pending
from streams.engine.delivery import Delivery
from streams.routing.replies import Replier
from streams.topics import DEAD_LETTER_MAX_BYTES
from streams.wire.outcomes import dead_letter
from streams.wire.source_records import PassedOver, SourceReader, SourceText

NOW_MS = 1_789_999_000_123
BROKER_MAX_BYTES = 1_000_000
REASONS = {
    "too_large",
    "schema_registry",
    "not_utf8",
    "not_json",
    "encoded_twice",
    "no_text",
    "empty_text",
    "not_object",
}

SOURCES = st.sampled_from(
    [
        Source(),
        Source(key="/key", keep="all"),
        Source(keep=("/after/text", "/after", "/0/x", "/~1~0")),
        Source(text="/text", key="/key", symbols="/symbols"),
        Source(text="/after/text", key="/after/key", at="/ts_ms"),
        Source(text="/0", key="/1", at="/2", symbols="/3"),
        Source(text="", at=None),
        Source(format="text"),
        Source(user="/text", item="/key", action="/at"),
    ]
)
NAMES = st.sampled_from(["text", "key", "at", "after", "op", "ts_ms", "symbols", "user_id", "__deleted", "ü/~"])
LONG = st.sampled_from(["x", "\x01", "退", "\ud800", "\0", '"', "🙂"]).flatmap(
    lambda character: st.integers(0, 60_000).map(lambda times: character * times)
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | LONG
    | st.sampled_from(["d", "true", "1789999000"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=6)
)
BYTES = st.binary(max_size=300)
JSON = VALUES.map(lambda value: json.dumps(value).encode())
MARKED = st.sampled_from([b"\xef\xbb\xbf", b"\0\0\0\0\x07", b"", b"[", b" "])
RECORDS = st.none() | BYTES | JSON | st.tuples(MARKED, JSON).map(b"".join)
KEYS = st.none() | BYTES | LONG.map(lambda text: text.encode("utf-8", "surrogatepass"))
TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(NOW_MS - 10**10, NOW_MS + 10**10)


def sent_bytes(pending: Pending) -> int:
    """Of the decision on a text, checked on the way."""
    app = Application(name="a", topic="t", heads=(HeadSpec(name="h", column="h"),), source=Source())
    classification = Classification({"h": HeadDecision("refund", 0.9, 1.0)}, "full", 3, 0.0)
    records = DecisionRecords(app, SourceReader(app.source), Replier(app), NOW_MS, shown=1.0)
    outcome = records.outcome(pending, classification, FakeClassifier())
    (record,) = outcome.records
    decision = orjson.loads(record.value or b"")
    assert len(decision["at"]) == len("2026-09-21T13:56:40.123Z") and decision["latency_ms"] >= 0
    assert outcome.signal is not None and len(orjson.dumps(outcome.signal)) < BROKER_MAX_BYTES / 20
    return len(record.key or b"") + len(record.value or b"")


class FakeClassifier(Classifier):
    """Has a name, and decides by texts alone."""

    def __init__(self) -> None:
        self.model, self.version, self.fusion = "a", "1", None
        self.encoder, self.neutral_words = small_encoder(), None


@settings(max_examples=repeats(100, 400), deadline=None)
@given(SOURCES, RECORDS, KEYS, TIMES, st.none() | st.just(NOW_MS))
def test_any_record_is_read_passed_over_or_refused_and_its_decision_can_be_sent(
    source: Source, value: bytes | None, key: bytes | None, timestamp_ms: int, arrived_ms: int | None
) -> None:
    """S-A6, D-A1, F-10, F-24 to F-37 as one rule."""
    delivery = Delivery("t", 0, 0, key, value, timestamp_ms, headers=[("h", b"\xff" * 50)])
    read: SourceText | PassedOver
    try:
        read = SourceReader(source).parse(value, key, timestamp_ms, arrived_ms)
    except MessageError as error:
        assert error.reason in REASONS
        (letter,) = dead_letter(delivery, error).records
        headers = sum(len(name) + len(content) for name, content in letter.headers)
        assert len(letter.key or b"") + len(letter.value or b"") + headers < DEAD_LETTER_MAX_BYTES
        return
    if isinstance(read, PassedOver):
        return
    assert sent_bytes(Pending(delivery, read, "t@e0-0-0", 0.0)) < BROKER_MAX_BYTES


@settings(max_examples=repeats(60, 200), deadline=None)
@given(SOURCES, RECORDS, KEYS, TIMES)
def test_any_user_event_is_read_passed_over_or_refused(
    source: Source, value: bytes | None, key: bytes | None, timestamp_ms: int
) -> None:
    reader = SourceReader(source)
    try:
        event = reader.parse_event(value, key, timestamp_ms, NOW_MS)
    except MessageError as error:
        assert error.reason in REASONS
        return
    if not isinstance(event, PassedOver):
        ids: list[Any] = [event.user, event.item, event.action, event.source.key, reader.extra(event.source)]
        assert len(orjson.dumps(ids)) + len(event.source.record_key or b"") < BROKER_MAX_BYTES
