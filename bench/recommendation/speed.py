"""How fast lists are, under load: events that come at a rate whatever the worker does (open loop), each learnt of and
answered with a list, all or some of them; how soon a new item can stand in one; how much memory users take; how fast a
state is rebuilt.

What is measured is the worker's handler, from an event's bytes to the decision's, with its state written down
meanwhile as live; no broker. Events are taken as a worker takes them: what is due by then, so many at once at most.
Each waits from when it is due, not from when it was taken (Tene's "coordinated omission", HdrHistogram). What is due
before the warm-up's end is not counted.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from bench.bed import cpu_name
from bench.commit import commit_of_bench
from bench.latency import percentiles
from bench.memory import rss_bytes
from connectors.ports import Record
from headrace.process.garbage import spared_collector
from models.errors import ConfigError
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.classify.worker import LISTS_AT_ONCE
from streams.clock import wall_clock_ms
from streams.engine.delivery import Delivery
from streams.engine.offset_tracker import Partition
from streams.recommend.handler import RecommendHandler
from streams.recommend.intake import Embed

Progress = Callable[[str, int, int], None]
_TOPIC, _CATALOGUE = "events", "items"
_PARTITIONS: Final = 4
_AT_ONCE: Final = 4_000  # users whose events are read together
_LEAST_WAIT: Final = 1e-5  # seconds, so that rounding can't make it stand still
_STEPS: Final = 5  # at which memory is looked at
_ACTIONS: Final = ("view", "click", "purchase")
_UNTIL: Final = (0.6, 0.9)  # of a draw between 0 and 1: a purchase beyond
_EMPTY: Final = b'"items":[]'  # in a decision
_DESCRIPTION: Final = "made by hand, for rooms of every kind, easy to keep clean"  # beside a title
_THINGS: Final = ("kettle", "lamp", "rug", "spade", "clock", "basket", "ladder", "mirror", "blanket", "vase")
_KINDS: Final = ("copper", "oak", "woollen", "blue", "folding", "small", "garden", "kitchen", "travel", "painted")


@dataclass(frozen=True, slots=True)
class Plan:
    """seconds: of the load, after `warm_up` that do not count. rate: events a second. users: who are known before it
    begins, with `events_each` events. items: of the catalogue. cold_every: seconds between two new items. lists_share:
    so many of the events, drawn, are looks that ask for a list (`[recommend] lists_for`), at most all looks; further
    ones are of another action, which counts as much. 1: every event asks, whatever its action. bulk: items that come
    all at once when the warm-up ends."""

    seconds: float
    warm_up: float = 5.0
    rate: float = 1_000.0
    users: int = 100_000
    events_each: int = 10
    items: int = 500
    cold_every: float = 1.0
    lists_share: float = 1.0
    bulk: int = 0

    def check(self) -> None:
        """Raises ConfigError where so many lists cannot be asked for by looks."""
        if not (0 < self.lists_share <= _UNTIL[0] or self.lists_share == 1):
            raise ConfigError(f"the share of lists is above 0 and at most {_UNTIL[0]}, as many as are looks, or 1: all")

    @property
    def lists_for(self) -> frozenset[str] | None:
        """Of the recommender's policy."""
        return None if self.lists_share == 1 else frozenset({"view"})


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds. Another one in tests."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


def speed(plan: Plan, embed: Embed, seed: int, progress: Progress, clock: Clock | None = None) -> dict[str, Any]:
    """`{items, memory, load, cold, bulk, rebuild, load_before, cpu, commit}`. embed: of the items' texts. Raises
    ConfigError."""
    plan.check()
    clock, load_before = clock or Clock(), os.getloadavg()[0]
    draw = np.random.default_rng(seed)
    newcomers = _Newcomers(plan, clock)
    handler = _handler(plan, embed, _Past(), newcomers)
    logging.getLogger("streams.recommend").setLevel(logging.WARNING)  # a line for each new item
    with spared_collector():  # as in a worker
        memory = _memory(handler, plan, draw, progress)
        load = _load(handler, newcomers, plan, draw, clock, progress)
    return {
        "items": plan.items,
        "memory": memory,
        **load,
        "rebuild": _rebuild(plan, embed, draw, clock, progress),
        "load_before": round(load_before, 1),
        "cpu": cpu_name(),
        "commit": commit_of_bench(),
    }


def open_loop(
    decide: Callable[[int, int], None], due: NDArray[np.float64], clock: Clock, progress: Callable[[int], None]
) -> NDArray[np.float64]:
    """When each was decided, seconds from the beginning, as `due` is, which rises. decide: is given which are due by
    then, first and one past the last, at most `LISTS_AT_ONCE`."""
    done = np.zeros(len(due))
    begun, first = clock.now(), 0
    while first < len(due):
        now = clock.now() - begun
        ready = int(np.searchsorted(due, now, side="right"))
        if ready <= first:
            clock.sleep(max(float(due[first]) - now, _LEAST_WAIT))
            continue
        last = min(ready, first + LISTS_AT_ONCE)
        decide(first, last)
        done[first:last] = clock.now() - begun
        progress(last)
        first = last
    return done


