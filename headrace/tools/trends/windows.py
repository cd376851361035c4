"""From decisions to windows of event time: items, stories and mean sentiment of each topic, symbol and entity.

Values in, values out. A window is a function of the decisions whose time lies in it: whoever reads them again gets the
same, and a decision that came late changes its window, under the same id.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from headrace.tools.digest.figures import FEWEST_STORIES
from headrace.tools.digest.reading import written
from headrace.tools.digest.stories import BY_ENTITY, BY_SYMBOL, Groups
from models.shares import wilson_interval
from streams.monitor.event_clock import AHEAD_OF_ARRIVAL_SECONDS

SCORES: Final = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
LENGTHS: Final = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1)}


class Group(NamedTuple):
    """What is told of: a topic, a symbol, both, or an entity."""

    topic: str | None = None
    symbol: str | None = None
    entity: str | None = None

    def __str__(self) -> str:
        return " × ".join(name for name in self if name is not None)


@dataclass(slots=True)
class Window:
    """start: of event time, UTC. items: by story, their scores; None where an item says none. first: of each story,
    its first item here. late: items that were decided after the window's end."""

    start: datetime
    group: Group
    items: defaultdict[str, list[float | None]] = field(default_factory=lambda: defaultdict(list))
    first: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    late: int = 0

    @property
    def scores(self) -> list[float]:
        """One of each story that says any: the mean of its items."""
        told = [[score for score in scores if score is not None] for scores in self.items.values()]
        return [sum(scores) / len(scores) for scores in told if scores]

    def as_json(self, app: str, length: str, now: datetime) -> dict[str, Any]:
        """One document. Its id is that of the window and the group, whatever is in it. is_over: the window's end has
        passed; late items may still come."""
        start, end, scores = written(self.start), self.start + LENGTHS[length], self.scores
        story, items = max(self.items.items(), key=lambda one: len(one[1]))
        kind = "|".join(f"{kind}={name}" for kind, name in self.group._asdict().items() if name is not None)
        return {
            "id": f"{app}|{length}|{start}|{kind}",
            "app": app,
            "window": length,
            "start": start,
            "end": written(end),
            **self.group._asdict(),
            "items": sum(len(of_story) for of_story in self.items.values()),
            "stories": len(self.items),
            "late": self.late,
            "sentiment": _mean(scores),
            "insufficient": len(scores) < FEWEST_STORIES,
            "is_over": end <= now,
            "largest": {"story_id": story, "items": len(items), "text": self.first[story]["text"]},
        }


@dataclass(slots=True)
class Trends:
    """windows: by start and group. future: items dated well after they were decided, which are in no window."""

    length: str
    windows: dict[tuple[datetime, Group], Window] = field(default_factory=dict)
    future: int = 0

    def add(self, decision: Mapping[str, Any], story_id: str, groups: Groups) -> None:
        """Count a decision of the stretch. story_id: see streams.monitor.trends.stories."""
        at, decided = (datetime.fromisoformat(decision[name]) for name in ("at", "decided_at"))
        if (at - decided).total_seconds() > AHEAD_OF_ARRIVAL_SECONDS:
            self.future += 1
            return
        start = window_start(at, LENGTHS[self.length])
        for group, mood in _groups(groups.of(decision)):
            window = self.windows.setdefault((start, group), Window(start, group))
            window.items[story_id].append(None if mood is None else SCORES.get(mood))
            window.first.setdefault(story_id, decision)
            window.late += decided >= start + LENGTHS[self.length]

    def of(self, wanted: Group) -> list[Window]:
        """Windows of this group, or of all groups where it names nothing; by time, the most stories first."""
        chosen = [one for one in self.windows.values() if one.group == wanted or wanted == Group()]
        return sorted(chosen, key=lambda one: (one.start, -len(one.items), str(one.group)))

    def stories(self, wanted: Group) -> list[dict[str, Any]]:
        """Of a group in all windows, by first item: `story_id`, `at` and `text` of that, and how many `items`."""
        told: dict[str, dict[str, Any]] = {}
        for window in self.of(wanted):
            for story_id, scores in window.items.items():
                first = window.first[story_id]
                story = {"story_id": story_id, "at": first["at"], "text": first["text"], "items": 0}
                told.setdefault(story_id, story)["items"] += len(scores)
        return list(told.values())


def window_start(at: datetime, length: timedelta) -> datetime:
    """Of the window that a moment lies in. Windows begin at UTC's midnight and follow each other."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // length * length


def _groups(told: Mapping[tuple[str, str], str | None]) -> Iterable[tuple[Group, str | None]]:
    """Each with what is said of it; a symbol's mood is that of its item."""
    topics = [(name, mood) for (kind, name), mood in told.items() if kind not in (BY_SYMBOL, BY_ENTITY)]
    symbols = [(name, mood) for (kind, name), mood in told.items() if kind == BY_SYMBOL]
    yield from ((Group(topic=name), mood) for name, mood in topics)
    yield from ((Group(symbol=name), mood) for name, mood in symbols)
    yield from ((Group(entity=name), mood) for (kind, name), mood in told.items() if kind == BY_ENTITY)
    yield from ((Group(topic=topic, symbol=symbol), mood) for topic, _ in topics for symbol, mood in symbols)


def _mean(scores: list[float]) -> dict[str, Any] | None:
    """Mean over stories between -1 and 1, with a 95 % interval: Wilson's, of a share that is the mean moved to 0 … 1. A
    value between two ends varies no more than a share does, so it is rather too wide. None of too few stories."""
    if len(scores) < FEWEST_STORIES:
        return None
    low, high = wilson_interval(sum((score + 1) / 2 for score in scores), len(scores))
    return {"mean": round(sum(scores) / len(scores), 4), "interval": [round(2 * low - 1, 4), round(2 * high - 1, 4)]}
