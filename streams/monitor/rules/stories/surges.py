"""When a group has more stories than usual: looked at with each new story, over the last 5 minutes and the last hour.

A story counts once in a group, whatever its copies. A rule's false alarms are shared among all looks: each story of
each group in each window has the same small chance to fire, so that together they stay below what the rule states. A
window that is not closed yet says so (`provisional`), and is looked at again when it is.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from streams.monitor.rules.causes import Finding, Level
from streams.monitor.rules.stories.baseline import Baseline
from streams.rule_specs import StoriesRule

WINDOWS_MINUTES: Final = (5, 60)
_LATE_MINUTES: Final = 5  # for which a story may come after its window, which is closed then
_KEPT_MINUTES: Final = WINDOWS_MINUTES[-1] + 3 * _LATE_MINUTES
_LEAST_STORIES: Final = 100  # behind a baseline; of fewer nothing is said
_LEAST_MINUTES: Final = 24 * 60  # nor before each hour of a day has been seen once
_CALM_CHANCE: Final = 0.01  # hysteresis: usual counts are above that
_ADOPTED_MINUTES: Final = 24 * 60  # after which what fires is what is usual
_SURGE_WEIGHT: Final = 0.2  # of a surge's stories in what is usual
_SAME_CAUSE: Final = 0.5  # share of a group's stories that belong to a surge that fires already
_STORIES_KEPT: Final = 100  # of a group, by which copies and common causes are known
_IDS: Final = 10

Group = tuple[str, str]  # what is counted by, and which


class Story(NamedTuple):
    """An event, as a rule counts it. number: of its story. minute: since 1970, event time. counts: whether it has the
    labels that the rule counts; else it is one of all only."""

    number: int
    id: str
    minute: int
    groups: tuple[Group, ...]
    counts: bool


@dataclass(slots=True)
class Heard:
    """Of a group in the last hour. minutes: stories by minute. stories: the last ones' numbers."""

    minutes: dict[int, int] = field(default_factory=dict)
    stories: OrderedDict[int, None] = field(default_factory=OrderedDict)
    ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Surge:
    """One that fires. closes: the minute after which its window is closed; None once it was looked at again. members:
    groups that it holds for."""

    began: int
    window: int
    closes: int | None
    members: set[Group]
    stories: OrderedDict[int, None]

    def add(self, number: int) -> None:
        """One more story belongs to it."""
        self.stories[number] = None
        if len(self.stories) > 5 * _STORIES_KEPT:
            self.stories.popitem(last=False)


