"""When a group has more stories than usual: looked at with each new story, over the last 5 minutes and the last hour.

A story counts once in a group, whatever its copies. A rule's false alarms are shared among all looks: each story of
each group in each window has the same small chance to fire, so that together they stay below what the rule states. A
window that is not closed yet says so (`provisional`), and is looked at again when it is.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from models.figures import number_of
from streams.monitor.rules.causes import Finding, Level
from streams.monitor.rules.stories.baseline import Baseline, Offsets, Totals
from streams.monitor.rules.stories.counts import Group, Story, StoryCounts
from streams.rule_specs import StoriesRule

WINDOWS_MINUTES: Final = (5, 60)
_LATE_MINUTES: Final = 5  # for which a story may come after its window, which is closed then
_LEARNT_MINUTES: Final = 60  # after its end: what a surge that is still to fire has in it, teaches nothing
_KEPT_MINUTES: Final = _LEARNT_MINUTES + WINDOWS_MINUTES[-1] + 3 * _LATE_MINUTES
_AHEAD_MINUTES: Final = 60  # of the stream's time, which is behind the last story where they come seldom
_LEAST_STORIES: Final = 100  # behind a baseline; of fewer nothing is said
_LEAST_MINUTES: Final = 24 * 60  # nor before each hour of a day has been seen once
_CALM_CHANCE: Final = 0.01  # hysteresis: usual counts are above that
_ADOPTED_MINUTES: Final = 24 * 60  # after which what fires is what is usual
_SURGE_WEIGHT: Final = 0.2  # of a surge's stories in what is usual
_SAME_CAUSE: Final = 0.5  # share of a group's stories that belong to a surge that fires already
_SURGE_STORIES: Final = 500  # of a surge, by which common causes are known
_GROUPS: Final = 1_000  # of each kind, of which stories are counted; the one not heard of for longest goes

Looked = dict[tuple[str, int], Offsets]  # kind and window that ends now; holds until more is counted


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
        if len(self.stories) > _SURGE_STORIES:
            self.stories.popitem(last=False)


class StorySurges:
    """Of one rule. Not thread-safe; bounded."""

    def __init__(self, rule: StoriesRule, stratum_head: str = "") -> None:
        """stratum_head: by whose labels stories are strata; groups that are those labels have none."""
        self.rule, self._stratum_head = rule, stratum_head
        self.baselines = {by: Baseline(len(WINDOWS_MINUTES)) for by in rule.by}
        self.counts = StoryCounts(WINDOWS_MINUTES)
        self.learnt = [0] * len(WINDOWS_MINUTES)  # the minute up to which windows taught how far counts stray
        self.surges: dict[Group, Surge] = {}
        self.began: int | None = None
        self.insufficient = 0  # looks at groups of which too little was known
        self.left_out = 0  # events whose time is too far behind the stream's to count

    def observe(self, story: Story, now_minute: int) -> Iterator[tuple[Group, Finding]]:
        """Take an event in. Gives what is to be judged now: groups that fire, and those that are over. now_minute: the
        stream's, since 1970. What fires is looked at again with the first event of each minute: many groups may."""
        if self._pass_time(now_minute):
            yield from self._over()
        if story.minute <= self.counts.now - _KEPT_MINUTES:
            self.left_out += 1
            return
        minute = min(story.minute, self.counts.now + _AHEAD_MINUTES)
        self.counts.add(story, minute)
        if story.groups:
            looked: Looked = {}
            for group in sorted(story.groups, key=lambda one: self.baselines[one[0]].share(one[1])):
                if (
                    self.counts.add_to(group, story, minute)
                    and (finding := self._look(group, story, looked)) is not None
                ):
                    yield group, finding
            self._forget_oldest()

    def look(self, group: Group, looked: Looked | None = None) -> tuple[Level, float, float]:
        """How it stands with a group now, the smaller of the windows' chances, and how many stories are usual in the
        last hour. looked: of other groups, where nothing was counted since."""
        if not self._is_sufficient(group):
            return Level.INSUFFICIENT, 1.0, 0.0
        looked = {} if looked is None else looked
        chances = [self._chance(group, window, looked) for window in range(len(WINDOWS_MINUTES))]
        least = min(chance for chance, _, _ in chances)
        return (Level.CALM if least > _CALM_CHANCE else Level.BETWEEN), least, chances[-1][2]

    def _look(self, group: Group, story: Story, looked: Looked) -> Finding | None:
        joined = self._surge_of(group)
        if joined is not None:
            joined[1].add(story.number)
            if joined[0] != group:
                return None
        elif not self._is_sufficient(group):
            self.insufficient += 1
            return None
        limit = 1.0 / (self.rule.false_alarm_every * len(story.groups) * len(WINDOWS_MINUTES))
        for window, minutes in enumerate(WINDOWS_MINUTES):
            if self.counts.of(group, self.counts.now - minutes) < self.rule.least:
                continue
            chance, count, usual = self._chance(group, window, looked)
            if chance < limit and round(count - usual) >= self.rule.least:
                if joined is None and not self._begins(group, window, count):
                    return None
                return self._finding(group, window, count, usual)
        return None

    def _is_sufficient(self, group: Group) -> bool:
        now, baseline = self.counts.now, self.baselines[group[0]]
        is_old = self.began is not None and now - self.began >= _LEAST_MINUTES
        return is_old and baseline.stories >= _LEAST_STORIES and baseline.knows(group[1], now // 60)

    def _begins(self, group: Group, window: int, count: int) -> bool:
        """Whether it is a cause of its own; else it joins the one that it belongs to: most of its stories are that
        one's. A symbol's always are those of its topic: of groups of another kind they must be most of what that one
        has had so far, too."""
        recent = self.counts.recent(group, count)
        for first, surge in self.surges.items():
            shared = sum(number in surge.stories for number in recent)
            if shared > _SAME_CAUSE * max(len(recent), 0 if first[0] == group[0] else len(surge.stories)):
                surge.members.add(group)
                for number in recent:
                    surge.add(number)
                return False
        closes = max(self.counts.now, self.counts.newest(group)) + _LATE_MINUTES
        self.surges[group] = Surge(self.counts.now, window, closes, {group}, OrderedDict.fromkeys(recent))
        return True

    def _finding(self, group: Group, window: int, count: int, usual: float) -> Finding:
        minutes = WINDOWS_MINUTES[window]
        values: dict[str, Any] = {
            "by": group[0],
            "minutes": minutes,
            "stories": count,
            "usual": round(usual, 2),
            "of": sum(sum(of.values()) for of in self.counts.totals(window).values()),
            "provisional": True,
        }
        words = (
            f"{number_of(count, 'story', 'stories')}{self._what()} of {group[1]} in "
            f"{number_of(minutes, 'minute')}; usual is {usual:.1f}"
        )
        return Finding(Level.OVER, words, values, self.counts.heard[group].ids)

    def _over(self) -> Iterator[tuple[Group, Finding]]:
        """Surges that ended, or did not stand when their window was closed."""
        looked: Looked = {}
        for group, surge in list(self.surges.items()):
            reason = ""
            if surge.closes is not None and self.counts.now > surge.closes:
                chance, count = self._chance_until(group, surge.window, surge.closes - _LATE_MINUTES)
                surge.closes = None
                if chance > _CALM_CHANCE:
                    reason = f"only {number_of(count, 'story', 'stories')}, as the window is closed now"
            if self.counts.now - surge.began > _ADOPTED_MINUTES:
                reason = "it is what is usual by now"
            for one in [one for one in surge.members if self.look(one, looked)[0] is Level.CALM]:
                self._leave(one, surge)
                looked.clear()
            if reason or not surge.members:
                del self.surges[group]
                said = f"stories{self._what()} of {group[1]} are as many as usual again"
                yield group, Finding(Level.CALM, f"{said}: {reason}" if reason else said, {"by": group[0]})

    def _leave(self, group: Group, surge: Surge) -> None:
        if group in self.counts.heard:
            self._age(group, None)
            self.counts.heard[group].surge_until = self.counts.now
        surge.members.discard(group)

    def _what(self) -> str:
        return "".join(f" with {head} {label}" for head, label in sorted(self.rule.only.items()))

    def _surge_of(self, group: Group) -> tuple[Group, Surge] | None:
        return next(((name, surge) for name, surge in self.surges.items() if group in surge.members), None)

    def _in_surges(self) -> set[Group]:
        return {group for surge in self.surges.values() for group in surge.members}

    def _chance(self, group: Group, window: int, looked: Looked) -> tuple[float, int, float]:
        """Of a window that ends now: chance, stories, and how many are usual."""
        by, name = group
        count = self.counts.of(group, self.counts.now - WINDOWS_MINUTES[window])
        if (by, window) not in looked:
            looked[by, window] = self._offsets(by, self.counts.totals(window))
        chance, usual = self.baselines[by].chance(name, window, count, looked[by, window])
        return chance, count, usual

    def _chance_until(self, group: Group, window: int, end: int) -> tuple[float, int]:
        """The same of one whose last minute is `end`: chance and stories."""
        (by, name), begin = group, end - WINDOWS_MINUTES[window]
        count, offsets = self.counts.of(group, begin, end), self._offsets(by, self.counts.of_all(begin, end))
        return self.baselines[by].chance(name, window, count, offsets)[0], count

    def _offsets(self, by: str, totals: Mapping[int, Totals]) -> Offsets:
        return self.baselines[by].offsets({hour: self._strata(by, of) for hour, of in totals.items()})

    def _strata(self, by: str, totals: Totals) -> Totals:
        return {"": sum(totals.values())} if by == self._stratum_head else totals

    def _pass_time(self, now_minute: int) -> bool:
        """Whether it is another minute."""
        if now_minute <= self.counts.now:
            return False
        self.began = now_minute if self.began is None else self.began
        is_due = now_minute // WINDOWS_MINUTES[0] > self.counts.now // WINDOWS_MINUTES[0]
        self.counts.pass_time(now_minute)
        if is_due:
            self._keep_house(now_minute)
        return True

    def _keep_house(self, now_minute: int) -> None:
        until = now_minute - _KEPT_MINUTES
        self._learn(now_minute)
        for minute, strata in self.counts.take_all(until):
            for by, baseline in self.baselines.items():
                baseline.add(minute // 60, self._strata(by, strata))
        for group in list(self.counts.heard):
            self._age(group, until)
        self.counts.forget_silent()
        firing = self._in_surges()
        for by, baseline in self.baselines.items():
            baseline.trim({name for kind, name in firing if kind == by})
            baseline.decay(now_minute // 60)

    def _age(self, group: Group, until: int | None) -> None:
        """What is too old for the windows becomes part of what is usual. A surge does so with less weight, and teaches
        nothing about how far counts stray: the next one is to be seen, and what comes every day to become usual."""
        by, name = group
        weight = 1.0 if self._surge_of(group) is None else _SURGE_WEIGHT
        for minute, strata in self.counts.take(group, until):
            self.baselines[by].add_to(name, minute // 60, self._strata(by, strata), weight)

    def _learn(self, now_minute: int) -> None:
        """Windows that are over for long teach how far counts stray. Silent times teach nothing."""
        firing = self._in_surges()
        for window, length in enumerate(WINDOWS_MINUTES):
            due = now_minute - _LEARNT_MINUTES - now_minute % length
            starts = {one - one % length for one in self.counts.minutes}
            for start in sorted(one for one in starts if self.learnt[window] <= one <= due - length):
                self._learn_window(window, start, start + length - 1, firing)
            self.learnt[window] = max(self.learnt[window], due)

    def _learn_window(self, window: int, first: int, last: int, firing: set[Group]) -> None:
        totals = self.counts.of_all(first - 1, last).get(first // 60, {})
        heard = self.counts.heard
        but = firing | {group for group, one in heard.items() if one.surge_until >= first}
        for by, baseline in self.baselines.items():
            counts = {name: self.counts.of((by, name), first - 1, last) for kind, name in heard if kind == by}
            names = {name for kind, name in but if kind == by}
            baseline.learn(window, counts, names, self._strata(by, totals), first // 60)

    def _forget_oldest(self) -> None:
        """Of too many groups, those that are in no surge. What was counted of them now is lost."""
        heard = self.counts.heard
        if len(heard) <= len(self.rule.by) * _GROUPS:
            return
        firing = self._in_surges()
        oldest = (group for group in list(heard) if group not in firing)
        for by, name in islice(oldest, len(heard) - len(self.rule.by) * _GROUPS):
            is_of_now = any(minute > self.counts.now - WINDOWS_MINUTES[-1] for minute in heard[by, name].minutes)
            self._age((by, name), None)
            self.counts.drop((by, name))
            if is_of_now:
                self.baselines[by].doubt(name, self.counts.now // 60)
            self.baselines[by].trim({member for kind, member in firing if kind == by})
