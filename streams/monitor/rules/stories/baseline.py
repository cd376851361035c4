"""How many stories of a group are usual: its share of each topic's stories, by hour of the week, and how far counts
stray from that.

A group's count in a window is taken as negative binomial, with the numbers of all stories of each topic (stratum) as
its offset: what rises for all groups of a topic alike changes nothing, nor does another mix of topics. Its mean is
moved to what is usual at this hour of the week as far as the group's own stories of that hour carry it. Its shape
allows for two things: counts of this group stray more than chance would have them (by moments, each group's own drawn
to that of all groups, in which none weighs more than another), and the share of a group that was seldom heard of is
itself uncertain (a gamma prior around the groups' mean).

Source: overdispersed counts with offset against a seasonal baseline, Noufaily et al. (2013), "An improved algorithm for
outbreak detection in multiple surveillance systems", Statistics in Medicine 32; rates within strata, summed, are
indirect standardisation (Breslow and Day (1987), "Statistical methods in cancer research" II, chapter 2).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from scipy.special import betainc  # scipy.stats takes half a second to import

HOURS_OF_WEEK: Final = 168
GROUPS: Final = 1_000  # whose baseline is kept
CELLS: Final = 15_000  # hours of the week that are kept of all groups together
STRATA: Final = 24  # that are told apart; others are one
_CUT_TO: Final = 0.9  # at once, as to find the least valuable ones takes a look at all
_DOUBTFUL_HOURS: Final = 24  # for which a group that may be one of those cut must be followed
_HALF_LIFE_HOURS: Final = 28 * 24.0
_DECAY_HOURS: Final = 24  # between two steps of it
_PRIOR_STORIES: Final = 0.5  # of a group that was never heard of: as many as of an average one, in so few stories
_STRATUM_STORIES: Final = 100.0  # that a stratum must have had for a group's share of it to count as much as of all
_HOUR_STORIES: Final = 2.0  # of the group, expected in an hour of the week, at which its own count as much as the rest
_LEAST_STORIES: Final = 100  # behind shares by which it is judged how far counts stray
_PRIOR_SPREAD: Final = 0.5  # variance beyond chance, in squares of the mean, before anything was counted
_SPREAD_WEIGHT: Final = 5.0  # sum of squared means at which a group's own spread counts as much as all groups'
_LARGEST_SPREAD: Final = 10.0

Totals = Mapping[str, float]  # stratum to stories of all groups


@dataclass(slots=True)
class Usual:
    """Of one group. strata, hours: stories by stratum and by hour of the week; hours: None where there was no room.
    excess, squares: for each window, the sum of squared deviations beyond chance and that of squared means; their ratio
    is the spread. doubtful_until: hour since 1970 up to which it may be one that was cut before, and is not judged."""

    stories: float = 0.0
    strata: dict[str, float] = field(default_factory=dict)
    hours: dict[int, float] | None = field(default_factory=dict)
    excess: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    doubtful_until: int = 0


class Baseline:
    """Of all groups of one kind (a head's labels, symbols). Times are hours since 1970, event time."""

    def __init__(self, windows: int) -> None:
        """windows: how many window lengths are looked at; each has a spread of its own."""
        self.groups: dict[str, Usual] = {}
        self.stories = 0.0  # of all together
        self.memberships = 0.0  # a story may be of several groups
        self.strata: dict[str, float] = {}
        self.hours: dict[int, dict[str, float]] = {}  # of the week, to stories by stratum
        self.spreads = [_PRIOR_SPREAD] * windows  # of all groups
        self.cut = 0.0  # stories of the largest group that was cut
        self.cells = 0  # hours of all groups
        self.decayed_at: int | None = None

    def knows(self, group: str, hour: int) -> bool:
        """Whether what is usual of it can be said: it was not cut, or was followed for a day since."""
        known = self.groups.get(group)
        return hour >= known.doubtful_until if known is not None else not self.cut

    def doubt(self, group: str, hour: int) -> None:
        """What was counted of it last is lost."""
        self._usual(group, hour).doubtful_until = hour + _DOUBTFUL_HOURS

    def has_cut(self) -> None:
        """Groups were left out: any that comes may be one of them."""
        self.cut = max(self.cut, _PRIOR_STORIES)

    def offsets(self, totals: Mapping[int, Totals]) -> "Offsets":
        """What `chance` asks of all groups in a window, while nothing more is counted. totals: their stories, by hour
        since 1970."""
        return [_Offset(self, of_hour, hour) for hour, of_hour in totals.items()]

    def chance(self, group: str, window: int, count: int, offsets: "Offsets") -> tuple[float, float]:
        """The probability of so many stories or more, in [0, 1], and how many are usual. window: its number.
        offsets: of the same time."""
        known = self.groups.get(group)
        mean = max(sum(self._mean(known, offset) for offset in offsets), 1e-9)
        if count <= mean:
            return 1.0, mean
        shape = 1.0 / (self._spread(known, window) + 1.0 / (self._heard(known) + _PRIOR_STORIES))
        return float(betainc(count, shape, mean / (mean + shape))), mean

    def share(self, group: str) -> float:
        """Of all stories; above 0, at most 1."""
        return self._share(self.groups.get(group), self._prior())

    def add(self, hour: int, stories: Totals) -> None:
        """Stories of all groups together, of a time that is over."""
        of_hour = self.hours.setdefault(hour % HOURS_OF_WEEK, {})
        for stratum, number in stories.items():
            name = stratum if stratum in self.strata or len(self.strata) < STRATA else ""
            self.stories += number
            self.strata[name] = self.strata.get(name, 0.0) + number
            of_hour[name] = of_hour.get(name, 0.0) + number

    def add_to(self, group: str, hour: int, stories: Totals, weight: float = 1.0) -> None:
        """The same of one group; comes after `add` has. weight: of each story. Among those of its hour of the week each
        counts in full: what comes at the same hour each week is usual after the first time."""
        usual = self._usual(group, hour)
        for stratum, number in stories.items():
            name = stratum if stratum in self.strata else ""
            usual.strata[name] = _single(usual.strata.get(name, 0.0) + weight * number)
        number = weight * sum(stories.values())
        usual.stories += number
        self.memberships += number
        if usual.hours is not None:
            of_week = hour % HOURS_OF_WEEK
            self.cells += of_week not in usual.hours
            usual.hours[of_week] = _single(usual.hours.get(of_week, 0.0) + sum(stories.values()))

    def learn(self, window: int, counts: Mapping[str, int], but: Collection[str], totals: Totals, hour: int) -> None:
        """How far counts strayed in a window that is long over. but: groups that were in a surge then."""
        if self.stories < _LEAST_STORIES:
            return
        offset, excesses, squares = _Offset(self, totals, hour), _PRIOR_SPREAD, 1.0
        for group, usual in self.groups.items():
            if group not in but:
                count, mean = counts.get(group, 0), self._mean(usual, offset)
                usual.excess[window] += (count - mean) ** 2 - count
                usual.squares[window] += mean**2
            weight = min(1.0, _SPREAD_WEIGHT / max(usual.squares[window], 1e-9))
            excesses += weight * usual.excess[window]
            squares += weight * usual.squares[window]
        self.spreads[window] = min(max(excesses / squares, 0.0), _LARGEST_SPREAD)

    def trim(self, kept: Collection[str]) -> None:
        """Cut the groups, and the hours of groups, of which there are too many: those with the fewest stories. kept:
        groups that are not cut."""
        if len(self.groups) > GROUPS:
            poorest = sorted((one for one in self.groups if one not in kept), key=self._stories_of)
            for group in poorest[: len(self.groups) - round(_CUT_TO * GROUPS)]:
                usual = self.groups.pop(group)
                self.cells -= len(usual.hours or ())
                self.cut = max(self.cut, usual.stories, _PRIOR_STORIES)
        if self.cells > CELLS:
            for group in sorted(self.groups, key=self._stories_of):
                usual = self.groups[group]
                if self.cells <= _CUT_TO * CELLS:
                    break
                self.cells -= len(usual.hours or ())
                usual.hours = None

    def decay(self, hour: int) -> None:
        """Let what was count less by now."""
        if self.decayed_at is None:
            self.decayed_at = hour
        if hour < self.decayed_at + _DECAY_HOURS:
            return
        factor, self.decayed_at = 0.5 ** ((hour - self.decayed_at) / _HALF_LIFE_HOURS), hour
        self.stories, self.memberships = self.stories * factor, self.memberships * factor
        self.cut = self.cut * factor if self.cut * factor >= _PRIOR_STORIES else 0.0
        self.strata = {name: number * factor for name, number in self.strata.items()}
        self.hours = {one: {name: n * factor for name, n in of.items()} for one, of in self.hours.items()}
        for usual in self.groups.values():
            usual.stories *= factor
            usual.strata = {name: _single(number * factor) for name, number in usual.strata.items()}
            if usual.hours is not None:
                usual.hours = {one: _single(n * factor) for one, n in usual.hours.items() if n * factor > 0.05}
            usual.excess = [one * factor for one in usual.excess]
            usual.squares = [one * factor for one in usual.squares]
        self.cells = sum(len(usual.hours or ()) for usual in self.groups.values())

    def _usual(self, group: str, hour: int) -> Usual:
        """A group heard of for the first time may be one that was cut: then it counts as the largest of those."""
        usual = self.groups.get(group)
        if usual is None:
            windows = len(self.spreads)
            usual = self.groups[group] = Usual(self.cut, {}, {}, [0.0] * windows, [0.0] * windows)
            if self.cut:
                usual.strata = {name: _single(self.cut * of / self.stories) for name, of in self.strata.items()}
                usual.doubtful_until = hour + _DOUBTFUL_HOURS
        return usual

    def _stories_of(self, group: str) -> float:
        return self.groups[group].stories

    def _heard(self, known: Usual | None) -> float:
        return known.stories if known is not None else self.cut

    def _prior(self) -> float:
        average = (self.memberships + 1.0) / (self.stories + 1.0) / (len(self.groups) + 1.0)
        return _PRIOR_STORIES / min(average, 1.0)

    def _share(self, known: Usual | None, prior: float) -> float:
        return (self._heard(known) + _PRIOR_STORIES) / (self.stories + prior)

    def _mean(self, known: Usual | None, offset: "_Offset") -> float:
        """How many stories are usual."""
        share = self._share(known, offset.prior)
        strata = known.strata if known is not None else {}
        mean, of_hour = offset.window.of(strata, share), offset.hour.of(strata, share)
        if known is not None and known.hours is not None and of_hour:
            seen = known.hours.get(offset.hour_of_week, 0.0)
            mean *= (seen + _HOUR_STORIES) / (of_hour + _HOUR_STORIES)
        return min(mean, offset.total)

    def _spread(self, known: Usual | None, window: int) -> float:
        own = (known.excess[window], known.squares[window]) if known is not None else (0.0, 0.0)
        spread = (own[0] + _SPREAD_WEIGHT * self.spreads[window]) / (own[1] + _SPREAD_WEIGHT)
        return min(max(spread, 0.0), _LARGEST_SPREAD)


def _single(number: float) -> float:
    """Rounded to single precision, in which it is kept."""
    return float(np.float32(number))


class _Offset:
    """What is the same for all groups: stories of the strata in a window, and in all that was seen of this hour of the
    week."""

    def __init__(self, baseline: Baseline, totals: Totals, hour: int) -> None:
        self.hour_of_week, self.prior = hour % HOURS_OF_WEEK, baseline._prior()
        self.total = sum(totals.values())
        self.window = _Strata(baseline.strata, totals)
        self.hour = _Strata(baseline.strata, baseline.hours.get(self.hour_of_week, {}))


Offsets = Sequence[_Offset]  # of the hours of a window


class _Strata:
    """How many stories of a group are usual among so many of each stratum."""

    def __init__(self, seen: Totals, totals: Totals) -> None:
        """seen: of each stratum, all in all."""
        self._parts: dict[str, float] = {}
        for stratum, number in totals.items():
            name = stratum if stratum in seen else ""
            self._parts[name] = self._parts.get(name, 0.0) + number / (seen.get(name, 0.0) + _STRATUM_STORIES)
        self._of_all = _STRATUM_STORIES * sum(self._parts.values())

    def of(self, strata: Totals, share: float) -> float:
        """strata: the group's stories so far. share: of all stories."""
        parts = self._parts
        own = sum(number * parts[name] for name, number in strata.items() if name in parts)
        return own + share * self._of_all
