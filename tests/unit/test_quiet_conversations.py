"""What people have and nobody speaks in any more goes back to Headrace, so that it is not remembered for ever."""

from pathlib import Path

from desk import FILE, MINUTE_MS, NOON_MS, Desk, ask, decision

from streams.application import parse_application
from streams.dispatcher.open_conversations import LAPSES_AT_ONCE

DAY_MS = 24 * 60 * MINUTE_MS
APP = parse_application(FILE + "quiet_days = 2\n", Path(), "desk.toml")
NO_PROMISES = parse_application(
    FILE[: FILE.index("[service_levels")] + FILE[FILE.index("[answers]") :] + "quiet_days = 2\n", Path(), "desk.toml"
)


def test_a_conversation_that_nobody_speaks_in_is_headraces_again_and_then_forgotten() -> None:
    desk = Desk(NO_PROMISES)
    desk.decide(decision(1))
    desk.commit()
    desk.die()
    desk.tick(NOON_MS + 2 * DAY_MS - 1)
    assert desk.held["c1"].owner == "people"
    desk.commit()
    desk.die()
    desk.tick(NOON_MS + 2 * DAY_MS)
    assert (desk.held["c1"].owner, desk.held["c1"].step) == ("headrace", "handed_back")
    assert desk.counts["lapsed"] == 1 and desk.dispatcher.with_people == 0
    desk.decide(ask(2, at_ms=NOON_MS + 3 * DAY_MS))
    assert desk.said()[-1] == ("chats@e0-0-2", "question")  # Headrace answers again
    desk.decide(*(ask(number, key=f"k{number}", version=1) for number in range(3, 104)))
    assert not desk.held


def test_what_left_the_window_long_ago_is_forgotten_at_once() -> None:
    desk = Desk(NO_PROMISES)
    desk.decide(decision(1), *(ask(number, key=f"k{number}", version=1) for number in range(2, 104)))
    desk.tick(NOON_MS + 2 * DAY_MS)
    assert not desk.held and not desk.tick(NOON_MS + 9 * DAY_MS).held


def test_each_word_of_the_customer_or_of_a_person_begins_the_quiet_anew() -> None:
    desk = Desk(NO_PROMISES)
    desk.decide(decision(1))
    desk.decide(decision(2, at_ms=NOON_MS + DAY_MS))
    desk.tick(NOON_MS + 2 * DAY_MS)
    assert desk.held["c1"].owner == "people"
    desk.change("taken", now_ms=NOON_MS + 2 * DAY_MS)
    desk.change("answered", text="Sorry.", now_ms=NOON_MS + 2 * DAY_MS + MINUTE_MS)
    desk.commit()
    desk.die()
    desk.tick(NOON_MS + 4 * DAY_MS)
    assert desk.held["c1"].owner == "people"
    desk.tick(NOON_MS + 4 * DAY_MS + MINUTE_MS)
    assert desk.held["c1"].owner == "headrace"


def test_a_time_that_a_customer_gives_does_not_keep_it() -> None:
    desk = Desk(NO_PROMISES)
    desk.decide(decision(1) | {"at": "2099-01-01T00:00:00.000Z"})
    desk.tick(NOON_MS + 2 * DAY_MS)
    assert desk.held["c1"].owner == "headrace"


def test_the_chain_goes_before_and_what_was_alerted_is_over() -> None:
    desk = Desk(APP)
    desk.decide(decision(1))
    for minutes in (61, 91, 121, 151):
        desk.tick(NOON_MS + minutes * MINUTE_MS)
    assert desk.told == [("unanswered", "firing")] * 3 and desk.held["c1"].queue == "duty"
    desk.tick(NOON_MS + 2 * DAY_MS)
    assert desk.told[3:] == [("unanswered", "resolved")] and desk.held["c1"].owner == "headrace"


def test_a_persons_change_of_what_lapsed_is_dropped() -> None:
    desk = Desk(NO_PROMISES)
    desk.decide(decision(1))
    desk.tick(NOON_MS + 2 * DAY_MS)
    desk.change("taken", revision=1)
    assert desk.counts["dropped"] == 1 and desk.held["c1"].owner == "headrace"


def test_handed_over_again_and_again_it_is_watched_once() -> None:
    desk = Desk(NO_PROMISES)
    for number in range(1, 60):
        desk.decide(decision(number))
        desk.change("taken")
        desk.change("handed_back")
    desk.decide(decision(60))
    assert len(desk.dispatcher._held._quiet) == 1


def test_after_a_standstill_they_go_a_look_after_the_other() -> None:
    desk, numbers = Desk(NO_PROMISES), range(1, 2 * LAPSES_AT_ONCE + 2)
    desk.decide(*(decision(number, key=f"c{number}", version=1) for number in numbers))
    left = []
    for _ in range(4):
        desk.tick(NOON_MS + 9 * DAY_MS)
        left.append(desk.dispatcher.with_people)
    assert left == [LAPSES_AT_ONCE + 1, 1, 0, 0] and desk.counts["lapsed"] == len(numbers)
