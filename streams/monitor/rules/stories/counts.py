"""Stories of the last two hours, by minute of event time: of each group, and of all together by stratum.

A story counts once in a group, whatever its copies. Which of a group's stories can still have copies is known by which
stories were heard of last at all: what is forgotten there is forgotten in every group, so all is bounded by that.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

STORIES_KEPT: Final = 2_000  # of all groups, heard of last: more than texts among which copies are known
_IDS: Final = 10

Group = tuple[str, str]  # what is counted by, and which
Totals = dict[int, dict[str, int]]  # hour since 1970 to stories by stratum


class Story(NamedTuple):
    """An event, as a rule counts it. number: of its story. minute: since 1970, event time. groups: where it has the
    labels that the rule counts; without one it is one of all only. stratum: its topic."""

    number: int
    id: str
    minute: int
    groups: tuple[Group, ...]
    stratum: str = ""


@dataclass(slots=True)
class Heard:
    """Of a group. minutes: to stories; strata: to the same by stratum. stories: their numbers. surge_until: the minute
    up to which its stories belonged to a surge, or are not all counted."""

    minutes: dict[int, int] = field(default_factory=dict)
    strata: dict[int, dict[str, int]] = field(default_factory=dict)
    stories: OrderedDict[int, None] = field(default_factory=OrderedDict)
    ids: list[str] = field(default_factory=list)
    surge_until: int = 0


class StoryCounts:
    """Of one rule."""

    def __init__(self, windows: Sequence[int]) -> None:
        """windows: their lengths in minutes."""
        self._windows = windows
        self._totals: list[Totals] = [{} for _ in windows]  # of the windows that end now
        self.now = 0  # minutes since 1970
        self.heard: OrderedDict[Group, Heard] = OrderedDict()
        self.minutes: dict[int, dict[str, int]] = {}  # of all groups
        self.known: OrderedDict[int, None] = OrderedDict()  # numbers of stories, the one heard of last at the end
        self._groups_of: dict[int, set[Group]] = {}  # of a known story, those that it counts in

    def restore(self, known: Iterable[int], heard: Mapping[Group, Heard]) -> None:
        """Go on with what was known, by numbers in the order of `known`, and heard of then."""
        self.known, self.heard, self._groups_of = OrderedDict.fromkeys(known), OrderedDict(heard), {}
        for group, one in self.heard.items():
            for number in [number for number in one.stories if number not in self.known]:
                del one.stories[number]
            for number in one.stories:
                self._groups_of.setdefault(number, set()).add(group)

    def pass_time(self, now: int) -> None:
        """The stream's time has come so far."""
        self.now = now
        self._totals = [self.of_all(now - length) for length in self._windows]

    def totals(self, window: int) -> Totals:
        """Stories of all groups in a window that ends now; what is ahead of the stream's time is in it."""
        return self._totals[window]

    def add(self, story: Story, minute: int) -> None:
        """Count it among all, once."""
        is_new = story.number not in self.known
        self.known[story.number] = None
        self.known.move_to_end(story.number)
        if len(self.known) > STORIES_KEPT:
            self._forget(self.known.popitem(last=False)[0])
        if not is_new:
            return
        _count(self.minutes, minute, story.stratum)
        for length, totals in zip(self._windows, self._totals, strict=True):
            if minute > self.now - length:
                _count(totals, minute // 60, story.stratum)

    def add_to(self, group: Group, story: Story, minute: int) -> bool:
        """Count it in a group. Gives whether it is a new story there."""
        heard = self.heard.setdefault(group, Heard())
        self.heard.move_to_end(group)
        if story.number in heard.stories:
            return False
        heard.stories[story.number] = None
        self._groups_of.setdefault(story.number, set()).add(group)
        heard.ids = [*heard.ids[-_IDS + 1 :], story.id]
        heard.minutes[minute] = heard.minutes.get(minute, 0) + 1
        _count(heard.strata, minute, story.stratum)
        return True

    def of(self, group: Group, after: int, end: int | None = None) -> int:
        """Stories of a group after a minute, up to another; None: all later ones."""
        heard = self.heard.get(group)
        if heard is None:
            return 0
        return sum(n for minute, n in heard.minutes.items() if after < minute and (end is None or minute <= end))

    def of_all(self, after: int, end: int | None = None) -> Totals:
        """The same of all groups together."""
        totals: Totals = {}
        for minute, strata in self.minutes.items():
            if after < minute and (end is None or minute <= end):
                for stratum, number in strata.items():
                    _count(totals, minute // 60, stratum, number)
        return totals

    def newest(self, group: Group) -> int:
        """The minute of its latest story; 0 where it has none."""
        heard = self.heard.get(group)
        return max(heard.minutes, default=0) if heard is not None else 0

    def recent(self, group: Group, stories: int) -> list[int]:
        """The numbers of its last stories."""
        return list(self.heard[group].stories)[-stories:]

    def take(self, group: Group, until: int | None) -> Iterator[tuple[int, dict[str, int]]]:
        """Minutes of a group up to one, which are then no longer among those counted here; None: all."""
        heard = self.heard[group]
        for minute in [one for one in heard.minutes if until is None or one <= until]:
            del heard.minutes[minute]
            yield minute, heard.strata.pop(minute)

    def take_all(self, until: int) -> Iterator[tuple[int, dict[str, int]]]:
        """The same of all groups together."""
        for minute in [one for one in self.minutes if one <= until]:
            yield minute, self.minutes.pop(minute)

    def forget_silent(self) -> None:
        """Forget groups of which nothing is counted here and no story can have copies any more."""
        for group in [one for one, heard in self.heard.items() if not heard.minutes]:
            heard = self.heard[group]
            heard.ids.clear()
            if not heard.stories:
                self.drop(group)

    def drop(self, group: Group) -> None:
        """Forget a group, and what is counted of it here."""
        for number in self.heard.pop(group).stories:
            self._groups_of[number].discard(group)

    def _forget(self, number: int) -> None:
        for group in self._groups_of.pop(number, ()):
            del self.heard[group].stories[number]


def _count(times: dict[int, dict[str, int]], time: int, stratum: str, number: int = 1) -> None:
    strata = times.setdefault(time, {})
    strata[stratum] = strata.get(stratum, 0) + number
