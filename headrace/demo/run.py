"""Runs the demo: real roles on the embedded broker, people on both sides, and a count at the end that is measured."""

import asyncio
import csv
import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import Publisher
from headrace.applications import load_application
from headrace.demo.desk import Desk, Listener, Talks
from headrace.demo.ledger import Ledger, NewItem
from headrace.demo.people import Agents, Customers, Source, Watcher, event_source, text_source
from headrace.demo.report import measured
from headrace.demo.scenario import (
    BANK_QUESTIONS,
    NEW_ITEM,
    NEW_ITEM_SHARE,
    ONSET_SHARE,
    TROUBLE,
    TROUBLE_SHARE,
    TROUBLED,
    LabelledText,
    Pools,
    TextStream,
    read_texts,
    split_pools,
)
from headrace.demo.telling import Teller
from headrace.process.builder import RoleBuilder
from headrace.process.runtime import Runtime
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.settings import Settings
from headrace.tools.answers.bank import AnswerBank
from headrace.tools.answers.reading import read_answers
from headrace.wiring import Wiring, group_name
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.metrics import Metrics
from streams.monitor.retrain_policy import RetrainPolicy

log = logging.getLogger(__name__)

EVENTS = {"support": 2_000, "finance": 700, "recommend": 1_000}
ENOUGH_LABELS = 450  # after the drift; of fewer, some hold too few texts of the new subjects to tell a better model
STILL_SECONDS = 60.0  # without a decision at the end; how long the rest takes depends on the machine
POLL_SECONDS = 0.2
MONITOR_SECONDS = 120.0
READERS_SECONDS = 60.0  # of people who still write what they had begun, at the end
TRAINING_NICENESS = 3


@dataclass(frozen=True, slots=True)
class DemoOrder:
    """What to show. seconds: how long customers write; the number of events stays the same."""

    apps: tuple[str, ...]
    seconds: float
    seed: int
    has_drift: bool


