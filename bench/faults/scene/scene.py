"""Everything a campaign works with: services, processes, traffic, and what is known of them."""

import contextlib
import random
from collections.abc import Callable

from bench.faults.ground import Ground
from bench.faults.ledger import Ledger
from bench.faults.scene.clients import Clients
from bench.faults.scene.cluster import Cluster
from bench.faults.scene.crew import Crew
from bench.faults.scene.product import NAME, Product
from bench.faults.scene.proxy import StoreProxy
from bench.faults.scene.releases import ReleaseShelf
from headrace.wiring import group_name

SIGNALS_IN_FLIGHT = 100  # records that a monitor may be behind while the traffic goes on


class Scene:
    """A context: services, processes and traffic run within the `with` block."""

    cluster: Cluster
    proxy: StoreProxy
    shelf: ReleaseShelf
    ledger: Ledger
    product: Product
    crew: Crew
    clients: Clients

    def __init__(self, ground: Ground, seed: int, say: Callable[[str], None] = print) -> None:
        self.ground, self.seed, self.say = ground, seed, say
        self.rng = random.Random(seed)
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> "Scene":
        try:
            self._set_up()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def monitors_settled(self) -> bool:
        """Whether all monitors have their place, one of them the signals, and these are taken in so far."""
        signals, positions = self.product.app.signals_topic, self.clients.positions
        end = positions.ends(signals, 1)
        reached = positions.committed(group_name("monitor", NAME), signals, 1)
        is_ready = all(monitor.is_ready() for monitor in self.crew.monitors)
        return is_ready and self.crew.active_monitor() is not None and end[0] - reached.get(0, 0) <= SIGNALS_IN_FLIGHT

    def _set_up(self) -> None:
        ground, closing = self.ground, self._closing
        ground.folder.mkdir(parents=True, exist_ok=True)
        self.ledger = Ledger(ground.folder / "ledger.jsonl")
        closing.callback(self.ledger.close)
        self.shelf = ReleaseShelf(ground.folder / "registry", NAME, ground.manifest, ground.blobs)
        self.cluster = Cluster(ground.services_cache, self.say)
        closing.callback(self.cluster.close)
        self.cluster.start()
        self.proxy = StoreProxy(self.cluster.elasticsearch)
        closing.callback(self.proxy.close)
        self.product = Product(ground, self.cluster.address, self.proxy.url)
        self.crew = Crew(self.product, self.ledger, self.say)
        closing.callback(self.crew.close)
        self.crew.start()
        self.clients = Clients(self.cluster.address, self.product.app, ground, self.ledger, self.seed)
        closing.callback(self.clients.close)
        self.clients.start()
        self.crew.supervise()
        closing.callback(self.crew.end_supervision)
