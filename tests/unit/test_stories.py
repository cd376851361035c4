"""Surges in stories: what is one, and what only looks like one. The streams are drawn at random, with fixed seeds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from connectors.ports import Record
from streams.application import parse_application
from streams.monitor.rules.book import RuleBook
from streams.monitor.rules.stories.counts import Story
from streams.monitor.rules.stories.surges import StorySurges
from streams.rule_specs import StoriesRule
from streams.wire.records import Alert, format_time
from streams.wire.signals import MonitorSignal

APP = """
name = "finance"
topic = "news"
[source]
symbols = "/symbols"
[[heads]]
name = "topic"
column = "topic"
[[heads]]
name = "sentiment"
column = "sentiment"
[[rules]]
kind = "stories"
by = ["topic", "symbols"]
"""
SYMBOLS = 40
DAY = 24 * 60
BASE = DAY + 120
START = 1_798_761_600  # a Friday, 00:00 UTC
WORDS = [f"{first}{second}" for first in "bcdfghklmnprst" for second in ("ado", "eko", "imu", "ora", "uli", "ypa")]


class Desk:
    """Feeds news to an application's rules, minute by minute. Each text is a story of its own, unless it is given."""

    def __init__(self, toml: str = APP, seed: int = 0) -> None:
        self.app = parse_application(toml, Path(), "finance.toml")
        self.book, self.alerts = RuleBook(self.app), list[Alert]()
        self.random, self.records = np.random.default_rng(seed), list[Record]()
        shares = 1.0 / np.arange(1, SYMBOLS + 1)
        self.shares = shares / shares.sum()

    def item(self, minute: float, symbol: str, topic: str = "markets", text: str | None = None, **fields: Any) -> None:
        words = text or " ".join(self.random.choice(WORDS, 9))
        at = fields.pop("at", format_time(round((START + 60 * minute) * 1_000)))
        labels = {"topic": (topic, 0.9), "sentiment": (fields.pop("sentiment", "neutral"), 0.9)}
        number = len(self.records)
        signal = MonitorSignal(
            id=f"news@0-0-{number}", at=at, version="1", labels=labels, text=words, symbols=(symbol,), **fields
        )
        value = orjson.dumps([signal.model_dump(mode="json", exclude={"embedding"})])
        self.records.append(Record("signals", 0, number, None, value, 0))
        self.alerts += self.book.observe(signal, round((START + 60 * minute) * 1_000), number)

    def run(self, begin: float, end: float, per_hour: Callable[[float], float] = lambda minute: 40.0) -> None:
        """Usual news from one minute to another."""
        for minute in range(int(begin), int(end)):
            for _ in range(int(self.random.poisson(per_hour(minute) / 60.0))):
                symbol = f"S{self.random.choice(SYMBOLS, p=self.shares)}"
                self.item(minute, symbol, f"t{self.random.choice(3)}")

    def surge(self, minute: float, stories: int, length: float, symbol: str = "S30", **fields: Any) -> None:
        for number in range(stories):
            self.item(minute + length * number / stories, symbol, "t1", **fields)

    def restart(self, toml: str = APP) -> None:
        self.app = parse_application(toml, Path(), "finance.toml")
        state = orjson.loads(orjson.dumps(self.book.state()))
        self.book = RuleBook(self.app)
        self.book.restore(state, lambda first, end: self.records[first:end])

    def told(self) -> list[tuple[str, str]]:
        return [(alert.values["group"], alert.state) for alert in self.alerts]


@pytest.fixture(scope="module")
def usual() -> bytes:
    """State after more than a usual day, on which none of the tests' surges falls."""
    desk = Desk()
    desk.run(0, BASE)
    assert desk.alerts == []
    return orjson.dumps([desk.book.state(), [record.value.decode() for record in desk.records if record.value]])


@pytest.fixture
def desk(usual: bytes) -> Desk:
    desk = Desk(seed=1)
    state, values = orjson.loads(usual)
    desk.records = [Record("signals", 0, n, None, value.encode(), 0) for n, value in enumerate(values)]
    desk.book.restore(state, lambda first, end: desk.records[first:end])
    return desk


