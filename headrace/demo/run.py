"""Runs the demo: real roles on the embedded broker, people on both sides, and a count at the end that is measured."""

import asyncio
import csv
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.ports import TopicReader
from headrace.applications import load_application
from headrace.demo.ledger import Ledger
from headrace.demo.people import Agents, Customers, Source, event_source, text_source
from headrace.demo.scenario import ONSET_SHARE, LabelledText, Pools, TextStream, read_texts, split_pools
from headrace.process.builder import RoleBuilder
from headrace.process.runtime import Runtime
from headrace.settings import Settings
from headrace.wiring import Wiring, group_name
from models.classifier import Classifier
from streams import topics
from streams.application import Application
from streams.classify.release_loading import load_release
from streams.metrics import Metrics
from streams.monitor.retrain_policy import RetrainPolicy
from streams.wire.records import Release

log = logging.getLogger(__name__)

EVENTS = {"support": 1_500, "finance": 700, "recommend": 1_000}
AFTER_RELEASE_SHARE = 0.2  # of the planned time that goes on after a release, so that its effect is seen
PATIENCE_SECONDS = 75.0  # how much longer than planned the story may take until a better model is there
TRAINING_PATIENCE_SECONDS = 300.0  # the same while a challenger is in training: on a busy machine that takes minutes
DRAIN_SECONDS = 30.0


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
        self._closers: list[Callable[[], None]] = []
        self._released = threading.Event()
        self._told_episodes = self._told_requests = self._told_verdicts = 0
        self.apps = [
            self._prepare(load_application(name), random.Random(f"{order.seed}-{name}")) for name in order.apps
        ]
        self.builder: RoleBuilder | None = None

    def set_up(self, progress: Callable[[str, int, int], None]) -> None:
        """Broker, topics, first releases, roles."""
        broker = self.wiring.start_embedded_broker()
        builder = RoleBuilder(self.wiring, self.apps, from_beginning=True, metrics=Metrics())
        builder.create_topics(with_sources=True)
        builder.add_workers(progress)
        builder.add_indexer()
        builder.add_monitor(RetrainPolicy(after_episode=100), seed=self.order.seed)
        builder.add_retrainer(seed=self.order.seed)
        builder.built.on_swapped.append(self._on_swapped)
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
        self._compare_releases()
        lost, duplicated, indexed, letters = self._count()
        totals = [monitor.counts for monitor in self.builder.built.monitors.values()]
        return {
            "events": self.ledger.events(),
            "decisions": sum(len(stream.decided) for stream in self.ledger.streams.values()),
            "indexed": indexed,
            "deadletters": letters,
            "accuracy": {app: round(s.accuracy, 4) for app, s in self.ledger.streams.items() if s.accuracy is not None}
            | self._hit_rates(),
            "latency_ms": self.ledger.latency(),
            "drift": [self._episode(app, episode) for of_app in totals for app, episode in of_app.episodes],
            "releases": self.ledger.swaps,
            "alerts": sum(of_app.alerts for of_app in totals),
            "lost": lost,
            "duplicated": duplicated,
            "corrections": self.ledger.corrections,
        }

    def close(self) -> None:
        """End the broker; everything in its topics is gone."""
        self.wiring.close()

    # --- the parts of the story

    def _prepare(self, app: Application, rng: random.Random) -> Application:
        """Cut the corpus, so that the stream's texts are none that the release was trained on."""
        if app.kind == "recommend":
            return app
        assert app.corpus is not None
        known = read_texts(app.corpus, app.head_names)
        new_file = app.corpus.with_name(f"{app.corpus.stem}_new_subjects.csv")
        new = read_texts(new_file, app.head_names, is_new=True) if new_file.exists() else []
        pools = split_pools(known, new, app.head_names[0], rng)
        self._streams[app.name] = TextStream(pools, rng)
        return app.model_copy(update={"corpus": _write_corpus(self._home / f"{app.name}.csv", app, pools)})

    async def _tell_story(self) -> None:
        publisher = self.wiring.publisher({app.topic: group_name("worker", app.name) for app in self.apps})
        agents = [self._agents(app) for app in self.apps]
        customers = Customers(publisher, self.ledger, self._sources(), self._epoch, self._before_event)
        self._closers.append(publisher.close)
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
        for agent in agents:
            agent.close()

    def _agents(self, app: Application) -> Agents:
        publisher = self.wiring.publisher()
        rng = random.Random(f"{self.order.seed}-{app.name}-agents")
        agents = Agents(app, self.wiring.reader(), publisher, self.ledger, self._streams.get(app.name), rng)
        self._closers.append(publisher.close)
        agents.start()
        return agents

    def _sources(self) -> dict[str, tuple[Application, Source, float]]:
        sources: dict[str, tuple[Application, Source, float]] = {}
        for app in self.apps:
            rng = random.Random(f"{self.order.seed}-{app.name}-customers")
            if app.kind == "recommend":
                assert app.corpus is not None
                with app.corpus.open(encoding="utf-8", newline="") as file:
                    source = event_source(list(csv.DictReader(file)))
            else:
                source = text_source(app, self._streams[app.name], rng)
            sources[app.name] = (app, source, EVENTS.get(app.name, 500) / self.order.seconds)
        return sources

    def _before_event(self, app: str, number: int) -> None:
        stream = self._streams.get(app)
        if not self.order.has_drift or stream is None or stream.has_drifted or not stream.pools.new:
            return
        if number >= EVENTS[app] * ONSET_SHARE:
            stream.has_drifted = True
            self.ledger.streams[app].onset_event = number
            self.ledger.tell(f"event {number} of {app}: customers start to ask about something the model never saw")

    async def _wait_for_the_end(self, customers: Customers) -> None:
        started, released_at = time.monotonic(), None
        while customers.is_alive():
            await asyncio.sleep(0.2)
            self._tell_what_the_roles_found()
            now = time.monotonic() - started
            if self._released.is_set() and released_at is None:
                released_at = now
            expects_release = any(stream.has_drifted for stream in self._streams.values())
            settled = released_at is not None and now >= released_at + self.order.seconds * AFTER_RELEASE_SHARE
            is_training = self._told_requests > self._told_verdicts
            patient = now < self.order.seconds + (TRAINING_PATIENCE_SECONDS if is_training else PATIENCE_SECONDS)
            if now >= self.order.seconds and (not expects_release or settled or not patient):
                return

    def _tell_what_the_roles_found(self) -> None:
        assert self.builder is not None
        job = self.builder.built.job
        assert job is not None
        totals = [monitor.counts for monitor in self.builder.built.monitors.values()]
        episodes = [episode for of_app in totals for episode in of_app.episodes]
        requests = [request for of_app in totals for request in of_app.requests]
        for app, episode in episodes[self._told_episodes :]:
            self.ledger.tell(f"drift in {app}: {episode.summary}")
        for request in requests[self._told_requests :]:
            labels = request.evidence["labels"]
            self.ledger.tell(f"{labels} corrections of {request.app} are in: a challenger is asked for")
        for app, verdict in job.verdicts[self._told_verdicts :]:
            self.ledger.tell(f"challenger of {app}: {verdict}")
        self._told_episodes, self._told_requests = len(episodes), len(requests)
        self._told_verdicts = len(job.verdicts)

    async def _drain(self) -> None:
        assert self.builder is not None
        deadline = time.monotonic() + DRAIN_SECONDS
        built = self.builder.built
        while time.monotonic() < deadline:
            if not self.ledger.undecided() and built.indexed.created >= self.ledger.events():
                return
            await asyncio.sleep(0.2)

    def _on_swapped(self, release: Release, seconds: float) -> None:
        self.ledger.tell(
            f"{release.model}@{release.champion} serves since a moment ({seconds:.1f} s to load, prove and warm "
            f"up); nothing stopped"
        )
        self.ledger.swaps.append({"app": release.model, "from": release.previous, "to": release.champion})
        self._released.set()

    # --- the count

    def _compare_releases(self) -> None:
        """Both releases on the same held-out texts of after the onset."""
        registry = self.wiring.registry()
        for swap in self.ledger.swaps:
            held_out = self._streams[swap["app"]].held_out_after_onset()
            primary = next(app for app in self.apps if app.name == swap["app"]).head_names[0]
            for key, version in (("accuracy_before", swap["from"]), ("accuracy_after", swap["to"])):
                swap[key] = round(_accuracy(load_release(registry, swap["app"], version), held_out, primary), 4)
            swap["held_out_texts"] = len(held_out)

    def _count(self) -> tuple[int, int, int, int]:
        """lost, duplicated, indexed, dead letters: confirmations against what stands in store and dead letters."""
        store, reader = self.wiring.store(), self.wiring.reader()
        try:
            confirmed = {identity for stream in self.ledger.streams.values() for identity in stream.truth}
            ids = [identity for app in self.apps for identity in store.ids(app.name)]
            letters = _dead_letter_ids(reader, self._epoch)
            return len(confirmed - set(ids) - letters), len(ids) - len(set(ids)), len(ids), len(letters)
        finally:
            store.close()
            reader.close()

    def _episode(self, app: str, episode: Any) -> dict[str, Any]:
        return {
            "app": app,
            "onset_event": self.ledger.streams[app].onset_event,
            "detected_event": episode.detected_event,
            "estimated_onset": episode.onset_event,
            "summary": episode.summary,
        }

    def _hit_rates(self) -> dict[str, float]:
        assert self.builder is not None
        return {name: round(r.recommender.quality.hit_rate, 4) for name, r in self.builder.built.recommenders.items()}


def _write_corpus(path: Path, app: Application, pools: Pools) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", *(head.column for head in app.heads)])
        writer.writeheader()
        columns = {head.name: head.column for head in app.heads}
        for text in pools.train:
            writer.writerow({"text": text.text} | {columns[head]: label for head, label in text.labels.items()})
    return path


def _accuracy(classifier: Classifier, texts: Sequence[LabelledText], head: str) -> float:
    decisions = classifier.classify_texts([text.text for text in texts])
    right = sum(
        decision.heads[head].label == text.labels[head] for decision, text in zip(decisions, texts, strict=True)
    )
    return right / len(texts)


def _dead_letter_ids(reader: TopicReader, epoch: str) -> set[str]:
    from connectors.deadletters import read_origin
    from streams.wire.records import decision_id

    origins: Iterable[Any] = (read_origin(record.headers) for record in reader.read(topics.DEAD_LETTERS_TOPIC))
    return {decision_id(origin.topic, epoch, origin.partition, origin.offset) for origin in origins}
