"""How often a stated rate of false alarms is met, at the rate at which events come."""

from collections.abc import Iterable

import numpy as np
import orjson
import pytest
from monitor_in_memory import APP, LABELS, Process, World, signal

from headrace.tools.alerts import StandingAlert, chance_in_words, chances, lines
from streams.monitor.event_rate import BY_CHANCE, ByChance, EventRate, in_words

HOUR_MS = 3_600_000
START_MS = 1_795_000_000_000 // HOUR_MS * HOUR_MS


def seen(minutes: Iterable[float], rate: EventRate | None = None) -> EventRate:
    rate = rate or EventRate()
    for minute in minutes:
        rate.take(START_MS + round(minute * 60_000))
    return rate


def test_of_less_than_an_hour_nothing_is_said() -> None:
    assert EventRate().by_chance(100_000) is None
    assert seen(np.arange(0, 59, 0.1)).by_chance(100_000) is None
    assert seen(np.arange(0, 61, 0.1)).by_chance(100_000) is not None


def test_the_rate_is_that_of_the_hours_seen() -> None:
    by_chance = seen(np.arange(0, 10 * 60 + 0.01, 0.5)).by_chance(1_000)
    assert by_chance is not None and by_chance.hours_seen == 10.0 and by_chance.one_in_events == 1_000
    assert by_chance.events_per_day == pytest.approx(2_880, rel=0.01)
    assert by_chance.per_day == pytest.approx(2.88, rel=0.01)


def test_of_more_than_a_week_the_last_one_counts() -> None:
    """A stream that grew tenfold a month ago gives ten times the alarms."""
    rate = seen(np.arange(0, 30 * 1_440, 10))
    seen(30 * 1_440 + np.arange(0, 8 * 1_440, 1), rate)
    by_chance = rate.by_chance(10_000)
    assert by_chance is not None and by_chance.events_per_day == pytest.approx(1_440, rel=0.01)
    assert 167 <= by_chance.hours_seen <= 168 and len(rate.state()["hours"]) <= 168


def test_days_without_events_count_as_such() -> None:
    by_chance = seen([*np.arange(0, 60, 1), *(3 * 1_440 + np.arange(0, 60, 1))]).by_chance(1_000)
    assert by_chance is not None and by_chance.events_per_day == pytest.approx(120 / 3.04, rel=0.02)


def test_times_that_are_late_or_unknown_do_no_harm() -> None:
    rate = seen([*np.arange(0, 120, 1), 3, 90, 1])
    rate.take(0)
    by_chance = rate.by_chance(1_000)
    assert by_chance is not None and by_chance.events_per_day == pytest.approx(1_476, rel=0.03)


def test_one_record_of_years_ahead_changes_nothing() -> None:
    rate = EventRate()
    for begin in (0, 300):
        rate.take(START_MS + 3 * 365 * 24 * HOUR_MS)
        seen(begin + np.arange(0, 300, 1), rate)
    by_chance = rate.by_chance(1_000)
    assert by_chance is not None and by_chance.events_per_day == pytest.approx(1_440, rel=0.02)
    seen(20 * 1_440 + np.arange(0, 300, 1), rate)  # and after a silence of weeks the week before it counts no more
    assert rate.by_chance(1_000).events_per_day == pytest.approx(300 * 24 / 168, rel=0.05)  # type: ignore[union-attr]


def test_a_restart_is_invisible() -> None:
    rate = seen(np.arange(0, 500, 1))
    again = EventRate()
    again.restore(orjson.loads(orjson.dumps(rate.state())))
    assert seen(range(500, 700), again).by_chance(5_000) == seen(range(500, 700), rate).by_chance(5_000)


@pytest.mark.parametrize(
    ("per_day", "hours", "words"),
    [
        (48_000.0, 168.0, "one alarm in 100,000 events: one in 2.1 days, at 48,000 events a day as seen in 7 days"),
        (500_000.0, 6.0, "one alarm in 100,000 events: 5 a day, at 500,000 events a day as seen in 6 hours"),
    ],
)
def test_it_is_said_in_days(per_day: float, hours: float, words: str) -> None:
    assert in_words(ByChance(100_000, per_day, per_day / 100_000, hours).as_values()) == words


def test_a_drift_alert_says_how_often_chance_gives_one() -> None:
    """One in 100,000 events says nothing to who does not know how many come."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    for record in range(100):
        world.now_ms += 60_000
        subjects = [LABELS if record > 70 and random.random() < 0.6 else int(random.integers(LABELS)) for _ in range(3)]
        world.signals([signal(3 * record + n, "1", one, random, world.now_ms) for n, one in enumerate(subjects)])
    process.follow()
    process.tick()
    (alert,) = [alert for alert in world.alerts() if alert.rule == "drift"]
    by_chance = alert.values[BY_CHANCE]
    assert by_chance["one_in_events"] == APP.false_alarm_every
    assert by_chance["events_per_day"] == pytest.approx(3 * 1_440, rel=0.1)
    assert by_chance["per_day"] == pytest.approx(3 * 1_440 / APP.false_alarm_every, rel=0.1)
    assert process.handler.counts.by_chance is not None
    standing = StandingAlert(alert, world.now_ms)
    words = chance_in_words(alert)
    assert "one alarm in 2,000 events: 2." in words and ("by chance", words) in list(lines(standing))
    assert chances([standing]) == {"support": words}


def test_a_record_of_years_ahead_that_holds_many_signals_counts_as_of_now() -> None:
    """Each of its signals moved the clock: the hours before were forgotten, and half of the rate with them."""
    world, random = World(), np.random.default_rng(0)
    world.announce("1")
    process = Process(world)
    for record in range(121):
        world.now_ms += 60_000
        now_ms, raw = world.now_ms, [signal(20 * record + n, "1", n % LABELS, random, world.now_ms) for n in range(3)]
        world.now_ms += 3 * 365 * 24 * HOUR_MS if record == 100 else 0
        world.signals(4 * raw if record == 100 else raw)
        world.now_ms = now_ms
        process.follow()
    process.tick()
    by_chance = process.handler.counts.by_chance
    assert by_chance is not None and by_chance.hours_seen == 2.0
    assert by_chance.events_per_day == pytest.approx(3 * 1_440, rel=0.06)


def test_alerts_of_before_do_not_say_how_often() -> None:
    world = World()
    world.announce("1")
    alert = {"fingerprint": "0a", "rule": "drift", "severity": "warning", "state": "firing", "summary": "", "at": ""}
    world.append("alerts", orjson.dumps(alert | {"values": {"app": "support", BY_CHANCE: "often"}}), b"0a")
    (standing,) = (StandingAlert(one, 0) for one in world.alerts())
    assert chances([standing]) == {} and not chance_in_words(standing.alert)
