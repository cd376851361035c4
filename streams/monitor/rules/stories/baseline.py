"""How many stories of a group are usual: a share of all stories, by hour of the week, and how far counts stray from it.

A group's count in a window is taken as negative binomial, with the number of all stories as its offset: what rises for
all groups alike changes nothing. Its mean is the group's share of all stories so far, older ones counting less, moved
to the share at this hour of the week as far as stories of that hour carry it. Its shape allows for two things: counts
of this group stray more than chance would have them (by moments, each group's own drawn to that of all), and the
share of a group that was seldom heard of is itself uncertain (a gamma prior around the groups' mean).

Source: overdispersed counts with offset against a seasonal baseline, Noufaily et al. (2013), "An improved algorithm for
outbreak detection in multiple surveillance systems", Statistics in Medicine 32.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from scipy.special import betainc  # scipy.stats takes half a second to import

HOURS_OF_WEEK: Final = 168
GROUPS: Final = 1_000  # whose baseline is kept; the one not heard of for longest goes
_HALF_LIFE_HOURS: Final = 28 * 24.0
_DECAY_HOURS: Final = 24  # between two steps of it
_PRIOR_STORIES: Final = 0.5  # of a group that was never heard of: as many as of an average one, in so few stories
_HOUR_STORIES: Final = 100.0  # of all groups, that an hour of the week must have had to count as much as the rest
_PRIOR_SPREAD: Final = 0.5  # variance beyond chance, in squares of the mean, before anything was counted
_SPREAD_WEIGHT: Final = 5.0  # sum of squared means at which a group's own spread counts as much as all groups'
_LARGEST_SPREAD: Final = 10.0


@dataclass(slots=True)
class Usual:
    """Of one group. hours: stories by hour of the week. excess, squares: for each window, the sum of squared deviations
    beyond chance and that of squared means; their ratio is the spread. silent: how far silent windows were counted."""

    stories: float = 0.0
    hours: dict[int, float] = field(default_factory=dict)
    excess: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    silent: list[float] = field(default_factory=list)


class Baseline:
    """Of all groups of one kind (a head's labels, symbols). Times are hours since 1970, event time."""

    def __init__(self, windows: int) -> None:
        """windows: how many window lengths are looked at; each has a spread of its own."""
        self._windows = windows
        self.groups: OrderedDict[str, Usual] = OrderedDict()
        self.stories = 0.0  # of all together
        self.memberships = 0.0  # a story may be of several groups
        self._hours = [0.0] * HOURS_OF_WEEK
        self._of_all = [(_PRIOR_SPREAD, 1.0)] * windows  # sums over all groups, as in Usual
        self._silent = [0.0] * windows  # sum of squares of the closed windows' stories
        self._decayed_at: int | None = None

    def chance(self, group: str, window: int, count: int, total: int, hour: int) -> tuple[float, float]:
        """The probability of so many stories or more, in [0, 1], and how many are usual. window: its number. total: of
        all groups in the same time. hour: since 1970."""
        mean = self.share(group, hour) * total
        if count <= mean:
            return 1.0, mean
        known = self.groups.get(group)
        shape = 1.0 / (self._spread(known, window) + 1.0 / ((known.stories if known else 0.0) + _PRIOR_STORIES))
        return float(betainc(count, shape, mean / (mean + shape))), mean

    def share(self, group: str, hour: int) -> float:
        """Of all stories, at this hour of the week; above 0, at most 1."""
        known = self.groups.get(group)
        average = (self.memberships + 1.0) / (self.stories + 1.0) / (len(self.groups) + 1.0)
        prior = _PRIOR_STORIES / min(average, 1.0)
        share = ((known.stories if known else 0.0) + _PRIOR_STORIES) / (self.stories + prior)
        of_hour = known.hours.get(hour % HOURS_OF_WEEK, 0.0) if known else 0.0
        return min((of_hour + _HOUR_STORIES * share) / (self._hours[hour % HOURS_OF_WEEK] + _HOUR_STORIES), 1.0)

    def add(self, hour: int, stories: int) -> None:
        """Stories of all groups together, of a time that is over."""
        self.stories += stories
        self._hours[hour % HOURS_OF_WEEK] += stories

    def add_to(self, group: str, hour: int, stories: float) -> None:
        """The same of one group."""
        usual = self._usual(group)
        usual.stories += stories
        self.memberships += stories
        usual.hours[hour % HOURS_OF_WEEK] = usual.hours.get(hour % HOURS_OF_WEEK, 0.0) + stories

    def close(self, window: int, counts: Mapping[str, int], total: int, hour: int) -> None:
        """A window is over. counts: of the groups heard in it that are in no surge; silent ones need no word."""
        for group, count in counts.items():
            usual, share = self._usual(group), self.share(group, hour)
            silence = share**2 * (self._silent[window] - usual.silent[window])
            mean = share * total
            excess, squares = (count - mean) ** 2 - count + silence, mean**2 + silence
            usual.excess[window] += excess
            usual.squares[window] += squares
            usual.silent[window] = self._silent[window] + total**2
            of_all = self._of_all[window]
            self._of_all[window] = of_all[0] + excess, of_all[1] + squares
        self._silent[window] += total**2

    def decay(self, hour: int) -> None:
        """Let what was count less by now."""
        if self._decayed_at is None:
            self._decayed_at = hour
        if hour < self._decayed_at + _DECAY_HOURS:
            return
        factor, self._decayed_at = 0.5 ** ((hour - self._decayed_at) / _HALF_LIFE_HOURS), hour
        self.stories, self.memberships = self.stories * factor, self.memberships * factor
        self._hours = [stories * factor for stories in self._hours]
        self._of_all = [(excess * factor, squares * factor) for excess, squares in self._of_all]
        for usual in self.groups.values():
            usual.stories *= factor
            usual.hours = {one: stories * factor for one, stories in usual.hours.items() if stories * factor > 0.05}
            usual.excess = [one * factor for one in usual.excess]
            usual.squares = [one * factor for one in usual.squares]

    def state(self, groups: Sequence[str] | None = None) -> dict[str, Any]:
        """For JSON. groups: those kept; None: all."""
        kept = self.groups if groups is None else {name: self.groups[name] for name in groups if name in self.groups}
        return {
            "stories": self.stories,
            "memberships": self.memberships,
            "hours": self._hours,
            "of_all": self._of_all,
            "silent": self._silent,
            "decayed_at": self._decayed_at,
            "groups": [
                [name, one.stories, [[h, n] for h, n in one.hours.items()], one.excess, one.squares, one.silent]
                for name, one in kept.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where `state` was taken. Raises ValueError, KeyError or TypeError."""
        self.stories, self.memberships = float(state["stories"]), float(state["memberships"])
        self._hours = [float(one) for one in state["hours"]]
        self._of_all = [(float(excess), float(squares)) for excess, squares in state["of_all"]]
        self._silent = [float(one) for one in state["silent"]]
        self._decayed_at = None if state["decayed_at"] is None else int(state["decayed_at"])
        for name, stories, hours, excess, squares, silent in state["groups"]:
            by_hour = {int(hour): float(number) for hour, number in hours}
            self.groups[str(name)] = Usual(float(stories), by_hour, list(excess), list(squares), list(silent))

    def _usual(self, group: str) -> Usual:
        """A group heard of for the first time begins where the windows stand now: it was no group before."""
        usual = self.groups.get(group)
        if usual is None:
            zeros = [0.0] * self._windows
            usual = self.groups[group] = Usual(0.0, {}, list(zeros), list(zeros), list(self._silent))
        self.groups.move_to_end(group)
        if len(self.groups) > GROUPS:
            self.groups.popitem(last=False)
        return usual

    def _spread(self, known: Usual | None, window: int) -> float:
        of_all = self._of_all[window][0] / self._of_all[window][1]
        own = (known.excess[window], known.squares[window]) if known else (0.0, 0.0)
        spread = (own[0] + _SPREAD_WEIGHT * of_all) / (own[1] + _SPREAD_WEIGHT)
        return min(max(spread, 0.0), _LARGEST_SPREAD)