class _Past:
    """What stood in the topics before (the port `Before`): these records of each partition, and no snapshot."""

    keeps_state = True

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = records

    def positions(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {p: sum((r.topic, r.partition) == p for r in self._records) for p in partitions if self._records}

    def state(self) -> Iterable[Record]:
        return ()

    def events(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> Iterable[Record]:
        return [r for r in self._records if starts.get((r.topic, r.partition), 0) <= r.offset]


@dataclass(slots=True)
class _Newcomers:
    """New items in the catalogue's topic, one every so many seconds of the load."""

    plan: Plan
    clock: Clock
    begun: float | None = None
    told: int = 0
    heard: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    bulk: "_Bulk | None" = None

    def due(self, number: int) -> float:
        """When it appears, on the clock."""
        assert self.begun is not None
        return self.begun + (number + 0.5) * self.plan.cold_every

    def __call__(self) -> list[Record]:
        """What appeared since the last call."""
        records = []
        end = self.plan.warm_up + self.plan.seconds
        while self.begun is not None and self.due(self.told) <= min(self.clock.now(), self.begun + end):
            name = f"new{self.told}"
            value = orjson.dumps({"item_id": name, "title": f"new {_text(7 * self.told)}"})
            records.append(Record(_CATALOGUE, 0, self.told, name.encode(), value, 0))
            self.heard.append(self.told)
            self.told += 1
        if self.plan.bulk and self.bulk is None and self.begun is not None:
            due = self.begun + self.plan.warm_up
            if due <= self.clock.now():
                self.bulk = _Bulk(due, rss_bytes(os.getpid()))
                records += _bulk_records(self.plan.bulk)
        return records

    def decided(self, recommender: Recommender) -> None:
        """Lists were made since: those that were heard could stand in them."""
        catalogue = recommender.catalogue
        waiting = []
        for number in self.heard:
            place = catalogue.place(f"new{number}")
            if place is not None and catalogue.shown[place]:
                self.seconds.append(self.clock.now() - self.due(number))
            elif self.bulk is None:
                raise ConfigError(f"the item new{number} was heard and is in no list's reach")
            else:
                waiting.append(number)  # behind the bulk
        self.heard = waiting
        bulk, all_of_them = self.bulk, self.plan.items + self.told + self.plan.bulk
        if bulk is not None and bulk.taken is None and len(catalogue) == all_of_them:
            bulk.taken, bulk.bytes_after = self.clock.now(), rss_bytes(os.getpid())


@dataclass(slots=True)
class _Bulk:
    """Items that came at once. due, taken: when, and when all could stand in lists, on the clock."""

    due: float
    bytes_before: int
    taken: float | None = None
    bytes_after: int = 0

    def told(self, items: int, waited: NDArray[np.float64], computed: NDArray[np.float64]) -> dict[str, Any]:
        """Of lists meanwhile: ms that they waited, and that the events' thread computed."""
        return {
            "items": items,
            "seconds": None if self.taken is None else round(self.taken - self.due, 1),
            "lists": len(waited),
            "latency_ms": percentiles(waited) if len(waited) else None,
            "computing_ms": percentiles(computed) if len(computed) else None,
            "mb": None if self.taken is None else round((self.bytes_after - self.bytes_before) / 1e6, 1),
        }


def _bulk_records(items: int) -> list[Record]:
    named = ((f"bulk{number}", f"{_text(number)} of valley {number % 97}") for number in range(items))
    said = ((name, {"item_id": name, "title": title, "description": _DESCRIPTION}) for name, title in named)
    return [
        Record(_CATALOGUE, 0, number, name.encode(), orjson.dumps(value), 0)
        for number, (name, value) in enumerate(said)
    ]


def _handler(plan: Plan, embed: Embed, past: _Past, catalogue: Callable[[], Sequence[Record]]) -> RecommendHandler:
    texts = [_text(number) for number in range(plan.items)]
    policy = RecommendPolicy(diversity=0.2, exploration=1, lists_for=plan.lists_for)
    recommender = Recommender([f"i{number}" for number in range(plan.items)], embed(texts), policy, texts)
    app = Application(name="bench", kind="recommend", topic=_TOPIC, catalog=Path("items.csv"))
    handler = RecommendHandler(app, recommender, "v1", {_TOPIC: "e0"}, past, catalogue=catalogue, embed=embed)
    asyncio.run(handler.assigned([(_TOPIC, partition) for partition in range(_PARTITIONS)]))
    return handler


def _text(number: int) -> str:
    return f"{_KINDS[number % 10]} {_THINGS[number // 10 % 10]} number {number // 100}"


def _event(plan: Plan, draw: np.random.Generator, user: int) -> bytes:
    """Some items are touched more than others."""
    item = int(plan.items * draw.random() ** 2)
    drawn = draw.random()
    action = _ACTIONS[int(np.searchsorted(_UNTIL, drawn))]
    if action == "view" and drawn > plan.lists_share:
        action = "other"
    return orjson.dumps({"user_id": f"user-{user:07d}", "item_id": f"i{item}", "action": action})


def _memory(handler: RecommendHandler, plan: Plan, draw: np.random.Generator, progress: Progress) -> dict[str, Any]:
    """Users come, so many at a time; by how much memory grows with them, least squares. The first ones count as none:
    what reading itself takes is there after them."""
    handler.decide([])
    users, sizes = [], []
    each = max(plan.users // _STEPS, 1)
    for step in range(_STEPS):
        for first in range(step * each, (step + 1) * each, _AT_ONCE):
            some = np.arange(first, min(first + _AT_ONCE, (step + 1) * each))
            new = draw.permutation(np.repeat(some, plan.events_each)).tolist()
            handler.replay(_records(plan, draw, new))
            progress("users", handler.recommender.users, _STEPS * each)
        users.append(handler.recommender.users)
        sizes.append(rss_bytes(os.getpid()))
    slope = np.polyfit(users, sizes, 1)[0]
    return {
        "users": users,
        "mb": [round(size / 1e6, 1) for size in sizes],
        "events_each": plan.events_each,
        "gb_per_million_users": round(float(slope) * 1e6 / 1e9, 3),
    }


def _records(plan: Plan, draw: np.random.Generator, users: Iterable[int]) -> Iterator[Record]:
    for number, user in enumerate(users):
        offset, partition = divmod(number, _PARTITIONS)
        yield Record(_TOPIC, partition, offset, None, _event(plan, draw, user), wall_clock_ms())


def _load(
    handler: RecommendHandler,
    newcomers: _Newcomers,
    plan: Plan,
    draw: np.random.Generator,
    clock: Clock,
    progress: Progress,
) -> dict[str, Any]:
    count = int((plan.warm_up + plan.seconds) * plan.rate)
    users = (plan.users * draw.random(count) ** 2).astype(int).tolist()
    values = [_event(plan, draw, user) for user in users]
    state_bytes = dead_letters = 0
    has_list, computed = np.zeros(count, bool), np.zeros(count)
    taken_before = sum(handler.taken.values())

    def decide(first: int, last: int) -> None:
        nonlocal state_bytes, dead_letters
        batch = [
            Delivery(_TOPIC, number % _PARTITIONS, number // _PARTITIONS, None, values[number], wall_clock_ms())
            for number in range(first, last)
        ]
        begun = time.thread_time()
        for _, step in handler.steps:
            step(batch)
        computed[first:last] = (time.thread_time() - begun) * 1e3 / (last - first)
        newcomers.decided(handler.recommender)
        for number, delivery in enumerate(batch, first):
            has_list[number] = any(_EMPTY not in (record.value or b"") for record in delivery.result.records[:1])
            dead_letters += delivery.result.rejected_because is not None
            state_bytes += sum(len(record.value or b"") for record in delivery.result.records[1:])

    due = np.arange(count) / plan.rate
    newcomers.begun = clock.now()
    done = open_loop(decide, due, clock, lambda number: progress("events", number, count))
    counts = due >= plan.warm_up
    waited = (done - due) * 1e3
    seconds = float(done[-1] - plan.warm_up)
    lists = int((counts & has_list).sum())
    cold = np.array(newcomers.seconds)
    bulk = newcomers.bulk
    taken = np.inf if bulk is None or bulk.taken is None or newcomers.begun is None else bulk.taken - newcomers.begun
    meanwhile = counts & has_list & (due <= taken)
    return {
        "load": {
            "events_per_second": plan.rate,
            "lists_share": plan.lists_share,
            "events": int(counts.sum()),
            "lists": lists,
            "lists_per_second": round(lists / seconds, 1),
            "latency_ms": percentiles(waited[counts & has_list]) if lists else None,
            "latency_of_all_ms": percentiles(waited[counts]),
            "taken": sum(handler.taken.values()) - taken_before,
            "dead_letters": dead_letters,
            "state_bytes": state_bytes,
        },
        "cold": {"items": len(cold), "ms": percentiles(cold * 1e3) if len(cold) else None},
        "bulk": None if bulk is None else bulk.told(plan.bulk, waited[meanwhile], computed[meanwhile]),
    }


def _rebuild(plan: Plan, embed: Embed, draw: np.random.Generator, clock: Clock, progress: Progress) -> dict[str, Any]:
    """All events of the topic, as many as there are users, from the first on, until the next event is decided. Some
    users come more often than others: what they take of a list is learnt of again, which takes most of the time."""
    users = (plan.users * draw.random(plan.users) ** 2).astype(int).tolist()
    handler = _handler(plan, embed, _Past(list(_records(plan, draw, users))), lambda: ())
    progress("rebuild", 0, 1)
    batch = [Delivery(_TOPIC, 0, len(users), None, _event(plan, draw, 0), wall_clock_ms())]
    begun = clock.now()
    for _, step in handler.steps:
        step(batch)
    seconds = clock.now() - begun
    progress("rebuild", 1, 1)
    return {
        "events": len(users),
        "users": handler.recommender.users,
        "seconds": round(seconds, 2),
        "events_per_second": round(len(users) / max(seconds, 1e-9)),
    }
