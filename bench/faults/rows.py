"""The faults. Each strikes in mid-work and is only counted once somebody has seen it.

    prepare       bring about what the fault needs; no part of it
    inject        do the harm
    is_seen       whether a client, or the group, has noticed
    heal          undo it, where that is somebody's work
    is_recovered  what must be true afterwards, beside new decisions and commits in every partition
    guarantee     "once": nothing was broken off, so no decision may be written twice; "at least once": repeats are allowed
"""

import time
from collections.abc import Sequence
from typing import ClassVar, Final

import orjson

from bench.faults.cluster import BROKERS
from bench.faults.ledger import Guarantee
from bench.faults.processes import HeadraceProcess
from bench.faults.proxy import Mode
from bench.faults.releases import BROKEN
from bench.faults.scene import NAME, PARTITIONS, Scene
from models.errors import HeadraceError

KILL_LIMIT_SECONDS = 15.0  # new decisions after a kill -9: the session must run out first
STATIC_LIMIT_SECONDS = 6.0  # with a static member id, where the restart itself takes the partitions back
STORE_DOWN_SECONDS = 20.0
LEAST_WORKERS, MOST_WORKERS = 2, 4
REFUSALS = 5  # of the store before a fault counts as seen


class Fault:
    """A row. concerned: partitions whose new decisions are waited for; found out by `prepare`. detail: for the report."""

    name: ClassVar[str]
    guarantee: ClassVar[Guarantee] = "at least once"
    kill: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    limit: ClassVar[float | None] = None
    by_index: ClassVar[bool] = False  # recovery is measured from healing to documents, not from the injection to decisions

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.concerned = set(range(PARTITIONS))
        self.detail = ""

    def prepare(self) -> None:
        """Nothing."""

    def inject(self) -> None:
        """Do the harm."""
        raise NotImplementedError

    def is_seen(self) -> bool:
        """Whether it has been noticed."""
        raise NotImplementedError

    def heal(self) -> None:
        """Nothing."""

    def is_recovered(self) -> bool:
        """Whether the group has settled."""
        return self.scene.all_owned()

    def _pick(self, workers: Sequence[HeadraceProcess]) -> HeadraceProcess:
        victim = self.scene.rng.choice(workers)
        self.detail = victim.name
        return victim

    def _plain_workers(self) -> list[HeadraceProcess]:
        return [worker for worker in self.scene.workers if not worker.instance]


class WorkerKilled(Fault):
    """kill -9; the group must notice by itself and hand the partitions to those who live. Only then a new one starts."""

    name = "worker killed"
    kill = True
    limit = KILL_LIMIT_SECONDS

    def prepare(self) -> None:
        """Choose the victim."""
        self._victim = self._pick(self._plain_workers())
        self.concerned = self._victim.partitions(self.scene.app.topic)

    def inject(self) -> None:
        """kill -9."""
        self._victim.kill()
        self.scene.workers.remove(self._victim)

    def is_seen(self) -> bool:
        """Whether the others have taken over."""
        return self.scene.all_owned()

    def heal(self) -> None:
        """A new worker in its place."""
        self.scene.add_worker()


class StaticWorkerKilled(Fault):
    """kill -9 of a worker with a static member id, and a restart at once, as a process manager does it."""

    name = "static worker killed"
    kill = True
    limit = STATIC_LIMIT_SECONDS

    def prepare(self) -> None:
        """Choose the victim."""
        self._victim = self._pick([worker for worker in self.scene.workers if worker.instance])
        self.concerned = self._victim.partitions(self.scene.app.topic)

    def inject(self) -> None:
        """kill -9."""
        self._victim.kill()

    def is_seen(self) -> bool:
        """Whether the process is gone by the signal."""
        return self._victim.code == -9

    def heal(self) -> None:
        """The same process again."""
        self._victim.start()


class WorkerStopped(Fault):
    """SIGTERM: it drains, commits and leaves; then it is started again."""

    name = "worker stopped"
    guarantee = "once"

    def prepare(self) -> None:
        """Choose the victim."""
        self._victim = self._pick(self.scene.workers)
        self.concerned = self._victim.partitions(self.scene.app.topic)

    def inject(self) -> None:
        """SIGTERM."""
        self._victim.ask_to_stop()

    def is_seen(self) -> bool:
        """Whether it has left, and said that all was finished."""
        return self._victim.code == 0

    def heal(self) -> None:
        """The same process again."""
        self._victim.start()


class WorkerAdded(Fault):
    """One more worker: partitions move while they are being worked on."""

    name = "worker added"
    guarantee = "once"

    def prepare(self) -> None:
        """Make room."""
        if len(self.scene.workers) >= MOST_WORKERS:
            self.scene.remove_worker(self._plain_workers()[0])
            self.scene.wait_all_owned()

    def inject(self) -> None:
        """Start it."""
        self._added = self.scene.add_worker()
        self.detail = self._added.name

    def is_seen(self) -> bool:
        """Whether it was given partitions."""
        return bool(self._added.partitions(self.scene.app.topic))


class WorkerRemoved(Fault):
    """One worker fewer for good: the others take its partitions."""

    name = "worker removed"
    guarantee = "once"

    def prepare(self) -> None:
        """There must be one to spare."""
        if len(self.scene.workers) <= LEAST_WORKERS:
            self.scene.add_worker()
            self.scene.wait_all_owned()
        self._victim = self._pick(self._plain_workers())
        self.concerned = self._victim.partitions(self.scene.app.topic)

    def inject(self) -> None:
        """SIGTERM."""
        self._victim.ask_to_stop()
        self.scene.workers.remove(self._victim)

    def is_seen(self) -> bool:
        """Whether it has left and the others have its partitions."""
        return self._victim.code == 0 and self.scene.all_owned()


