"""Everything a campaign works with: services, processes, traffic, and what is known of them."""

import contextlib
import os
import random
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.faults.ledger import Agreed, Committed, Decided, Ledger, Left, Sent
from bench.faults.scene.cluster import BROKERS, Cluster
from bench.faults.scene.processes import COMMAND, STAGED, HeadraceProcess
from bench.faults.scene.proxy import StoreProxy
from bench.faults.scene.releases import ReleaseShelf
from bench.faults.scene.traffic import Loader, Positions, TopicFollower, decision_listener
from bench.faults.waiting import TimedOut, wait_until
from connectors.kafka.client import KafkaAdmin, KafkaPublisher, KafkaReader
from headrace.wiring import group_name
from streams.application import Application, HeadSpec
from streams.topics import ALERTS_TOPIC, RELEASES_TOPIC
from streams.wire.records import Release, decode

NAME = "faults"  # of the application, and so of its model, topics and groups: the cluster is the campaign's own
PARTITIONS = 6
KEYS = 60
SETTLE_SECONDS = 180.0
SIGNALS_IN_FLIGHT = 100  # records that a monitor may be behind while the traffic goes on
SUPERVISE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Ground:
    """What a campaign is run with. texts: any number of texts, sent over and over with a number. manifest, blobs: a
    release that answers them, as `models.bundle.pack` gives it. command: how the product's command line is called.
    cache: of the product's encoder graphs; services_cache: of the services' programs."""

    heads: Sequence[HeadSpec]
    texts: Sequence[str]
    manifest: Mapping[str, Any]
    blobs: Mapping[str, bytes]
    folder: Path
    cache: Path
    services_cache: Path
    events_per_second: float = 40.0
    command: Sequence[str] = STAGED


