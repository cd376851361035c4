"""What moved on a day: how many stories each group has, beside the days before, and what was said."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headrace.tools.digest.stories import Groups, Story
from models.shares import wilson_interval
from streams.monitor.trends.windows import FEWEST_STORIES

TOP_STORIES: Final = 3  # of each group


@dataclass(frozen=True, slots=True)
class Moved:
    """A group on one day. kind: what it is a group of. usual: stories a day before, on average; None where no day
    before is known. unlikely: how far from usual, in standard deviations of a count. moods: each label's share of its
    stories with a 95 % interval; empty: too few stories. top: the stories with the most texts, each by its source's
    weight."""

    kind: str
    name: str
    stories: int
    texts: int
    usual: float | None
    unlikely: float
    moods: dict[str, tuple[float, float, float]]
    top: list[dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """One JSON object; `insufficient` where no shares are told."""
        described: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        described["moods"] = {
            label: {"share": round(share, 4), "interval": [round(low, 4), round(high, 4)]}
            for label, (share, low, high) in self.moods.items()
        }
        return described | {"unlikely": round(self.unlikely, 2), "insufficient": self.stories < FEWEST_STORIES}


def moved(groups: Groups, day: Sequence[Story], before: Sequence[Sequence[Story]]) -> list[Moved]:
    """Every group of the day or the days before, the most unlikely count first. before: the stories of each such day
    that has any."""
    today, members = Counter[tuple[str, str]](), defaultdict[tuple[str, str], list[tuple[Story, str | None]]](list)
    for story in day:
        for group, mood in groups.of(story.first).items():
            today[group] += 1
            members[group].append((story, mood))
    usual: Counter[tuple[str, str]] = Counter(
        group for stories in before for story in stories for group in groups.of(story.first)
    )
    told = [_moved(group, members[group], usual[group], len(before)) for group in {**today, **usual}]
    return sorted(told, key=lambda one: (-abs(one.unlikely), -one.stories, one.kind, one.name))


def _moved(group: tuple[str, str], members: Sequence[tuple[Story, str | None]], before: int, days: int) -> Moved:
    stories, usual = len(members), before / days if days else None
    unlikely = 0.0 if usual is None else _unlikely(stories, usual, days)
    moods = Counter(mood for _, mood in members if mood is not None)
    shares = {
        mood: (count / moods.total(), *wilson_interval(count, moods.total()))
        for mood, count in sorted(moods.items())
        if stories >= FEWEST_STORIES
    }
    largest = sorted(members, key=lambda one: (-one[0].weight, one[0].first["at"]))[:TOP_STORIES]
    texts = sum(story.texts for story, _ in members)
    return Moved(*group, stories, texts, usual, unlikely, shares, [_told(story, mood) for story, mood in largest])


def _unlikely(stories: int, usual: float, days: int) -> float:
    """Of two Poisson counts, by their square roots, whose standard deviation is a half each day. Source: Anscombe
    (1948), "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35."""
    roots = 2 * (math.sqrt(stories + 3 / 8) - math.sqrt(usual + 3 / (8 * days)))
    return roots / math.sqrt(1 + 1 / days)


def _told(story: Story, mood: str | None) -> dict[str, Any]:
    first: Mapping[str, Any] = story.first
    return {
        "text": first["text"],
        "at": first["at"],
        "id": first["id"],
        "mood": mood,
        "texts": story.texts,
        "weight": round(story.weight, 4),
        "sources": sorted(story.sources),
    }