class Demo:
    """One run, in a home of its own below HEADRACE_HOME/demo, made new each time."""

    def __init__(self, settings: Settings, order: DemoOrder) -> None:
        self.order = order
        self._home = settings.home_path / "demo"
        shutil.rmtree(self._home, ignore_errors=True)
        self._home.mkdir(parents=True)
        self._settings = settings.model_copy(
            update={
                "broker": "embedded",
                "home": self._home,
                "store": "",
                "registry": "",
                "instance": "",
                "retention_days": 0,
            }
        )
        self.wiring = Wiring(self._settings)
        self.ledger = Ledger(order.apps)
        self._streams: dict[str, TextStream] = {}
        self._banks: dict[str, Path] = {}
        self._closers: list[Callable[[], None]] = []
        self.talks: dict[str, Talks] = {}  # of applications that hand over
        self._shop: Publisher | None = None  # writes to the catalogue
        self.teller: Teller | None = None
        self.apps = [
            self._prepare(load_application(name), random.Random(f"{order.seed}-{name}")) for name in order.apps
        ]
        self.builder: RoleBuilder | None = None

    def set_up(self, progress: Callable[[str, int, int], None]) -> None:
        """Broker, topics, first releases, roles."""
        broker = self.wiring.start_embedded_broker()
        builder = RoleBuilder(self.wiring, self.apps, from_beginning=True, metrics=Metrics())
        builder.create_topics(with_sources=True)
        self._fill_banks(progress)
        builder.add_workers(progress)
        builder.add_indexer()
        builder.add_monitor(RetrainPolicy(after_episode=ENOUGH_LABELS), seed=self.order.seed)
        builder.add_retrainer(seed=self.order.seed)
        builder.add_dispatcher()
        self.teller = Teller(self.ledger, builder.built, self.order.seconds)
        builder.built.on_swapped.append(self.teller.swapped)
        self.builder, self._epoch = builder, broker.epoch or ""

    async def run(self) -> int:
        """Until the story is over and everything sent is decided and indexed. Returns an exit code."""
        assert self.builder is not None
        runtime = Runtime(self.builder.built.roles, stop_seconds=self._settings.stop_seconds)
        ready = asyncio.Event()

        async def on_ready() -> None:
            ready.set()

        async def story() -> None:
            await ready.wait()
            await self._tell_story()

        try:
            return await runtime.run(on_ready, alongside=story())
        finally:
            for close in self._closers:
                close()
            self.builder.built.close()

    def report(self) -> dict[str, Any]:
        """The contract's object."""
        assert self.builder is not None
        report = measured(self.ledger, self.builder.built, self.wiring, self.apps, self._streams, self._epoch)
        return report | {"conversations": {name: talks.report() for name, talks in self.talks.items()}}

    def close(self) -> None:
        """End the broker; everything in its topics is gone."""
        self.wiring.close()

    # --- the parts of the story

    def _prepare(self, app: Application, rng: random.Random) -> Application:
        """Cut the corpus, so that the stream's texts are none that the release was trained on."""
        if app.kind == "recommend":
            assert app.catalog is not None
            with app.catalog.open(encoding="utf-8", newline="") as file:
                self.ledger.titles.update({row["item_id"]: row["title"] for row in csv.DictReader(file)})
            return app
        assert app.corpus is not None
        known = read_texts(app.corpus, app.head_names)
        new_file = app.corpus.with_name(f"{app.corpus.stem}_new_subjects.csv")
        new = read_texts(new_file, app.head_names, is_new=True) if new_file.exists() else []
        pools = split_pools(known, new, app.head_names[0], rng)
        self._streams[app.name] = TextStream(pools, rng)
        answers = app.corpus.with_name(f"{app.corpus.stem}_answers.csv")
        if app.answer_bank is not None and answers.exists():
            self._banks[app.name] = answers
        # a story must go on: on a busy machine a training that steps back behind everything would not end
        haste = app.retraining.model_copy(update={"cores": os.cpu_count() or 1, "niceness": TRAINING_NICENESS})
        update: dict[str, Any] = {"corpus": _write_corpus(self._home / f"{app.name}.csv", app, pools)}
        if app.entities is not None:
            names = _write_names(self._home / f"{app.name}_names.csv", app.entities.names)
            update["entities"] = app.entities.model_copy(update={"names": names})
        return app.model_copy(update={"retraining": haste} | update)

    def _fill_banks(self, progress: Callable[[str, int, int], None]) -> None:
        """Shipped answers, into the store: workers get them from there, as the broker is embedded."""
        for app in self.apps:
            if app.name not in self._banks:
                continue
            entries, _ = read_answers(self._banks[app.name])
            store, encoder = self.wiring.answers(app.name), default_encoder(with_encoder_of(app, self.wiring))
            try:
                AnswerBank(store, encoder).add(entries, progress)
            finally:
                store.close()
                encoder.close()

    async def _tell_story(self) -> None:
        publisher = self.wiring.publisher({app.topic: group_name("worker", app.name) for app in self.apps})
        readers: list[Watcher | Agents | Desk | Listener] = [self._watcher(), *map(self._agents, self.apps)]
        readers += [reader for app in self.apps if app.hand_over is not None for reader in self._desk(app)]
        try:
            await self._play(publisher)
        finally:
            await asyncio.to_thread(end_readers, readers)

    async def _play(self, publisher: Publisher) -> None:
        """What customers write, until all of it is decided and told."""
        customers = Customers(publisher, self.ledger, self._sources(), self._epoch, self._before_event)
        self._closers.append(publisher.close)
        self._shop = self.wiring.publisher()
        self._closers.append(self._shop.close)
        await self._until_monitors_watch()
        self.ledger.begin()
        self.ledger.tell(
            f"{len(self.apps)} streams are open; the first models were trained on texts that no customer will send"
        )
        customers.start()
        try:
            await self._wait_for_the_end(customers)
        finally:
            await asyncio.to_thread(customers.stop)
        if customers.failure is not None:
            raise customers.failure
        await self._drain()

    async def _until_monitors_watch(self) -> None:
        """On a busy machine they read themselves in for half a minute, and the drift would be over before."""
        assert self.builder is not None
        deadline = time.monotonic() + MONITOR_SECONDS
        monitors = list(self.builder.built.monitors.values())
        while any(monitor.core is None for monitor in monitors) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)

    def _watcher(self) -> Watcher:
        watcher = Watcher(self.wiring.reader(), self.ledger)
        watcher.start()
        return watcher

    def _agents(self, app: Application) -> Agents:
        publisher = self.wiring.publisher()
        rng = random.Random(f"{self.order.seed}-{app.name}-agents")
        agents = Agents(app, self.wiring.reader(), publisher, self.ledger, self._streams.get(app.name), rng)
        self._closers.append(publisher.close)
        agents.start()
        return agents

    def _desk(self, app: Application) -> tuple[Desk, Listener]:
        talks = self.talks[app.name] = Talks()
        publisher = self.wiring.publisher()
        self._closers.append(publisher.close)
        desk = Desk(app, self.wiring.reader(), publisher, self.ledger, talks)
        listener = Listener(app, self.wiring.reader(), talks)
        desk.start()
        listener.start()
        return desk, listener

    def _sources(self) -> dict[str, tuple[Application, Source, float]]:
        sources: dict[str, tuple[Application, Source, float]] = {}
        for app in self.apps:
            rng = random.Random(f"{self.order.seed}-{app.name}-customers")
            if app.kind == "recommend":
                assert app.corpus is not None
                with app.corpus.open(encoding="utf-8", newline="") as file:
                    source = event_source(list(csv.DictReader(file)))
            else:
                questions = BANK_QUESTIONS if app.name in self._banks else ()
                source = text_source(app, self._streams[app.name], rng, questions)
            sources[app.name] = (app, source, EVENTS.get(app.name, 500) / self.order.seconds)
        return sources

    def _before_event(self, app: str, number: int) -> None:
        self._maybe_new_item(app, number)
        self._maybe_trouble(app, number)
        stream = self._streams.get(app)
        if not self.order.has_drift or stream is None or stream.has_drifted or not stream.pools.new:
            return
        if number >= EVENTS[app] * ONSET_SHARE:
            stream.has_drifted = True
            self.ledger.streams[app].onset_event = number
            self.ledger.tell(f"event {number} of {app}: customers start to ask about something the model never saw")

    def _maybe_new_item(self, name: str, number: int) -> None:
        """Halfway through, the shop has something new."""
        app = next(app for app in self.apps if app.name == name)
        topic = app.recommend.catalog_topic
        if app.kind != "recommend" or topic is None or number != int(EVENTS.get(name, 500) * NEW_ITEM_SHARE):
            return
        assert self._shop is not None
        item = NewItem(name, NEW_ITEM["item_id"], NEW_ITEM["title"], wall_clock_ms())
        self.ledger.appeared(item)
        self._shop.send(topic, orjson.dumps(NEW_ITEM), item.item_id.encode(), timestamp_ms=item.appeared_ms)
        self._shop.flush()

    def _maybe_trouble(self, name: str, number: int) -> None:
        """Some way in, one company is in the news for nothing but bad things."""
        app = next(app for app in self.apps if app.name == name)
        if app.entities is None or app.entities.head is None or number != int(EVENTS.get(name, 500) * TROUBLE_SHARE):
            return
        heads = (app.head_names[0], app.entities.head)
        self._streams[name].put_between(
            [LabelledText(text, dict(zip(heads, (topic, "negative"), strict=True))) for topic, text in TROUBLE]
        )
        self.ledger.tell(f"event {number} of {name}: {TROUBLED['name']} is in trouble, item after item")

    async def _wait_for_the_end(self, customers: Customers) -> None:
        assert self.teller is not None
        while customers.is_alive():
            await asyncio.sleep(0.2)
            self.teller.tell()
            expects_release = any(stream.has_drifted for stream in self._streams.values())
            if self.teller.is_over(expects_release=expects_release):
                return

    async def _drain(self) -> None:
        assert self.builder is not None
        built = self.builder.built
        left = await until_none_left(
            lambda: self.ledger.undecided() + self.ledger.events() - built.indexed.created + self._untold(),
            STILL_SECONDS,
        )
        if left:
            log.warning("%d decisions were not made, indexed or told, and nothing has moved for a while", left)

    def _untold(self) -> int:
        """How many customers wait for a word: each is told something, and each message is a conversation of its own."""
        with self.ledger.lock:
            asked = {name: len(self.ledger.streams[name].truth) for name in self.talks}
        return sum(max(asked[name] - talks.customers, 0) for name, talks in self.talks.items())


