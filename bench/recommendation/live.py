"""The live recommender, event by event: what was taken next, did it stand in the list before?

Prequential: each event is foretold by what was learnt of the earlier ones. Beside it, on the same events, what a shop
has in ten lines: the user's own last items, a table of which item followed which, what is touched most of late.
"""

import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.recommendation.events import UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender

_LENGTH: Final = 10
_LATE: Final = 2_000  # events that popularity of late looks back at


@dataclass(slots=True)
class Hits:
    """Of items new to the user and of those he had before: how many were taken, and how many of them were listed."""

    new: list[int] = field(default_factory=lambda: [0, 0])
    again: list[int] = field(default_factory=lambda: [0, 0])

    def add(self, is_listed: bool, is_new: bool) -> None:
        """Count one that was taken."""
        counts = self.new if is_new else self.again
        counts[0] += 1
        counts[1] += is_listed

    def as_json(self) -> dict[str, Any]:
        """Shares of 10 listed."""
        taken, listed = self.new[0] + self.again[0], self.new[1] + self.again[1]
        return {
            "taken": taken,
            "hit_rate": _share(listed, taken),
            "new_taken": self.new[0],
            "new_hit_rate": _share(self.new[1], self.new[0]),
            "again_hit_rate": _share(self.again[1], self.again[0]),
        }


class Simple:
    """What a shop has without a model. State of all events so far."""

    def __init__(self) -> None:
        self._own: dict[str, OrderedDict[str, None]] = defaultdict(OrderedDict)
        self._followed: dict[str, Counter[str]] = defaultdict(Counter)
        self._late: deque[str] = deque()
        self._popular: Counter[str] = Counter()

    def had(self, user: str, item: str) -> bool:
        """Whether the user touched an item before."""
        return item in self._own[user]

    def lists(self, user: str) -> dict[str, list[str]]:
        """Of each method, ten items for a user."""
        own = list(self._own[user])[-_LENGTH:]
        last = own[-1] if own else None
        followed = [] if last is None else [item for item, _ in self._followed[last].most_common(_LENGTH)]
        popular = [item for item, _ in self._popular.most_common(_LENGTH)]
        return {"own_last_items": own, "table_of_pairs": followed, "popular_of_late": popular}

    def observe(self, user: str, item: str) -> None:
        """One event."""
        own = self._own[user]
        if own and (last := next(reversed(own))) != item:
            self._followed[last][item] += 1
        own[item] = None
        own.move_to_end(item)
        self._late.append(item)
        self._popular[item] += 1
        if len(self._late) > _LATE:
            old = self._late.popleft()
            self._popular[old] -= 1


def play(
    recommender: Recommender, events: Sequence[UserEvent], progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """`{events, methods: {name: figures}, ms: {p50, p99}}`, over events of users who had a list before."""
    hits: dict[str, Hits] = defaultdict(Hits)
    simple, listed = Simple(), dict[str, set[str]]()
    times = np.zeros(len(events))
    for number, event in enumerate(events):
        if number % 500 == 0:
            progress("live", number, len(events))
        assert event.user_id is not None and event.item_id is not None
        user, item = event.user_id, event.item_id
        if user in listed:
            is_new = not simple.had(user, item)
            hits["headrace"].add(item in listed[user], is_new)
            for name, items in simple.lists(user).items():
                hits[name].add(item in items, is_new)
        started = time.perf_counter()
        ranking = recommender.observe(event)
        times[number] = time.perf_counter() - started
        listed[user] = {one.item_id for one in ranking.items}
        simple.observe(user, item)
    progress("live", len(events), len(events))
    p50, p99 = np.percentile(times, [50, 99]) * 1e3 if len(times) else (0.0, 0.0)
    methods = {name: one.as_json() for name, one in hits.items()}
    return {"events": len(events), "methods": methods, "ms": {"p50": round(p50, 2), "p99": round(p99, 2)}}


def live_recommender(item_ids: Sequence[str], embeddings: NDArray[np.float32], texts: Sequence[str]) -> Recommender:
    """As an application with `repeats = "always"` has it: a log does not say what may be bought again."""
    return Recommender(item_ids, embeddings, RecommendPolicy(repeats="always"), texts)


def _share(part: int, of: int) -> float | None:
    return round(part / of, 4) if of else None