class IndexerKilled(Fault):
    """kill -9 of the indexer, and a restart."""

    name = "indexer killed"
    kill = True
    by_index = True

    def inject(self) -> None:
        """kill -9."""
        self.scene.indexer.kill()

    def is_seen(self) -> bool:
        """Whether the process is gone by the signal."""
        return self.scene.indexer.code == -9

    def heal(self) -> None:
        """The same process again."""
        self.scene.indexer.start()


class BrokerKilled(Fault):
    """kill -9 of one of three brokers, which is a controller as well, and its restart once the cluster has noticed."""

    name = "broker killed"
    outage = True

    def prepare(self) -> None:
        """Choose one."""
        self._node = self.detail = self.scene.rng.choice(self.scene.cluster.nodes)

    def inject(self) -> None:
        """kill -9."""
        self.scene.cluster.kill(self._node)

    def is_seen(self) -> bool:
        """Whether the cluster counts it out."""
        return self.scene.positions.brokers() == BROKERS - 1

    def heal(self) -> None:
        """Start it again."""
        self.scene.cluster.restart_kafka()

    def is_recovered(self) -> bool:
        """Whether the cluster is whole."""
        return self.scene.positions.brokers() == BROKERS and super().is_recovered()


class StoreDown(Fault):
    """Elasticsearch is killed, and nobody meets it for 20 s. It starts again within that time, as its start takes long; until
    the time is over the proxy, which everybody goes through, is as gone as it was."""

    name = "store down"
    outage = True
    by_index = True

    def inject(self) -> None:
        """kill -9."""
        self._broken = self.scene.proxy.broken
        self._since = time.monotonic()
        self.scene.cluster.kill("elasticsearch")

    def is_seen(self) -> bool:
        """Whether the indexer has met nobody there."""
        return self.scene.proxy.broken > self._broken

    def heal(self) -> None:
        """Start it again, and let nobody through before the time is over."""
        self.scene.proxy.mode = "gone"
        self.scene.cluster.restart_elasticsearch()
        time.sleep(max(self._since + STORE_DOWN_SECONDS - time.monotonic(), 0.0))
        self.scene.proxy.mode = "pass"
        self.detail = f"away for {time.monotonic() - self._since:.0f} s"


class StoreBusy(Fault):
    """Elasticsearch refuses to index for now: with 429, with 503, or some documents of each bulk with 429."""

    name = "store busy"
    outage = True
    by_index = True
    modes: ClassVar[tuple[Mode, ...]] = ("429", "503", "partial")

    def inject(self) -> None:
        """Switch the proxy."""
        self._refused = self.scene.proxy.refused
        mode: Mode = self.scene.rng.choice(self.modes)
        self.detail = mode
        self.scene.proxy.mode = mode

    def is_seen(self) -> bool:
        """Whether the indexer was refused several times."""
        return self.scene.proxy.refused - self._refused >= REFUSALS

    def heal(self) -> None:
        """Let everything pass again."""
        self.scene.proxy.mode = "pass"


class ReleasePromoted(Fault):
    """Another release becomes champion in the middle of it all."""

    name = "release promoted"
    guarantee = "once"

    def inject(self) -> None:
        """`headrace models promote`."""
        shelf = self.scene.shelf
        self._start = len(self.scene.ledger)
        self._version = next(version for version in shelf.good if version != shelf.champion)
        self.detail = f"{shelf.champion} to {self._version}"
        done = self.scene.tell("models", "promote", f"{NAME}@{self._version}", "--json")
        if done.returncode or not orjson.loads(done.stdout)["announced"]:
            raise HeadraceError(f"models promote {NAME}@{self._version} failed ({done.returncode}): {done.stdout} {done.stderr[-300:]}")

    def is_seen(self) -> bool:
        """Whether all workers serve it, and every partition has decisions of it."""
        partitions = {each.source[0] for each in self.scene.decided_after(self._start) if each.version == self._version}
        return _all_serve(self.scene, self._version) and partitions == set(range(PARTITIONS))


class BrokenReleaseAnnounced(Fault):
    """A release that is broken is announced past all checks: workers must refuse it, go on, and raise an alert."""

    name = "broken release announced"
    guarantee = "once"

    def prepare(self) -> None:
        """Publish it."""
        self.detail = self.scene.rng.choice(BROKEN)
        self._version, self._sha256 = self.scene.shelf.publish_broken(self.detail)

    def inject(self) -> None:
        """Announce it."""
        self._alerts = len(self.scene.heard_alerts)
        self.scene.shelf.announce(self.scene.publisher, self._version, self._sha256)

    def is_seen(self) -> bool:
        """Whether an alert names it."""
        alerts = [orjson.loads(value) for value in self.scene.heard_alerts[self._alerts :]]
        return any(alert["rule"] == "release_refused" and f"{NAME}@{self._version}" in alert["summary"] for alert in alerts)

    def heal(self) -> None:
        """Announce the champion, as an operator would."""
        self.scene.shelf.announce(self.scene.publisher, self.scene.shelf.champion)

    def is_recovered(self) -> bool:
        """Whether all workers serve the champion, as before."""
        return _all_serve(self.scene, self.scene.shelf.champion) and super().is_recovered()


def _all_serve(scene: Scene, version: str) -> bool:
    return all(worker.serves(NAME) == version for worker in scene.workers)


ROWS: Final[tuple[type[Fault], ...]] = (
    WorkerKilled,
    StaticWorkerKilled,
    WorkerStopped,
    WorkerAdded,
    WorkerRemoved,
    IndexerKilled,
    BrokerKilled,
    StoreDown,
    StoreBusy,
    ReleasePromoted,
    BrokenReleaseAnnounced,
)
