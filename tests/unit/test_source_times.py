"""When an event happened, by records that say it in many ways, or say nonsense."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_record import NOW_MS, decision_of

from streams.application import Source
from streams.wire.records import format_time
from streams.wire.source_records import SourceReader
from streams.wire.source_times import LATEST_MS, TimeSpan, event_time, read_time

SEEN = "2026-09-21T13:56:40.123Z"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SPAN = TimeSpan.of_days(366, 1)


def time_told(at: object, **record: Any) -> tuple[str, object]:
    decision = decision_of({"text": "refund please", "at": at}, **record)
    return decision["at"], decision["extra"].get("headrace_time_clamped")


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(NOW_MS, SEEN, id="milliseconds"),
        pytest.param(NOW_MS * 1_000, SEEN, id="microseconds (Debezium's ts_us, MicroTimestamp)"),
        pytest.param(NOW_MS * 1_000_000 + 456_789, SEEN, id="nanoseconds (Debezium's ts_ns)"),
        pytest.param(NOW_MS // 1_000, "2026-09-21T13:56:40.000Z", id="seconds"),
        pytest.param(NOW_MS / 1_000, SEEN, id="seconds with a fraction"),
        pytest.param("1789999000.123", SEEN, id="seconds with a fraction as text"),
        pytest.param("1789999000", "2026-09-21T13:56:40.000Z", id="seconds as text"),
        pytest.param("1789999000123", SEEN, id="milliseconds as text"),
        pytest.param("1789999000123456", SEEN, id="microseconds as text"),
        pytest.param(" 1789999000123456789 ", SEEN, id="nanoseconds as text, with blanks"),
    ],
)
def test_numbers_since_1970_are_understood_in_any_unit_and_as_text(at: object, expected: str) -> None:
    """F-24, F-25: Debezium's micro- and nanoseconds and digits as text gave the record's own time, without a word."""
    assert time_told(at, timestamp_ms=NOW_MS - HOUR_MS) == (expected, None)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param("2026-09-20t12:00:00z", "2026-09-20T12:00:00.000Z", id="small letters"),
        pytest.param("2026-09-20T23:59:60Z", "2026-09-21T00:00:00.000Z", id="leap second"),
        pytest.param(
            "2026-09-20T23:59:60.5+02:00", "2026-09-20T22:00:00.500Z", id="leap second with zone and fraction"
        ),
        pytest.param("2026-09-20T12:00:00+0200", "2026-09-20T10:00:00.000Z", id="zone without colon"),
        pytest.param("2026-09-20T12:00:00+02", "2026-09-20T10:00:00.000Z", id="zone of hours"),
        pytest.param("2026-09-20 12:00:00", "2026-09-20T12:00:00.000Z", id="a blank, no zone"),
        pytest.param("2026-09-20T12:00:00,5Z", "2026-09-20T12:00:00.500Z", id="a comma"),
        pytest.param("2026-09-20T12:00:00.123456789Z", "2026-09-20T12:00:00.123Z", id="nine digits"),
        pytest.param("20260920", "2026-09-20T00:00:00.000Z", id="a day of eight digits"),
    ],
)
def test_iso_times_are_understood_in_all_their_forms(at: str, expected: str) -> None:
    """F-26: RFC 3339 allows a small t and z and the second 60; they gave the record's own time. F-28: the others."""
    assert time_told(at, timestamp_ms=NOW_MS) == (expected, None)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param("yesterday", id="no time"),
        pytest.param("1970-01-01T00:00:00Z", id="1970"),
        pytest.param("9999-12-31T23:59:59Z", id="the end of the calendar"),
        pytest.param("9999-12-31T23:59:60Z", id="past the end of the calendar"),
        pytest.param(format_time(NOW_MS - 367 * DAY_MS), id="more than a year back"),
        pytest.param(format_time(NOW_MS + 25 * HOUR_MS), id="more than a day ahead"),
        pytest.param(True, id="a boolean"),
        pytest.param([NOW_MS], id="a list"),
        pytest.param(-1, id="negative"),
        pytest.param(10**18 * 5, id="in the year 2128"),
    ],
)
def test_a_time_that_makes_no_sense_gives_way_to_the_records_own_and_the_decision_says_so(at: object) -> None:
    """D-B6: times up to ten years off were believed, an index a month each; what was set aside left no trace."""
    believed, mark = time_told(at, timestamp_ms=NOW_MS - HOUR_MS)
    assert believed == format_time(NOW_MS - HOUR_MS)
    assert isinstance(mark, dict) and list(mark) == ["source"]


@pytest.mark.parametrize("at", [None, "", "  "])
def test_a_record_that_gives_no_time_is_not_marked(at: object) -> None:
    assert time_told(at, timestamp_ms=NOW_MS - HOUR_MS) == (format_time(NOW_MS - HOUR_MS), None)