def end_readers(readers: Sequence[Watcher | Agents | Desk | Listener], seconds: float = READERS_SECONDS) -> None:
    """Let them finish the record that they have: what they write goes to a broker and publishers that are ended
    next."""
    for reader in readers:
        reader.close()
    for reader in readers:
        reader.join(seconds)
        if reader.is_alive():
            log.warning("%s has not ended within %g s", reader.name, seconds)


async def until_none_left(left: Callable[[], int], still_seconds: float) -> int:
    """Wait as long as it gets less. Returns what is left once nothing has moved for so long."""
    last, moved = left(), time.monotonic()
    while last > 0 and time.monotonic() - moved < still_seconds:
        await asyncio.sleep(POLL_SECONDS)
        now = left()
        if now != last:
            last, moved = now, time.monotonic()
    return max(last, 0)


def _write_names(path: Path, shipped: Path) -> Path:
    """The shipped list, and the company that the story is about."""
    with shipped.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(TROUBLED))
        writer.writeheader()
        writer.writerows([*rows, TROUBLED])
    return path


def _write_corpus(path: Path, app: Application, pools: Pools) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", *(head.column for head in app.heads)])
        writer.writeheader()
        columns = {head.name: head.column for head in app.heads}
        for text in pools.train:
            writer.writerow({"text": text.text} | {columns[head]: label for head, label in text.labels.items()})
    return path
