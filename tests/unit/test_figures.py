"""Numbers, counts, times and names as people read them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from models.figures import in_few_digits, minute, moment, moments, number_of, readable


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [
        (25_912.4, 3, "25,900"),
        (1_250_000_000.0, 3, "1,250,000,000"),
        (999.96, 3, "1,000"),
        (0.012345, 3, "0.0123"),
        (0.0, 3, "0"),
        (-2.5, 3, "-2.5"),
        (123.456, 4, "123.5"),
        (9.97, 2, "10"),
        (float("inf"), 3, "inf"),
    ],
)
def test_figures_have_few_digits_and_no_exponent(value: float, digits: int, words: str) -> None:
    assert in_few_digits(value, digits) == words


@pytest.mark.parametrize(
    ("count", "words", "others"),
    [(0, "0 labels", "0 stories"), (1, "1 label", "1 story"), (2_000, "2,000 labels", "2,000 stories")],
)
def test_one_is_not_many(count: int, words: str, others: str) -> None:
    assert (number_of(count, "label"), number_of(count, "story", "stories")) == (words, others)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-29T12:03:59.123456Z", "29 Nov 2026 12:03 UTC"),
        ("2026-11-05T00:30:00+02:00", "4 Nov 2026 22:30 UTC"),
        (datetime(2026, 11, 29, 12, 3, tzinfo=UTC), "29 Nov 2026 12:03 UTC"),
        (datetime(2026, 11, 29, 12, 3, tzinfo=timezone(timedelta(hours=1))), "29 Nov 2026 11:03 UTC"),
        ("2026-11-29", "29 Nov 2026 00:00 UTC"),
        ("yesterday", "yesterday"),
        ("0001-01-01T00:30:00+02:00", "0001-01-01T00:30:00+02:00"),  # the year 0 in UTC
        ("", ""),
    ],
)
def test_a_time_is_told_to_the_minute_and_with_its_zone(at: str | datetime, words: str) -> None:
    assert moment(at) == words


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("2026-11-29T12:40:00Z", "29 Nov 2026 12:03 to 12:40 UTC"),
        ("2026-11-29T12:03:09.5Z", "29 Nov 2026 12:03 UTC"),
        ("2026-12-01T00:00:00Z", "29 Nov 2026 12:03 to 1 Dec 2026 00:00 UTC"),
        ("event 12", "29 Nov 2026 12:03 UTC to event 12"),
    ],
)
def test_two_times_say_once_what_they_share(last: str, words: str) -> None:
    assert moments("2026-11-29T12:03:00.000Z", last) == words


@pytest.mark.parametrize(
    ("name", "words"), [("card_lost", "card lost"), ("oil", "oil"), ("__", "__"), ("a__b_", "a b")]
)
def test_a_name_is_read_without_underscores(name: str, words: str) -> None:
    assert readable(name) == words


def test_a_column_says_the_zone_in_its_head() -> None:
    assert minute("2026-11-29T12:03:59Z") == "29 Nov 2026 12:03" and minute("yesterday") is None
