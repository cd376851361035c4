"""The axis of time below a picture."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.pages.time_axis import MOST_TICKS, TimeAxis

START = datetime(2026, 11, 28, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (1, "22:00/28 Nov 22:10 22:20 22:30 22:40 22:50 23:00"),
        (12, "22:00/28 Nov 00:00/29 Nov 02:00 04:00 06:00 08:00 10:00"),
        (24 * 6, "29 Nov/2026 30 Nov 1 Dec 2 Dec 3 Dec 4 Dec"),
        (24 * 60, "12 Dec/2026 26 Dec 9 Jan/2027 23 Jan"),
    ],
)
def test_ticks_are_round_moments_that_say_what_is_new(hours: int, words: str) -> None:
    ticks = TimeAxis(START, START + timedelta(hours=hours)).ticks
    assert " ".join(tick.words + (f"/{tick.below}" if tick.below else "") for tick in ticks) == words


@given(st.integers(0, 10**6), st.integers(5, 5 * 10**6))
def test_ticks_are_few_inside_the_axis_and_equally_far_apart(offset: int, minutes: int) -> None:
    start = START + timedelta(minutes=offset)
    axis = TimeAxis(start, start + timedelta(minutes=minutes))
    lefts = [tick.left for tick in axis.ticks]
    assert 1 <= len(lefts) <= MOST_TICKS and all(0 <= left <= 100 for left in lefts)
    gaps = [after - before for before, after in pairwise(lefts)]
    assert not gaps or (max(gaps) - min(gaps) < 0.01 and min(gaps) > 100 / (MOST_TICKS * 3.1))
