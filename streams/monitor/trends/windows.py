"""What a window of event time counts of a topic, a symbol, both or an entity: items, stories and mean sentiment.

Values in, values out. What a window says is a function of the items in it and of their stories, in whatever order they
came: who counts them again says the same, under the same id.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from models.shares import wilson_interval
from streams.monitor.event_clock import AHEAD_OF_ARRIVAL_SECONDS

SCORES: Final = {"negative": -1.0, "neutral": 0.0, "positive": 1.0}
LENGTHS: Final = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
FEWEST_STORIES: Final = 5  # of which a mean, or shares, are told
BY_ENTITY: Final = "entity"
BY_SYMBOL: Final = "symbol"


class Group(NamedTuple):
    """What is told of: a topic, a symbol, both, or an entity."""

    topic: str | None = None
    symbol: str | None = None
    entity: str | None = None

    def __str__(self) -> str:
        return " × ".join(name for name in self if name is not None)


@dataclass(slots=True)
class StoryPart:
    """A story's items in a window. first: when the first of them happened, in seconds since 1970, and its id; text: of
    that. scored: items that say how they speak of the group; weight: of their sources, together; total: the sum of
    what those say, each by its weight."""

    first: tuple[float, str]
    text: str
    items: int = 0
    scored: int = 0
    total: float = 0.0
    weight: float = 0.0

    def add(self, item: tuple[float, str], text: str, score: float | None, weight: float = 1.0) -> None:
        """Count an item. weight: of its source."""
        if item < self.first:
            self.first, self.text = item, text
        self.items += 1
        if score is not None:
            self.scored, self.total, self.weight = self.scored + 1, self.total + weight * score, self.weight + weight

    @property
    def score(self) -> float | None:
        """The mean of its items; None where none says any, or those that do count nothing."""
        return self.total / self.weight if self.weight else None

    @property
    def worth(self) -> float:
        """What it counts in a mean over stories: what its items that say a mood do, on average."""
        return self.weight / self.scored if self.scored else 0.0


class Moods(NamedTuple):
    """What stories say together: the sum of their means, each by what it is worth; of what they are worth, and of the
    squares of that."""

    total: float = 0.0
    weight: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, parts: Sequence[StoryPart]) -> "Moods":
        """Of stories that say a mood."""
        worth = [(part.score or 0.0, part.worth) for part in parts]
        return cls(sum(one * by for one, by in worth), sum(by for _, by in worth), sum(by * by for _, by in worth))

    def __add__(self, other: object) -> "Moods":
        """Both together."""
        assert isinstance(other, Moods)
        return Moods(self.total + other.total, self.weight + other.weight, self.squares + other.squares)

    def mean(self) -> dict[str, Any]:
        """Between -1 and 1, with a 95 % interval: Wilson's, of a share that is the mean moved to 0 … 1, by the number
        of stories of equal weight that would say as much. A value between two ends varies no more than a share does,
        so it is rather too wide. Source: Kish, Survey Sampling (1965)."""
        alike = self.weight * self.weight / self.squares
        low, high = wilson_interval((self.total + self.weight) / 2 * (alike / self.weight), alike)
        return {
            "mean": round(self.total / self.weight, 4),
            "interval": [round(2 * low - 1, 4), round(2 * high - 1, 4)],
        }


NO_MOODS: Final = Moods()


@dataclass(slots=True)
class Window:
    """start: of event time, UTC. told: by story. late: items that were decided after the window's end. over: stories
    that nobody will tell any more, and are only counted; over_scored, over_moods: those that say a mood, and what
    these come to. largest: the story with the most items, of two the one with the earlier first one. is_sample: items
    were left out (docs/stories.md)."""

    start: datetime
    group: Group
    told: dict[str, StoryPart] = field(default_factory=dict)
    items: int = 0
    late: int = 0
    over: int = 0
    over_scored: int = 0
    over_moods: Moods = NO_MOODS
    largest: tuple[str, StoryPart] | None = None
    is_sample: bool = False

    @property
    def stories(self) -> int:
        """How many were told."""
        return len(self.told) + self.over

    def add(self, story_id: str, item: tuple[float, str], text: str, score: float | None, weight: float = 1.0) -> None:
        """Count an item. item: its time in seconds since 1970, and its id. weight: of its source."""
        part = self.told.get(story_id)
        if part is None:
            part = self.told[story_id] = StoryPart(item, text)
        part.add(item, text, score, weight)
        self.items += 1
        if self.largest is None or (-part.items, part.first) <= (-self.largest[1].items, self.largest[1].first):
            self.largest = story_id, part

    def forget(self, story_id: str) -> None:
        """Nobody will tell this story any more: it stays counted."""
        part = self.told.pop(story_id, None)
        if part is None:
            return
        self.over += 1
        if part.score is not None:
            self.over_scored += 1
            self.over_moods += Moods.of([part])

    def document(self, app: str, length: str) -> dict[str, Any]:
        """What is told of it. Its id is that of the window and the group, whatever is in it."""
        start = written(self.start)
        saying = [part for part in self.told.values() if part.score is not None]
        scores = self.over_scored + len(saying)
        assert self.largest is not None
        story_id, part = self.largest
        return {
            "id": window_id(app, length, start, self.group),
            "app": app,
            "window": length,
            "start": start,
            "end": written(self.start + LENGTHS[length]),
            **self.group._asdict(),
            "items": self.items,
            "stories": self.stories,
            "late": self.late,
            "sentiment": (self.over_moods + Moods.of(saying)).mean() if scores >= FEWEST_STORIES else None,
            "insufficient": scores < FEWEST_STORIES,
            "largest": {"story_id": story_id, "items": part.items, "text": part.text},
        } | ({"is_sample": True} if self.is_sample else {})

    def as_json(self, app: str, length: str, now: datetime) -> dict[str, Any]:
        """`document`, and whether the window's end has passed; late items may still come."""
        return self.document(app, length) | {"is_over": self.start + LENGTHS[length] <= now}


def window_id(app: str, length: str, start: str, group: Group) -> str:
    """Of a window's document."""
    kind = "|".join(f"{kind}={name}" for kind, name in group._asdict().items() if name is not None)
    return f"{app}|{length}|{start}|{kind}"


def window_start(at: datetime, length: timedelta) -> datetime:
    """Of the window that a moment lies in. Windows begin at UTC's midnight and follow each other."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // length * length


def groups_of(told: Mapping[tuple[str, str], str | None]) -> Iterable[tuple[Group, str | None]]:
    """Each with what is said of it; a symbol's mood is that of its item. told: (kind, name) to mood; a kind that is
    no symbol and no entity is the head of topics."""
    topics = [(name, mood) for (kind, name), mood in told.items() if kind not in (BY_SYMBOL, BY_ENTITY)]
    symbols = [(name, mood) for (kind, name), mood in told.items() if kind == BY_SYMBOL]
    yield from ((Group(topic=name), mood) for name, mood in topics)
    yield from ((Group(symbol=name), mood) for name, mood in symbols)
    yield from ((Group(entity=name), mood) for (kind, name), mood in told.items() if kind == BY_ENTITY)
    yield from ((Group(topic=topic, symbol=symbol), mood) for topic, _ in topics for symbol, mood in symbols)


def is_future(at: datetime, decided: datetime) -> bool:
    """Whether an item is dated so far after it was decided that no window takes it in."""
    return (at - decided).total_seconds() > AHEAD_OF_ARRIVAL_SECONDS


def written(moment: datetime) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
