"""Names of Elasticsearch indices: what they hold, and since when they are old."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.elasticsearch.periods import Period, index_names, period_of


@pytest.mark.parametrize(
    ("index", "period"),
    [
        ("decisions-support-2026.11", Period("support", date(2026, 11, 1), date(2026, 12, 1))),
        ("decisions-support-2026.12", Period("support", date(2026, 12, 1), date(2027, 1, 1))),
        ("decisions-a-b.c-2026.11.24", Period("a-b.c", date(2026, 11, 24), date(2026, 11, 25))),
        ("decisions-support-2026.w53", Period("support", date(2026, 12, 28), date(2027, 1, 4))),
        ("decisions-support-1.02", Period("support", date(1, 2, 1), date(1, 3, 1))),
    ],
)
def test_a_name_says_whose_decisions_of_which_time(index: str, period: Period) -> None:
    """D-B6: indices of years before 1000 (`decisions-x-1.02`) were never dropped."""
    assert period_of(index) == period


@pytest.mark.parametrize("index", ["decisions", "decisions-support", "decisions-x-2026.13", "decisions-x-0.01", "logs"])
def test_what_is_not_ours_is_no_period(index: str) -> None:
    assert period_of(index) is None


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2099, 12, 31)))
def test_each_span_covers_its_day_and_the_narrowest_comes_first(day: date) -> None:
    periods = [period_of(name) for name in index_names("support", day).values()]
    assert all(period is not None and period.first <= day < period.end for period in periods)
    lengths = [period.end - period.first for period in periods if period is not None]
    assert lengths == sorted(lengths) and lengths[0] == timedelta(days=1)