@pytest.mark.parametrize(
    ("timestamp_ms", "expected"),
    [
        pytest.param(NOW_MS * 1_000, SEEN, id="microseconds"),
        pytest.param(NOW_MS * 1_000_000, SEEN, id="nanoseconds"),
        pytest.param(NOW_MS // 1_000, "2026-09-21T13:56:40.000Z", id="seconds"),
        pytest.param(-1, SEEN, id="none"),
        pytest.param(2**63 - 1, SEEN, id="the largest there is"),
        pytest.param(NOW_MS - 400 * DAY_MS, SEEN, id="more than a year ago"),
        pytest.param(NOW_MS + 2 * DAY_MS, SEEN, id="in two days"),
    ],
)
def test_a_records_own_time_that_makes_no_sense_ends_nobody_and_is_marked(timestamp_ms: int, expected: str) -> None:
    """S-A6, F-10: a record whose own time stood in microseconds raised ValueError for the whole batch and ended every
    worker in turn."""
    decision = decision_of({"text": "refund please"}, timestamp_ms=timestamp_ms)
    assert decision["at"] == expected
    assert decision["extra"]["headrace_time_clamped"] == {"record": str(timestamp_ms)}
    assert 0 <= decision["latency_ms"] < 1_000


def test_two_hours_ahead_is_a_clock_that_is_wrong_and_is_believed() -> None:
    """F-12 stays: decided, with latency 0."""
    decision = decision_of({"text": "refund please"}, timestamp_ms=NOW_MS + 2 * HOUR_MS)
    assert (decision["at"], decision["latency_ms"], decision["extra"]) == (format_time(NOW_MS + 2 * HOUR_MS), 0, {})


def test_a_wider_span_lets_history_in() -> None:
    wide = Source(max_age_days=5_000)
    old_ms = NOW_MS - 3_000 * DAY_MS
    assert time_told(None, timestamp_ms=old_ms, source=wide) == (format_time(old_ms), None)
    assert time_told("2018-09-20T12:00:00Z", timestamp_ms=NOW_MS, source=wide) == ("2018-09-20T12:00:00.000Z", None)


def test_what_no_store_takes_is_not_believed_in_the_widest_span() -> None:
    """A decision on an event of 1950 would be refused by the index."""
    believed, mark = time_told("1950-01-01T00:00:00Z", source=Source(max_age_days=36_525))
    assert (believed, mark) == (SEEN, {"source": "1950-01-01T00:00:00Z"})


def test_history_is_not_compared_with_the_clock() -> None:
    assert event_time(None, NOW_MS - 3_000 * DAY_MS, None, SPAN).at_ms == NOW_MS - 3_000 * DAY_MS
    assert event_time(None, NOW_MS * 1_000, None, SPAN).at_ms == NOW_MS


def test_what_was_set_aside_is_kept_in_the_mark_and_cut() -> None:
    assert time_told("yesterday")[1] == {"source": "yesterday"}
    mark = time_told("y" * 10_000)[1]
    assert isinstance(mark, dict) and len(mark["source"]) == 100


def test_times_that_are_set_aside_are_counted_and_the_first_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """Who reads an old topic live must not learn only from marks that all its times were set aside."""
    reader = SourceReader(Source())
    for at_ms in (NOW_MS, NOW_MS - 400 * DAY_MS, NOW_MS - 500 * DAY_MS):
        reader.parse(b'{"text": "x", "at": "yesterday"}', None, at_ms, NOW_MS)
    assert reader.times_set_aside == {"source": 3, "record": 2}
    (said,) = [record.getMessage() for record in caplog.records]
    assert str(NOW_MS - 400 * DAY_MS) in said and "max_age_days = 366" in said


any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(
    any_json | st.integers(-(10**30), 10**30) | st.from_regex(r"\A[+-]?[0-9]{1,25}(\.[0-9]{1,25})?\Z"),
    st.integers(-(2**63), 2**63 - 1),
    st.none() | st.integers(NOW_MS - 1_000, NOW_MS + 1_000),
    st.floats(0.001, 36_525),
)
def test_no_time_raises_and_every_time_can_be_written(
    given: Any, timestamp_ms: int, arrived_ms: int | None, back_days: float
) -> None:
    times = event_time(given, timestamp_ms, arrived_ms, TimeSpan.of_days(back_days, 1))
    assert len(format_time(times.at_ms)) == len("2026-09-21T13:56:40.123Z")
    assert 0 <= times.at_ms <= LATEST_MS and 0 <= times.written_ms <= LATEST_MS
    if arrived_ms is not None:
        assert abs(times.at_ms - arrived_ms) <= 2 * max(back_days, 1) * DAY_MS


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, -1e308, 10**400, -(10**400), 1e20])
def test_numbers_that_are_no_time_are_none(number: float) -> None:
    assert read_time(number) is None
