"""Decisions that are drawn for labelling, whatever was decided."""

import pytest

from headrace.tools.labels.random_draw import DecidedDay, days_of, drawn
from streams.application import Labelling
from streams.classify.sampling import sample_position


def numbered(count: int) -> tuple[str, ...]:
    return tuple(f"chats@0a1b2c3d-0-{number}" for number in range(count))


def test_a_share_of_all_decisions_is_drawn_and_nothing_else_decides_it() -> None:
    days = {"2026-11-01": DecidedDay(numbered(20_000), True)}
    chosen = drawn(days, Labelling())
    assert 70 <= len(chosen) <= 140  # half a per cent
    assert set(chosen.values()) == {0.005}
    assert all(sample_position("labels", identity) < 0.005 for identity in chosen)
    assert list(drawn(days, Labelling())) == list(chosen)


def test_at_least_twenty_of_a_day_that_is_over_are_drawn_and_say_how_likely_that_was() -> None:
    chosen = drawn({"2026-11-01": DecidedDay(numbered(100), True)}, Labelling())
    assert 20 <= len(chosen) <= 45
    few = drawn(
        {"2026-11-01": DecidedDay(numbered(1_000), True), "2026-11-02": DecidedDay(numbered(30), True)}, Labelling()
    )
    assert sum(probability == pytest.approx(20 / 30) for probability in few.values()) == 20
    assert len(drawn({"2026-11-01": DecidedDay(numbered(7), True)}, Labelling())) == 7


def test_what_was_drawn_in_the_morning_is_drawn_in_the_evening_while_the_day_is_not_the_busiest() -> None:
    busy = {"2026-11-01": DecidedDay(numbered(5_000), True)}
    morning = drawn(busy | {"2026-11-02": DecidedDay(tuple(f"x{n}" for n in range(500)), False)}, Labelling())
    evening = drawn(busy | {"2026-11-02": DecidedDay(tuple(f"x{n}" for n in range(4_000)), False)}, Labelling())
    assert set(morning) <= set(evening)


def test_days_go_by_when_it_was_decided_and_the_last_one_goes_on() -> None:
    days = days_of([("a", "2026-11-01T23:59:59Z"), ("b", "2026-11-02T00:00:00Z"), ("c", "2026-11-01T01:00:00Z")])
    assert days == {"2026-11-01": DecidedDay(("a", "c"), True), "2026-11-02": DecidedDay(("b",), False)}


def test_a_day_of_which_some_decisions_are_gone_is_not_filled_up() -> None:
    """At each look it would be another rest that is filled up to twenty, so more and more of it would be drawn."""
    decided = [(f"a{number}", "2026-11-01T23:00:00Z") for number in range(100)]
    decided += [(f"b{number}", "2026-11-02T10:00:00Z") for number in range(10_000)]
    decided += [("c", "2026-11-03T10:00:00Z")]
    settings = Labelling()
    whole, cut = (drawn(days_of(decided, is_whole=is_whole), settings) for is_whole in (True, False))
    assert sum(identity.startswith("a") for identity in whole) == 20
    assert sum(identity.startswith("a") for identity in cut) < 5
    assert {name for name in whole if name.startswith("b")} == {name for name in cut if name.startswith("b")}
