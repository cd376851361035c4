"""Lists for users who do anything: is what a user bought, or what is withdrawn, in any of them?

Users, items and actions are drawn, items are withdrawn and come back, and the worker is killed now and then: its
successor has what stands in the topics, a snapshot and the events after it, or all of them where there is none yet. The
catalogue's tombstones that are older than the snapshot are gone by then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from connectors.ports import Record
from models.recommendation.events import UserEvent
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.engine.offset_tracker import Partition
from streams.recommend.taking_up import take_up
from streams.recommend.writing import StateWriter

Progress = Callable[[str, int, int], None]
_HOME: Final[Partition] = ("events", 0)
_APP, _EPOCHS = "shop", {"events": "e0"}
_BATCH: Final = 20  # events after which what is written down is sent
_ACTIONS: Final = ("view", "click", "purchase")
_UNTIL: Final = (0.6, 0.9)  # of a draw between 0 and 1: a purchase beyond


@dataclass(frozen=True, slots=True)
class Plan:
    """lists: how many. users: who draw them. kill_every, turn_every: events between two kills, and between two items
    that are withdrawn or come back, on average. policy: of the recommender."""

    lists: int
    users: int = 2_000
    kill_every: int = 20_000
    turn_every: int = 50
    policy: RecommendPolicy = field(default_factory=lambda: RecommendPolicy(exploration=1, diversity=0.2))


class _Shop:
    """A worker, and the topics beside it."""

    def __init__(self, items: Sequence[str], texts: Sequence[str], policy: RecommendPolicy, seed: int) -> None:
        self._items, self._texts, self._policy = list(items), list(texts), policy
        self._vectors = np.random.default_rng(seed).standard_normal((len(items), 32)).astype(np.float32)
        self.kept: dict[bytes | None, Record] = {}
        self.since: list[UserEvent] = []  # the snapshot, or the beginning
        self.offset = self._snapshot = 0
        self.told: dict[str, bool] = {}  # items of the catalogue's topic: whether they are shown
        self._told_at: dict[str, int] = {}
        self._start()

    def turn(self, item: str, *, is_shown: bool) -> None:
        """The catalogue's topic says so."""
        self.told[item] = is_shown
        self._told_at[item] = self.offset
        self._hear(item)

    def observe(self, event: UserEvent) -> list[str]:
        """The list."""
        ranking = self.recommender.observe(event)
        self.since.append(event)
        self.offset += 1
        if self.offset % _BATCH == 0:
            for record in self._writer.after(_BATCH, {_HOME: self.offset}, 0):
                key = record.key or b""
                self.kept[key] = Record("state", 0, 0, key, record.value, 0, tuple(record.headers))
        return [item.item_id for item in ranking.items]

    def kill(self) -> None:
        """Another one goes on."""
        self.told = {item: shown for item, shown in self.told.items() if shown or self._told_at[item] > self._snapshot}
        self._start()

    def _start(self) -> None:
        self.recommender = Recommender(self._items, self._vectors, self._policy, self._texts)
        self._writer = StateWriter(_APP, "state", _EPOCHS, self.recommender)
        for item in self.told:
            self._hear(item)
        read = lambda: list(self.kept.values())  # noqa: E731
        taken = take_up(self.recommender, _APP, _EPOCHS, [_HOME], {_HOME: self.offset}, read)
        start = taken.offsets.get(_HOME, 0)
        if start > self._snapshot:
            self.since, self._snapshot = self.since[start - self._snapshot :], start
        self.recommender.replay(self.since, is_whole=True)
        self._writer.begin([_HOME], taken.slots, 0, len(self.since))

    def _hear(self, item: str) -> None:
        place = self._items.index(item)
        if self.told[item]:
            self.recommender.catalogue.put(item, self._texts[place], self._vectors[place])
        else:
            self.recommender.catalogue.withdraw(item)


def random_lists(
    items: Sequence[str], texts: Sequence[str], plan: Plan, seed: int, progress: Progress
) -> dict[str, int]:
    """`{lists, purchases, turns, kills, bought, withdrawn}`; the last two: lists that held what their user had bought,
    and what was withdrawn."""
    draw = np.random.default_rng(seed)
    shop = _Shop(items, texts, plan.policy, seed)
    bought: dict[str, set[str]] = {}
    gone: set[str] = set()
    counts = dict.fromkeys(("lists", "purchases", "turns", "kills", "bought", "withdrawn"), 0)
    for number in range(plan.lists):
        if number % 1_000 == 0:
            progress("random lists", number, plan.lists)
        if draw.random() * plan.turn_every < 1:
            item = items[int(draw.integers(len(items)))]
            shop.turn(item, is_shown=item in gone)
            gone ^= {item}
            counts["turns"] += 1
        if draw.random() * plan.kill_every < 1:
            shop.kill()
            counts["kills"] += 1
        event = _drawn(draw, items, plan.users)
        if event.action == "purchase":
            bought.setdefault(str(event.user_id), set()).add(str(event.item_id))
        _count(counts, event, shop.observe(event), bought, gone)
    progress("random lists", plan.lists, plan.lists)
    return counts


def _drawn(draw: np.random.Generator, items: Sequence[str], users: int) -> UserEvent:
    """Some users and items come more often than others."""
    user, item = int(users * draw.random() ** 2), int(len(items) * draw.random() ** 1.5)
    return UserEvent(f"u{user}", items[item], _ACTIONS[int(np.searchsorted(_UNTIL, draw.random()))])


def _count(
    counts: dict[str, int], event: UserEvent, listed: Sequence[str], bought: dict[str, Any], gone: set[str]
) -> None:
    counts["lists"] += 1
    counts["purchases"] += event.action == "purchase"
    counts["bought"] += not bought.get(str(event.user_id), set()).isdisjoint(listed)
    counts["withdrawn"] += not gone.isdisjoint(listed)