@pytest.mark.parametrize("length", [4.0, 50.0], ids=["in five minutes", "in an hour"])
def test_eight_stories_more_than_usual_are_one_alert_within_their_window(desk: Desk, length: float) -> None:
    desk.run(BASE, BASE + 60)
    begin = BASE + 60
    for number in range(8):
        desk.item(begin + length * number / 8, "S30", "t1")
        desk.run(begin + length * number / 8, begin + length * (number + 1) / 8)
    assert desk.told() == [("symbols S30", "firing")]
    (alert,) = desk.alerts
    assert alert.rule == "stories:topic/symbols" and alert.values["provisional"] and len(alert.evidence) >= 5
    assert "stories of S30 in" in alert.summary and "usual is 0." in alert.summary
    desk.run(begin + 50, begin + 240)
    assert desk.told() == [("symbols S30", "firing"), ("symbols S30", "resolved")]


def test_another_symbol_of_a_topic_that_surges_already_is_a_cause_of_its_own(desk: Desk) -> None:
    desk.surge(BASE, 12, 4)
    desk.surge(BASE + 20, 12, 4, "S31")
    assert desk.told() == [("symbols S30", "firing"), ("symbols S31", "firing")]


def test_copies_of_one_story_are_one(desk: Desk) -> None:
    story = "Fed official says weak data caused by weather, should not slow taper of bond purchases"
    for number in range(30):
        desk.item(BASE + number * 0.1, "S30", "t1", f"UPDATE {number}-{story}" if number % 2 else story)
    assert desk.told() == []


def test_a_doubling_of_everything_is_no_surge(desk: Desk) -> None:
    desk.run(BASE, BASE + 180, lambda minute: 160.0 if minute > BASE + 60 else 40.0)
    assert desk.told() == []


def test_a_missing_hour_is_no_surge(desk: Desk) -> None:
    desk.run(BASE + 70, BASE + 180)
    assert desk.told() == []


