"""When a group has more stories than usual, and when nothing can be said of it. Each event is a story of its own."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from streams.monitor.rules.causes import Finding, Level
from streams.monitor.rules.stories import baseline
from streams.monitor.rules.stories.counts import Story
from streams.monitor.rules.stories.state import restore_surges, surges_state
from streams.monitor.rules.stories.surges import StorySurges
from streams.rule_specs import StoriesRule

RULE = StoriesRule(kind="stories", by=("topic", "symbols"))
DAY = 24 * 60
START = 29_980_800  # a Friday, 00:00 UTC, in minutes
TOPICS = ("markets", "deals", "tech")


class News:
    """Feeds a rule. lag: how many minutes the stream's time is behind an event."""

    def __init__(self, rule: StoriesRule = RULE, seed: int = 0) -> None:
        self.surges, self.random, self._number = StorySurges(rule, "topic"), np.random.default_rng(seed), 0
        self.told: list[tuple[str, Level]] = []

    def item(self, minute: float, symbol: str, topic: str, lag: float = 0.0) -> None:
        self._number += 1
        groups = (("topic", topic), ("symbols", symbol))
        story = Story(self._number, f"news@0a1b2c3d-0-{self._number}", int(START + minute), groups, topic)
        for group, finding in self.surges.observe(story, int(START + minute - lag)):
            self._tell(group[1], finding)

    def run(self, begin: int, end: int, per_hour: float = 60.0) -> None:
        """Topics come in blocks of three hours, each with ten symbols of its own, and one that is seldom heard of."""
        for minute in range(begin, end):
            topic = TOPICS[minute // 180 % 3]
            for _ in range(int(self.random.poisson(per_hour / 60.0))):
                symbol = f"{topic}-{self.random.integers(10)}"
                self.item(minute, f"{topic}-rare" if self.random.random() < 0.01 else symbol, topic)

    def restart(self, groups: int | None = None) -> int:
        state = orjson.dumps(surges_state(self.surges, groups))
        self.surges = StorySurges(self.surges.rule, "topic")
        restore_surges(self.surges, orjson.loads(state))
        return len(state)

    def _tell(self, name: str, finding: Finding) -> None:
        firing = {group for group, level in self.told if level is Level.OVER and (group, Level.CALM) not in self.told}
        if finding.level is Level.CALM or name not in firing:
            self.told.append((name, finding.level))


@pytest.fixture(scope="module")
def two_days() -> bytes:
    news = News()
    news.run(0, 2 * DAY)
    assert news.told == []
    return orjson.dumps(surges_state(news.surges))


@pytest.fixture
def news(two_days: bytes) -> Iterator[News]:
    news = News(seed=1)
    restore_surges(news.surges, orjson.loads(two_days))
    news._number = 100_000
    yield news


def test_topics_that_come_in_blocks_are_no_surges_of_their_symbols_and_hide_none(news: News) -> None:
    begin = 2 * DAY + 3 * 180 + 30  # in a block of markets
    news.run(2 * DAY, begin)
    for number in range(9):
        minute = begin + 6 * number
        news.item(minute, "markets-rare", "markets")
        news.run(minute, minute + 6)
    assert news.told == [("markets-rare", Level.OVER)]
    news.run(begin + 54, begin + 12 * 60)
    assert news.told == [("markets-rare", Level.OVER), ("markets-rare", Level.CALM)]


def test_stories_after_a_silence_count_in_their_own_minute(news: News) -> None:
    begin = 2 * DAY + 8 * 60
    for number, lag in enumerate((480, 480, 10, 10, 10, 10, 10, 10)):  # the clock believes the third of the last nine
        news.item(begin + 5 * number, "markets-rare", "markets", lag)
    assert news.told == [("markets-rare", Level.OVER)]
    news.run(begin + 40, begin + 60)
    assert news.told == [("markets-rare", Level.OVER)], "closed before its window was"


def test_symbols_that_the_same_stories_name_are_one_cause(news: News) -> None:
    begin = 2 * DAY + 30
    for number in range(12):
        story = Story(
            900_000 + number,
            f"news@0a1b2c3d-0-{number}",
            START + begin + number // 3,
            (("topic", "markets"), ("symbols", "markets-rare"), *((("symbols", "other"),) if number % 2 else ())),
            "markets",
        )
        for group, finding in news.surges.observe(story, START + begin + number // 3):
            news._tell(group[1], finding)
    assert news.told == [("markets-rare", Level.OVER)]


def test_what_fires_is_looked_at_once_a_minute_however_many_groups_it_has(
    news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a surge of 32 symbols each was looked at with every event, which cost 2 ms."""
    begin, many = 2 * DAY + 30, tuple(("symbols", f"index-{n}") for n in range(32))
    for number in range(12):
        minute = START + begin + number // 6
        story = Story(900_000 + number, f"news@0a1b2c3d-0-{number}", minute, many, "markets")
        for group, finding in news.surges.observe(story, minute):
            news._tell(group[1], finding)
    ((_, level),) = news.told
    assert level is Level.OVER and sum(len(one.members) for one in news.surges.surges.values()) == 32
    looks, chance, offsets = [0, 0], baseline.Baseline.chance, baseline.Baseline.offsets

    def counted_chance(*args: Any) -> Any:
        looks[0] += 1
        return chance(*args)

    def counted_offsets(*args: Any) -> Any:
        looks[1] += 1
        return offsets(*args)

    monkeypatch.setattr(baseline.Baseline, "chance", counted_chance)
    monkeypatch.setattr(baseline.Baseline, "offsets", counted_offsets)
    for number in range(20):
        news.item(begin + 2, f"quiet-{number}", "tech")
    of_the_events = 20 * 2  # the topic of these stories in two windows
    assert looks[0] <= 2 * 32 + of_the_events and looks[1] <= 2 + of_the_events
    news.run(begin + 3, begin + 4 * 60)
    assert [level for _, level in news.told] == [Level.OVER, Level.CALM]


def test_what_comes_at_the_same_hour_each_week_is_usual_after_the_first_time() -> None:
    known, opening = baseline.Baseline(1), 24 * 3 + 9
    for hour in range(24 * 7):
        count = 24 if hour == opening else 2
        known.add(hour, {"markets": 60.0 if hour == opening else 30.0})
        known.add_to("AAA", hour, {"markets": count}, 0.2 if hour == opening else 1.0)
    for hour, usual in ((opening, 20.0), (opening + 1, 2.0)):
        totals = {24 * 7 + hour: {"markets": 60.0 if hour == opening else 30.0}}
        assert known.chance("AAA", 0, 3, known.offsets(totals))[1] == pytest.approx(usual, rel=0.2)


def test_a_group_that_was_cut_is_insufficient_for_a_day_and_then_known(
    news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baseline, "GROUPS", 20)
    monkeypatch.setattr(baseline, "_CUT_TO", 0.5)
    begin, rare = 2 * DAY, ("symbols", "markets-rare")
    assert news.surges.look(rare)[0] is not Level.INSUFFICIENT
    news.run(begin, begin + 60)
    known = news.surges.baselines["symbols"]
    assert len(known.groups) <= 20 and "markets-rare" not in known.groups and known.cut > 0
    begin += 10 * 60
    for number in range(10):
        news.item(begin + 0.4 * number, "markets-rare", "markets")
    assert news.told == [] and news.surges.look(rare)[0] is Level.INSUFFICIENT and news.surges.insufficient > 0
    monkeypatch.setattr(baseline, "GROUPS", 1_000)
    news.run(begin + 60, begin + 60 + DAY + 300)
    assert news.surges.look(rare)[0] is not Level.INSUFFICIENT


def test_of_a_state_that_is_cut_the_group_that_fires_stays_and_others_are_insufficient(news: News) -> None:
    begin = 2 * DAY + 10
    for number in range(10):
        news.item(begin + 0.4 * number, "markets-rare", "markets")
    assert news.told == [("markets-rare", Level.OVER)]
    news.restart(groups=0)
    assert news.surges.look(("symbols", "markets-rare"))[0] is Level.BETWEEN
    assert news.surges.look(("symbols", "markets-1"))[0] is Level.INSUFFICIENT
    for number in range(20):
        news.item(begin + 5 + 0.2 * number, "markets-1", "markets")
        news.item(begin + 5 + 0.2 * number, f"new-{number // 10}", "markets")
    assert news.told == [("markets-rare", Level.OVER)]
    news.run(begin + 10, begin + 300)
    assert news.told == [("markets-rare", Level.OVER), ("markets-rare", Level.CALM)]


def test_the_state_is_bounded_however_many_symbols_are_busy() -> None:
    """1,500 symbols, each heard of at some hours of the week."""
    news = News()
    for number in range(3_000):
        minute, symbol = (number // 150) * 397, number % 1_500
        news.item(minute, f"SYMBOL-{symbol}", f"topic-{symbol % 40}")
    known = news.surges.baselines["symbols"]
    assert len(known.groups) <= baseline.GROUPS and known.cells <= baseline.CELLS
    assert news.restart(500) < 300_000 and news.restart(50) < 50_000


def test_a_state_of_before_topics_were_told_apart_goes_on() -> None:
    of_kind: dict[str, Any] = {
        "stories": 1_000.0,
        "memberships": 1_000.0,
        "hours": [6.0] * baseline.HOURS_OF_WEEK,
        "of_all": [[0.5, 1.0], [0.5, 1.0]],
        "silent": [0.0, 0.0],
        "decayed_at": START // 60,
        "groups": [
            [f"S{n}", 100.0, [[h, 0.5] for h in range(168)], [0.5] * 2, [1.0] * 2, [0.0] * 2] for n in range(10)
        ],
    }
    state = {
        "rule": RULE.model_dump(mode="json"),
        "now": START,
        "began": START - 7 * DAY,
        "insufficient": 3,
        "left_out": 0,
        "minutes": [[START, 2]],
        "known": [1, 2],
        "bins": [[START, [], 2], [START, [], 2]],
        "heard": [["symbols", "S1", [[START, 1]], [1], ["news@0a1b2c3d-0-1"]]],
        "surges": [["symbols", "S2", START - 5, 0, None, [["symbols", "S2"]], [1]]],
        "baselines": {"topic": of_kind, "symbols": of_kind},
    }
    news = News()
    restore_surges(news.surges, orjson.loads(orjson.dumps(state)))
    assert set(news.surges.surges) == {("symbols", "S2")} and news.surges.insufficient == 3
    symbols = news.surges.baselines["symbols"]
    chance, usual = symbols.chance("S1", 1, 2, symbols.offsets({START // 60: {"markets": 30}}))
    assert usual == pytest.approx(3.0, rel=0.1) and chance == 1.0
    before = surges_state(news.surges)
    news.restart()
    assert surges_state(news.surges) == before
