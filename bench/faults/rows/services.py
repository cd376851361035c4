"""Faults that come from outside: brokers, Elasticsearch, and what is announced in `model.releases`."""

import time
from typing import ClassVar

import orjson

from bench.faults.fault import Fault
from bench.faults.scene.cluster import BROKERS
from bench.faults.scene.product import NAME, PARTITIONS
from bench.faults.scene.proxy import Mode
from bench.faults.scene.releases import BROKEN
from bench.faults.scene.scene import Scene
from models.errors import HeadraceError

STORE_DOWN_SECONDS = 20.0
REFUSALS = 5  # of the store before a fault counts as seen


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
        return self.scene.clients.positions.brokers() == BROKERS - 1

    def heal(self) -> None:
        """Start it again."""
        self.scene.cluster.restart_kafka()

    def is_recovered(self) -> bool:
        """Whether the cluster is whole."""
        return self.scene.clients.positions.brokers() == BROKERS and super().is_recovered()


class StoreDown(Fault):
    """Elasticsearch is killed, and nobody meets it for 20 s. It starts again within that time, as its start takes
    long; until the time is over the proxy, which everybody goes through, is as gone as it was."""

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
        done = self.scene.product.run("models", "promote", f"{NAME}@{self._version}", "--json")
        if done.returncode or not orjson.loads(done.stdout)["announced"]:
            raise HeadraceError(
                f"models promote {NAME}@{self._version} failed ({done.returncode}): {done.stdout} {done.stderr[-300:]}"
            )

    def is_seen(self) -> bool:
        """Whether all workers serve it, and every partition has decisions of it."""
        decided = self.scene.clients.decided_after(self._start)
        partitions = {decision.source[0] for decision in decided if decision.version == self._version}
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
        self._alerts = len(self.scene.clients.heard_alerts)
        self.scene.shelf.announce(self.scene.clients.publisher, self._version, self._sha256)

    def is_seen(self) -> bool:
        """Whether an alert names it."""
        alerts = [orjson.loads(value) for value in self.scene.clients.heard_alerts[self._alerts :]]
        return any(
            alert["rule"] == "release_refused" and f"{NAME}@{self._version}" in alert["summary"] for alert in alerts
        )

    def heal(self) -> None:
        """Announce the champion, as an operator would."""
        self.scene.shelf.announce(self.scene.clients.publisher, self.scene.shelf.champion)

    def is_recovered(self) -> bool:
        """Whether all workers serve the champion, as before."""
        return _all_serve(self.scene, self.scene.shelf.champion) and super().is_recovered()


def _all_serve(scene: Scene, version: str) -> bool:
    return all(worker.serves(NAME) == version for worker in scene.crew.workers)