@pytest.mark.parametrize("at", ["2029-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "?"])
def test_one_record_of_a_wrong_date_hides_no_surge_and_makes_none(desk: Desk, at: str) -> None:
    desk.run(BASE, BASE + 30)
    desk.item(BASE + 30, "S30", at=at)
    desk.run(BASE + 30, BASE + 60)
    assert desk.told() == []
    desk.surge(BASE + 60, 9, 3)
    assert desk.told() == [("symbols S30", "firing")]


def test_a_surge_of_a_slow_stream_is_seen() -> None:
    desk = Desk()
    for minute in range(0, BASE, 10):
        desk.item(minute, f"S{minute // 10 % 10}")
    for number in range(10):
        desk.item(BASE + 6 * number, "S30", "t1")
    assert ("symbols S30", "firing") in desk.told()


def test_before_a_day_has_passed_nothing_is_said() -> None:
    desk = Desk(seed=3)
    desk.run(0, 300)
    desk.surge(300, 20, 4)
    assert desk.told() == [] and desk.book.insufficient > 0


def test_only_stories_with_the_named_labels_count() -> None:
    desk = Desk(APP + 'only = { sentiment = "negative" }', seed=4)
    desk.run(0, DAY + 60, lambda minute: 15.0)
    desk.surge(DAY + 70, 12, 4)
    assert desk.told() == []
    desk.surge(DAY + 80, 12, 4, sentiment="negative")
    (alert,) = desk.alerts
    assert "stories with sentiment negative of" in alert.summary


def test_a_restart_in_the_middle_of_a_surge_is_invisible(desk: Desk, usual: bytes) -> None:
    plain = Desk(seed=1)
    state, values = orjson.loads(usual)
    plain.records = [Record("signals", 0, n, None, value.encode(), 0) for n, value in enumerate(values)]
    plain.book.restore(state, lambda first, end: plain.records[first:end])
    for one in (desk, plain):
        one.run(BASE, BASE + 30)
        for number in range(12):
            one.item(BASE + 30 + number * 0.3, "S30", "t1")
            if one is desk and number % 4 == 1:
                one.restart()
        one.run(BASE + 34, BASE + 180)
    assert [alert.model_dump() for alert in desk.alerts] == [alert.model_dump() for alert in plain.alerts]
    assert desk.told() == [("symbols S30", "firing"), ("symbols S30", "resolved")]
    assert orjson.dumps(desk.book.state()) == orjson.dumps(plain.book.state())


def test_an_edited_stories_rule_keeps_what_is_usual_and_what_fires(desk: Desk) -> None:
    desk.surge(BASE, 12, 4)
    assert desk.told() == [("symbols S30", "firing")]
    desk.restart(APP + 'runbook = "https://wiki"\nfalse_alarm_every = 10000\nseverity = "critical"')
    desk.surge(BASE + 20, 12, 4, "S31")
    assert desk.told() == [("symbols S30", "firing"), ("symbols S31", "firing")]
    desk.run(BASE + 30, BASE + 200)
    assert sorted(state for _, state in desk.told()) == ["firing", "firing", "resolved", "resolved"]


def test_a_stories_rule_that_counts_something_else_begins_anew_and_its_alerts_are_over(desk: Desk) -> None:
    desk.surge(BASE, 12, 4)
    (alert,) = desk.alerts
    named = APP.replace('kind = "stories"', 'kind = "stories"\nname = "news"')
    desk.restart(named)
    assert desk.book.alerts() == [] and desk.book.why_over(alert) == "its rule is gone from the application's file"
    desk.surge(BASE + 5, 1, 1)
    named_alert = desk.alerts[-1]
    assert named_alert.rule == "stories:news"
    desk.restart(named + 'only = { sentiment = "negative" }')
    assert desk.book.alerts() == [] and desk.book.why_over(named_alert) == "its rule counts something else now"


@pytest.mark.slow
def test_mondays_opening_is_no_surge_once_one_was_seen() -> None:
    """Quiet week-ends, days and nights, and an opening at which other symbols are spoken of than at other hours."""
    desk = Desk(seed=5)

    def opening(minute: float) -> bool:
        return (minute // DAY) % 7 == 3 and 8 * 60 <= minute % DAY < 9 * 60

    def per_hour(minute: float) -> float:
        if opening(minute):
            return 200.0
        is_day, is_weekend = 7 * 60 <= minute % DAY < 19 * 60, (minute // DAY) % 7 in (1, 2)
        return (30.0 if is_day else 6.0) * (0.3 if is_weekend else 1.0)

    for minute in range(0, 18 * DAY, 60):
        mixed = desk.shares
        if opening(minute):
            desk.shares = np.roll(mixed, 3)
        desk.run(minute, minute + 60, per_hour)
        desk.shares = mixed
    late = [alert for alert in desk.alerts if alert.at > format_time((START + 60 * 7 * DAY) * 1_000)]
    assert late == []


def test_state_stays_small_however_many_symbols_come(desk: Desk) -> None:
    for number in range(2_500):
        desk.item(BASE + number * 0.02, f"N{number}", "t1", f"{number} alone")
    (state,) = desk.book.state()["stories"]["rules"]
    assert len(state["heard"]) <= 2_000 and len(state["baselines"]["symbols"]["names"]) <= 1_000
    assert len(orjson.dumps(desk.book.state(200))) < 200_000


def test_groups_of_a_stream_whose_time_stands_still_take_no_memory_for_good() -> None:
    rule = StoriesRule(kind="stories", by=("symbols",))
    surges = StorySurges(rule)
    for number in range(3_000):
        groups = ("symbols", f"S{number}"), ("symbols", f"T{number}")
        story = Story(number, str(number), 1_000, groups)
        assert list(surges.observe(story, 1_000)) == []
    assert len(surges.counts.heard) == 1_000 and len(surges.baselines["symbols"].groups) <= 1_000