@dataclass(slots=True)
class Scene:
    """A context: services and processes run within the `with` block. workers: those that should run."""

    ground: Ground
    seed: int
    say: Any = print
    cluster: Cluster = field(init=False)
    proxy: StoreProxy = field(init=False)
    shelf: ReleaseShelf = field(init=False)
    ledger: Ledger = field(init=False)
    loader: Loader = field(init=False)
    decisions: TopicFollower = field(init=False)
    alerts: TopicFollower = field(init=False)
    positions: Positions = field(init=False)
    publisher: KafkaPublisher = field(init=False)
    indexer: HeadraceProcess = field(init=False)
    workers: list[HeadraceProcess] = field(default_factory=list)
    retrainers: list[HeadraceProcess] = field(default_factory=list)
    monitors: list[HeadraceProcess] = field(default_factory=list)
    heard_alerts: list[bytes] = field(default_factory=list)
    rng: random.Random = field(init=False)
    epoch: str = ""
    _started: int = 0
    _ending: threading.Event = field(default_factory=threading.Event)
    _closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __enter__(self) -> "Scene":
        try:
            self._set_up()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def app(self) -> Application:
        """The application of the campaign."""
        return Application(name=NAME, topic=f"{NAME}.events", partitions=PARTITIONS, heads=tuple(self.ground.heads))

    @property
    def worker_group(self) -> str:
        """The workers' consumer group."""
        return group_name("worker", NAME)

    def add_worker(self, *, static: bool = False) -> HeadraceProcess:
        """Start a worker; returns before it is ready."""
        self._started += 1
        name = f"worker-{self._started}"
        worker = self._process(name, "worker", instance=name if static else "")
        worker.start()
        self.workers.append(worker)
        return worker

    def remove_worker(self, worker: HeadraceProcess) -> int:
        """SIGTERM; returns its exit code."""
        self.workers.remove(worker)
        return worker.stop()

    def add_retrainer(self) -> HeadraceProcess:
        """Start a retrainer; returns when it is ready."""
        self._started += 1
        retrainer = self._process(f"retrainer-{self._started}", "retrainer")
        retrainer.start()
        self.retrainers.append(retrainer)
        retrainer.wait_ready()
        return retrainer

    def add_monitor(self) -> HeadraceProcess:
        """Start a monitor; returns before it is ready."""
        self._started += 1
        monitor = self._process(f"monitor-{self._started}", "monitor")
        monitor.start()
        self.monitors.append(monitor)
        return monitor

    def active_monitor(self) -> HeadraceProcess | None:
        """The one that has the signals."""
        return next((each for each in self.monitors if each.partitions(self.app.signals_topic)), None)

    def monitors_settled(self) -> bool:
        """Whether all monitors have their place, one of them the signals, and these are taken in so far."""
        end = self.positions.ends(self.app.signals_topic, 1)
        reached = self.positions.committed(group_name("monitor", NAME), self.app.signals_topic, 1)
        is_ready = all(each.is_ready() for each in self.monitors)
        return is_ready and self.active_monitor() is not None and end[0] - reached.get(0, 0) <= SIGNALS_IN_FLIGHT

    @property
    def stage(self) -> Path:
        """The folder of the switches that staged processes look at."""
        return self.ground.folder / "stage"

    def switch(self, name: str, *, on: bool) -> None:
        """See `bench.faults.scene.staged`."""
        (self.stage / name).touch() if on else (self.stage / name).unlink(missing_ok=True)

    def releases(self) -> list[Release]:
        """All that stands in `model.releases` of the application, in its order."""
        reader = KafkaReader(self.cluster.address)
        try:
            records = [record for record in reader.read(RELEASES_TOPIC) if record.key == NAME.encode()]
            return [decode(Release, record.value) for record in records]
        finally:
            reader.close()

    def wait_agreed(self, version: str, since: float, detail: str) -> None:
        """Wait until all workers serve `version`, and write down how long that took since then."""

        def agree() -> bool:
            return all(worker.serves(NAME) == version for worker in self.workers)

        seconds: float | None = None
        with contextlib.suppress(TimedOut):
            wait_until(agree, SETTLE_SECONDS, lambda: "", poll_seconds=0.2)
            seconds = max(time.monotonic() - since, 0.0)
        served = {worker.name: worker.serves(NAME) for worker in self.workers}
        self.ledger.append(Agreed(version, seconds, f"{detail}; {served}", time.monotonic()))

    def owners(self) -> dict[str, set[int]]:
        """Worker to the partitions that it says it has."""
        return {worker.name: worker.partitions(self.app.topic) for worker in self.workers if worker.is_alive}

    def all_owned(self) -> bool:
        """Whether each partition has one owner, and every worker has some."""
        owned = self.owners()
        spread = [p for partitions in owned.values() for p in partitions]
        return sorted(spread) == list(range(PARTITIONS)) and all(owned.values())

    def wait_all_owned(self) -> None:
        """Wait until the group has settled. Raises TimedOut."""
        wait_until(
            self.all_owned,
            SETTLE_SECONDS,
            lambda: f"partitions are not shared out: {self.owners()}; {self.tails()}",
            poll_seconds=0.3,
        )

    def confirmed(self) -> dict[int, int]:
        """Partition to the offset after the last event known to be in the log."""
        found: dict[int, int] = {}
        for entry in self.ledger.entries():
            if isinstance(entry, Sent):
                partition, offset = entry.source
                found[partition] = max(found.get(partition, 0), offset + 1)
        return found

    def decided_after(self, start: int) -> list[Decided]:
        """Decisions in the ledger from entry number `start` on."""
        return [entry for entry in self.ledger.entries(start) if isinstance(entry, Decided)]

    def look_at_commits(self) -> dict[int, int]:
        """The workers' positions, and into the ledger with them, once all decisions that stood there by then are
        read."""
        found = self.positions.committed(self.worker_group, self.app.topic, PARTITIONS)
        ends = self.positions.ends(self.app.decisions_topic, PARTITIONS)
        wait_until(
            lambda: self.decisions.has_read(ends), SETTLE_SECONDS, lambda: f"decisions up to {ends} were not read"
        )
        now = time.monotonic()
        for partition, offset in found.items():
            self.ledger.append(Committed(partition, offset, now))
        return found

    def indexed(self) -> dict[int, int]:
        """The indexer's positions in the decisions topic."""
        return self.positions.committed(group_name("indexer", NAME), self.app.decisions_topic, PARTITIONS)

    def tell(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the product to its end."""
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment(),
            cwd=self.ground.folder,
            capture_output=True,
            text=True,
            timeout=SETTLE_SECONDS,
        )

    def tails(self) -> str:
        """The ends of all logs."""
        return " || ".join(f"{process.name}: {process.tail()[-500:]}" for process in [*self.workers, self.indexer])

    def end_supervision(self) -> None:
        """From now on nobody is started again."""
        self._ending.set()

    def _set_up(self) -> None:
        ground, closing = self.ground, self._closing
        self.rng = random.Random(self.seed)
        self.stage.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(ground.folder / "ledger.jsonl")
        closing.callback(self.ledger.close)
        self.shelf = ReleaseShelf(ground.folder / "registry", NAME, ground.manifest, ground.blobs)
        self.cluster = Cluster(ground.services_cache, self.say)
        closing.callback(self.cluster.close)
        self.cluster.start()
        self.proxy = StoreProxy(self.cluster.elasticsearch)
        closing.callback(self.proxy.close)
        self._write_application()
        closing.callback(self._end_processes)
        self._start_processes()
        self._follow()
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()
        closing.callback(self.end_supervision)

    def _start_processes(self) -> None:
        self.say("starting two workers, an indexer and a monitor")
        self.add_worker(static=True).wait_ready()
        self.add_worker()
        self.indexer = self._process("indexer", "indexer")
        self.indexer.start()
        self.add_monitor()
        for process in (*self.workers, *self.monitors, self.indexer):
            process.wait_ready()

    def _follow(self) -> None:
        config = {"bootstrap.servers": self.cluster.address, "log_level": 0}
        admin = KafkaAdmin(self.cluster.address)
        self.epoch = admin.describe([self.app.topic])[self.app.topic].epoch
        admin.close()
        self.positions = Positions(config)
        self.publisher = KafkaPublisher(self.cluster.address)
        self._closing.callback(self.publisher.close)
        hear = decision_listener(self.ledger, self.epoch)
        self.decisions = TopicFollower(config, self.app.decisions_topic, PARTITIONS, hear)
        self.alerts = TopicFollower(
            config, ALERTS_TOPIC, 1, lambda message: self.heard_alerts.append(message.value() or b"")
        )
        self.loader = Loader(
            config,
            self.app.topic,
            self.ground.texts,
            self.ledger,
            keys=KEYS,
            per_second=self.ground.events_per_second,
            seed=self.seed,
        )
        for part in (self.decisions, self.alerts):
            part.start()
            self._closing.callback(part.close)
        self.loader.start()
        self._closing.callback(self.loader.stop)

    def _supervise(self) -> None:
        """What a process manager does: start again what left without being asked to, and write it down."""
        while not self._ending.wait(SUPERVISE_SECONDS):
            for process in [*self.workers, *self.retrainers, *self.monitors, self.indexer]:
                if process.is_wanted and not process.is_alive and not self._ending.is_set():
                    self.ledger.append(Left(process.name, process.code or 0, process.tail()[-400:], time.monotonic()))
                    self.say(
                        f"{process.name} left with code {process.code}, starting it again: {process.tail()[-300:]}"
                    )
                    process.start()

    def _end_processes(self) -> None:
        self.end_supervision()
        for process in [
            *self.workers,
            *self.retrainers,
            *self.monitors,
            *([self.indexer] if hasattr(self, "indexer") else []),
        ]:
            if process.is_alive:
                process.kill()

    def _process(self, name: str, role: str, *, instance: str = "") -> HeadraceProcess:
        arguments = [role, str(self._toml()), "--from-beginning", "--create-topics"]
        command = {"worker": self.ground.command, "retrainer": STAGED}.get(role, COMMAND)
        return HeadraceProcess(
            name, arguments, self.environment(), self.ground.folder, instance=instance, command=command
        )

    def environment(self) -> dict[str, str]:
        """Of every process of the product."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
        return kept | {
            "HEADRACE_BROKER": f"kafka://{self.cluster.address}",
            "HEADRACE_STORE": self.proxy.url,
            "HEADRACE_REGISTRY": str(self.ground.folder / "registry"),
            "HEADRACE_HOME": str(self.ground.folder / "home"),
            "HEADRACE_CACHE": str(self.ground.cache),
            "HEADRACE_REPLICATION": str(BROKERS),
            "HEADRACE_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "FAULTS_STAGE": str(self.stage),
            "FAULTS_SOURCE": str(self.ground.folder / "registry"),
        }

    def _toml(self) -> Path:
        return self.ground.folder / f"{NAME}.toml"

    def _write_application(self) -> None:
        app = self.app
        heads = "".join(f'[[heads]]\nname = "{head.name}"\ncolumn = "{head.column}"\n' for head in app.heads)
        self._toml().write_text(
            f'name = "{app.name}"\ntopic = "{app.topic}"\npartitions = {app.partitions}\n[source]\ntext = '
            f'"/text"\nkeep = "all"\n{heads}',
            encoding="utf-8",
        )
