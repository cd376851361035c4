"""Whoever is to answer is reminded of a promise once, before it ends."""

from desk import MINUTE_MS, NOON_MS, REMINDING, Desk, decision


def test_a_promise_is_reminded_of_once_whoever_dies() -> None:
    desk = Desk(REMINDING)
    desk.decide(decision(1))
    desk.change("taken", now_ms=NOON_MS + MINUTE_MS)
    for minutes in (30, 44, 45, 45, 50, 59):
        desk.die()
        desk.tick(NOON_MS + minutes * MINUTE_MS)
        assert desk.told == ([] if minutes < 45 else [("respond_soon", "firing")])
    assert desk.counts["reminded"] == 1 and desk.held["c1"].step == "taken"
    desk.change("answered", text="Here it is.", revision=2, now_ms=NOON_MS + 59 * MINUTE_MS)  # nothing in between
    assert desk.told[1:] == [("respond_soon", "resolved")] and "dropped" not in desk.counts
    assert not desk.tick(NOON_MS + 10_000 * MINUTE_MS).alerts


def test_a_reminder_gives_way_to_the_step_that_follows() -> None:
    desk = Desk(REMINDING)
    desk.decide(decision(1))
    desk.tick(NOON_MS + 46 * MINUTE_MS)
    desk.tick(NOON_MS + 60 * MINUTE_MS)
    assert desk.told == [("respond_soon", "firing"), ("unanswered", "firing"), ("respond_soon", "resolved")]


def test_a_reminder_that_nobody_could_give_in_time_is_not_given() -> None:
    desk = Desk(REMINDING)
    desk.decide(decision(1))
    desk.tick(NOON_MS + 61 * MINUTE_MS)
    assert desk.told == [("unanswered", "firing")] and desk.held["c1"].step == "escalated"


def test_a_short_promise_is_reminded_of_halfway_and_each_promise_anew() -> None:
    desk = Desk(REMINDING)
    desk.decide(decision(1))
    desk.change("taken")
    desk.change("answered", text="Which one?")
    later = NOON_MS + 100 * MINUTE_MS
    desk.decide(decision(2, at_ms=later))  # answered within 20 minutes, it is promised
    desk.tick(later + 9 * MINUTE_MS)
    assert not desk.told
    desk.tick(later + 10 * MINUTE_MS)
    assert desk.told == [("respond_soon", "firing")]
