import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from streams.engine.delivery import Outcome


def test_a_batch_that_crosses_the_limit_is_refused_with_the_numbers_and_the_way_out() -> None:
    limit = DeadLetterLimit(0.5)
    limit.observe(0, 100)
    limit.observe(100, 100)
    with pytest.raises(
        TooManyDeadLetters, match=r"101 of the last 201 .* mostly not_json.*max_dead_letter_share = 0.5"
    ):
        limit.observe(1, 1, "not_json")


def test_few_events_say_little() -> None:
    limit = DeadLetterLimit(0.5)
    limit.observe(99, 99)
    with pytest.raises(TooManyDeadLetters):
        limit.observe(1, 1)


def test_a_share_of_one_switches_the_limit_off() -> None:
    limit = DeadLetterLimit(1.0)
    for _ in range(50):
        limit.observe(100, 100)


def test_what_is_long_past_counts_no_longer() -> None:
    limit = DeadLetterLimit(0.5)
    for _ in range(100):
        limit.observe(0, 100)
    with pytest.raises(TooManyDeadLetters):
        for batch in range(20):
            limit.observe(100, 100)
            assert batch < 6


def test_outcomes_are_counted_by_their_reason() -> None:
    limit = DeadLetterLimit(0.2)
    letters = [Outcome([], rejected_because="no_text")] * 30 + [Outcome([], rejected_because="not_json")] * 10
    with pytest.raises(TooManyDeadLetters, match=r"40 of the last 100 .* mostly no_text"):
        limit.observe_outcomes(letters + [Outcome([])] * 60)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=60), st.floats(0.05, 1.0))
def test_it_stops_exactly_when_the_share_of_its_window_is_above_the_limit(
    batches: list[tuple[int, int]], share: float
) -> None:
    limit, seen = DeadLetterLimit(share, window=200, min_events=50), []
    for rejected, decided in batches:
        seen.append((rejected, rejected + decided))
        while sum(total for _, total in seen[1:]) >= 200:
            seen.pop(0)
        all_rejected, total = sum(r for r, _ in seen), sum(t for _, t in seen)
        if rejected + decided and share < 1 and total >= 50 and all_rejected > share * total:
            with pytest.raises(TooManyDeadLetters):
                limit.observe(rejected, rejected + decided)
            return
        limit.observe(rejected, rejected + decided)


def test_records_that_are_passed_over_count_on_neither_side() -> None:
    """F-13: tombstones and deletes counted as dead letters, so a topic of changes ended its worker."""
    limit = DeadLetterLimit(0.5)
    deletes = [Outcome([], passed_over="delete")] * 500
    limit.observe_outcomes(deletes)
    limit.observe_outcomes([Outcome([], rejected_because="no_text")] * 99 + deletes)
    with pytest.raises(TooManyDeadLetters, match="100 of the last 100 "):
        limit.observe_outcomes([Outcome([], rejected_because="no_text")])