class StorySurges:
    """Of one rule. Not thread-safe; bounded."""

    def __init__(self, rule: StoriesRule) -> None:
        self.rule = rule
        self.baselines = {by: Baseline(len(WINDOWS_MINUTES)) for by in rule.by}
        self.heard: OrderedDict[Group, Heard] = OrderedDict()
        self.minutes: dict[int, int] = {}  # stories of all groups together
        self.known: OrderedDict[int, None] = OrderedDict()  # numbers of stories that were counted among all
        self.bins: list[tuple[int, dict[Group, int], int]] = [(0, {}, 0) for _ in WINDOWS_MINUTES]
        self.surges: dict[Group, Surge] = {}
        self.now = 0
        self.began: int | None = None
        self.insufficient = 0  # looks at groups of which too little was known
        self.left_out = 0  # events whose time is too far behind the stream's to count

    def observe(self, story: Story, now_minute: int) -> Iterator[tuple[Group, Finding]]:
        """Take an event in. Gives what is to be judged now: groups that fire, and those that are over. now_minute: the
        stream's, since 1970."""
        self._pass_time(now_minute)
        yield from self._over()
        if story.minute <= self.now - _KEPT_MINUTES:
            self.left_out += 1
            return
        minute = min(story.minute, self.now)  # of a slow stream each event is ahead of the stream's time
        self._count_among_all(story.number, minute)
        if story.counts:
            hour = minute // 60
            for group in sorted(story.groups, key=lambda one: self.baselines[one[0]].share(one[1], hour)):
                if self._count(group, story, minute) and (finding := self._look(group, story)) is not None:
                    yield group, finding

    def look(self, group: Group) -> tuple[Level, float, float]:
        """How it stands with a group now, the smaller of the windows' chances, and how many stories are usual in the
        last hour."""
        if not self._is_sufficient(group):
            return Level.INSUFFICIENT, 1.0, 0.0
        chances = [self._chance(group, window, self.now) for window in range(len(WINDOWS_MINUTES))]
        least = min(chance for chance, _, _ in chances)
        return (Level.CALM if least > _CALM_CHANCE else Level.BETWEEN), least, chances[-1][2]

    def _look(self, group: Group, story: Story) -> Finding | None:
        joined = self._surge_of(group)
        if joined is not None:
            joined[1].add(story.number)
            if joined[0] != group:
                return None
        elif not self._is_sufficient(group):
            self.insufficient += 1
            return None
        limit = 1.0 / (self.rule.false_alarm_every * len(story.groups) * len(WINDOWS_MINUTES))
        for window in range(len(WINDOWS_MINUTES)):
            if self._stories(group, window, self.now) < self.rule.least:
                continue
            chance, count, usual = self._chance(group, window, self.now)
            if chance < limit and round(count - usual) >= self.rule.least:
                if joined is None and not self._begins(group, window, count):
                    return None
                return self._finding(group, window, count, usual)
        return None

    def _is_sufficient(self, group: Group) -> bool:
        is_old = self.began is not None and self.now - self.began >= _LEAST_MINUTES
        return is_old and self.baselines[group[0]].stories >= _LEAST_STORIES

    def _begins(self, group: Group, window: int, count: int) -> bool:
        """Whether it is a cause of its own; else it joins the one that it belongs to: most of its stories are that
        one's, and are most of what that one has had so far."""
        recent = list(self.heard[group].stories)[-count:]
        for surge in self.surges.values():
            shared = sum(number in surge.stories for number in recent)
            if shared > _SAME_CAUSE * max(len(recent), len(surge.stories)):
                surge.members.add(group)
                for number in recent:
                    surge.add(number)
                return False
        closes = self.now + _LATE_MINUTES
        self.surges[group] = Surge(self.now, window, closes, {group}, OrderedDict.fromkeys(recent))
        return True

    def _finding(self, group: Group, window: int, count: int, usual: float) -> Finding:
        return Finding(
            Level.OVER,
            f"{count} stories{self._what()} of {group[1]} in {WINDOWS_MINUTES[window]} minutes; usual is {usual:.1f}",
            {**self._values(group, window, count, usual), "provisional": True},
            self.heard[group].ids,
        )

    def _over(self) -> Iterator[tuple[Group, Finding]]:
        """Surges that ended, or did not stand when their window was closed."""
        for group, surge in list(self.surges.items()):
            reason = ""
            if surge.closes is not None and self.now > surge.closes:
                chance, count, _ = self._chance(group, surge.window, surge.closes - _LATE_MINUTES)
                surge.closes = None
                if chance > _CALM_CHANCE:
                    reason = f"only {count} stories, as the window is closed now"
            for one in [one for one in surge.members if self.look(one)[0] is Level.CALM]:
                if one in self.heard:
                    self._prune(one, self.heard[one], everything=True)
                surge.members.discard(one)
            if self.now - surge.began > _ADOPTED_MINUTES:
                reason = "it is what is usual by now"
            if reason or not surge.members:
                del self.surges[group]
                said = f"stories{self._what()} of {group[1]} are as many as usual again"
                yield group, Finding(Level.CALM, f"{said}: {reason}" if reason else said, {"by": group[0]})

    def _values(self, group: Group, window: int, count: int, usual: float) -> dict[str, Any]:
        return {
            "by": group[0],
            "minutes": WINDOWS_MINUTES[window],
            "stories": count,
            "usual": round(usual, 2),
            "of": self._total(window, self.now),
        }

    def _what(self) -> str:
        return "".join(f" with {head} {label}" for head, label in sorted(self.rule.only.items()))

    def _surge_of(self, group: Group) -> tuple[Group, Surge] | None:
        return next(((name, surge) for name, surge in self.surges.items() if group in surge.members), None)

    def _chance(self, group: Group, window: int, end: int) -> tuple[float, int, float]:
        """Of the window that ends with this minute: chance, stories, and how many are usual."""
        count = self._stories(group, window, end)
        chance, usual = self.baselines[group[0]].chance(group[1], window, count, self._total(window, end), end // 60)
        return chance, count, usual

    def _stories(self, group: Group, window: int, end: int) -> int:
        heard = self.heard.get(group)
        return _within(heard.minutes, end - WINDOWS_MINUTES[window], end) if heard is not None else 0

    def _total(self, window: int, end: int) -> int:
        return _within(self.minutes, end - WINDOWS_MINUTES[window], end)

    def _count_among_all(self, number: int, minute: int) -> None:
        if number in self.known:
            return
        self.known[number] = None
        if len(self.known) > 20 * _STORIES_KEPT:
            self.known.popitem(last=False)
        self.minutes[minute] = self.minutes.get(minute, 0) + 1
        self.bins = [(start, counts, total + 1) for start, counts, total in self.bins]

    def _count(self, group: Group, story: Story, minute: int) -> bool:
        """Whether it is a new story of the group."""
        heard = self.heard.get(group)
        if heard is None:
            heard = self.heard[group] = Heard()
            if len(self.heard) > len(self.rule.by) * 1_000:
                self._forget(next(iter(self.heard)))
        self.heard.move_to_end(group)
        if story.number in heard.stories:
            return False
        self._prune(group, heard)
        heard.stories[story.number] = None
        if len(heard.stories) > _STORIES_KEPT:
            heard.stories.popitem(last=False)
        heard.ids = [*heard.ids[-_IDS + 1 :], story.id]
        heard.minutes[minute] = heard.minutes.get(minute, 0) + 1
        if self._surge_of(group) is None:
            for _, counts, _ in self.bins:
                counts[group] = counts.get(group, 0) + 1
        return True

    def _forget(self, group: Group) -> None:
        self._prune(group, self.heard.pop(group), everything=True)
        for _, counts, _ in self.bins:  # where time stands still, no bin is closed
            counts.pop(group, None)

    def _prune(self, group: Group, heard: Heard, *, everything: bool = False) -> None:
        """What is too old for the windows becomes part of what is usual. A surge does so with less weight, and teaches
        nothing about how far counts stray: the next one is to be seen, and what comes every day to become usual."""
        weight = 1.0 if self._surge_of(group) is None else _SURGE_WEIGHT
        for minute in [one for one in heard.minutes if everything or one <= self.now - _KEPT_MINUTES]:
            self.baselines[group[0]].add_to(group[1], minute // 60, weight * heard.minutes.pop(minute))

    def _pass_time(self, now_minute: int) -> None:
        if now_minute <= self.now:
            return
        self.now = now_minute
        self.began = now_minute if self.began is None else self.began
        for minute in [one for one in self.minutes if one <= now_minute - _KEPT_MINUTES]:
            stories = self.minutes.pop(minute)
            for baseline in self.baselines.values():
                baseline.add(minute // 60, stories)
        for window, length in enumerate(WINDOWS_MINUTES):
            start, counts, total = self.bins[window]
            if now_minute >= start + length:
                if start:
                    self._close(window, counts, total, start // 60)
                self.bins[window] = (now_minute - now_minute % length, {}, 0)
        for baseline in self.baselines.values():
            baseline.decay(now_minute // 60)

    def _close(self, window: int, counts: Mapping[Group, int], total: int, hour: int) -> None:
        for by, baseline in self.baselines.items():
            calm = {
                name: n for (kind, name), n in counts.items() if kind == by and self._surge_of((kind, name)) is None
            }
            baseline.close(window, calm, total, hour)


def _within(minutes: Mapping[int, int], after: int, end: int) -> int:
    return sum(n for minute, n in minutes.items() if after < minute <= end)
