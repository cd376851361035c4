"""The processes of the product that run in a campaign: who works, what each of them has, and who starts them again."""

import contextlib
import threading
import time
from collections.abc import Callable

from bench.faults.ledger import Agreed, Ledger, Left
from bench.faults.scene.processes import HeadraceProcess
from bench.faults.scene.product import NAME, PARTITIONS, Product
from bench.faults.waiting import TimedOut, wait_until

SETTLE_SECONDS = 180.0
SUPERVISE_SECONDS = 0.5


class Crew:
    """workers, retrainers, monitors: those that should run; there is one indexer."""

    def __init__(self, product: Product, ledger: Ledger, say: Callable[[str], None]) -> None:
        self._product, self._ledger, self._say = product, ledger, say
        self.workers: list[HeadraceProcess] = []
        self.retrainers: list[HeadraceProcess] = []
        self.monitors: list[HeadraceProcess] = []
        self.indexer = product.process("indexer", "indexer")
        self._started = 0
        self._ending = threading.Event()

    @property
    def everyone(self) -> list[HeadraceProcess]:
        """All of them."""
        return [*self.workers, *self.retrainers, *self.monitors, self.indexer]

    def start(self) -> None:
        """Two workers, an indexer and a monitor; returns when all are ready."""
        self._say("starting two workers, an indexer and a monitor")
        self.add_worker(static=True).wait_ready()
        self.add_worker()
        self.indexer.start()
        self.add_monitor()
        for process in (*self.workers, *self.monitors, self.indexer):
            process.wait_ready()

    def add_worker(self, *, static: bool = False) -> HeadraceProcess:
        """Start a worker; returns before it is ready."""
        self._started += 1
        name = f"worker-{self._started}"
        worker = self._product.process(name, "worker", instance=name if static else "")
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
        retrainer = self._product.process(f"retrainer-{self._started}", "retrainer")
        retrainer.start()
        self.retrainers.append(retrainer)
        retrainer.wait_ready()
        return retrainer

    def add_monitor(self) -> HeadraceProcess:
        """Start a monitor; returns before it is ready."""
        self._started += 1
        monitor = self._product.process(f"monitor-{self._started}", "monitor")
        monitor.start()
        self.monitors.append(monitor)
        return monitor

    def active_monitor(self) -> HeadraceProcess | None:
        """The one that has the signals."""
        signals = self._product.app.signals_topic
        return next((monitor for monitor in self.monitors if monitor.partitions(signals)), None)

    def owners(self) -> dict[str, set[int]]:
        """Worker to the partitions that it says it has."""
        topic = self._product.app.topic
        return {worker.name: worker.partitions(topic) for worker in self.workers if worker.is_alive}

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

    def wait_agreed(self, version: str, since: float, detail: str) -> None:
        """Wait until all workers serve `version`, and write down how long that took since then."""

        def agree() -> bool:
            return all(worker.serves(NAME) == version for worker in self.workers)

        seconds: float | None = None
        with contextlib.suppress(TimedOut):
            wait_until(agree, SETTLE_SECONDS, lambda: "", poll_seconds=0.2)
            seconds = max(time.monotonic() - since, 0.0)
        served = {worker.name: worker.serves(NAME) for worker in self.workers}
        self._ledger.append(Agreed(version, seconds, f"{detail}; {served}", time.monotonic()))

    def tails(self) -> str:
        """The ends of the logs of workers and indexer."""
        return " || ".join(f"{process.name}: {process.tail()[-500:]}" for process in [*self.workers, self.indexer])

    def supervise(self) -> None:
        """From now on what leaves without being asked to is written down and started again, as by a process manager,
        from a thread of its own."""
        threading.Thread(target=self._supervise, name="supervisor", daemon=True).start()

    def end_supervision(self) -> None:
        """From now on nobody is started again."""
        self._ending.set()

    def close(self) -> None:
        """kill -9 of whoever is left."""
        self.end_supervision()
        for process in self.everyone:
            if process.is_alive:
                process.kill()

    def _supervise(self) -> None:
        while not self._ending.wait(SUPERVISE_SECONDS):
            for process in self.everyone:
                if process.is_wanted and not process.is_alive and not self._ending.is_set():
                    self._ledger.append(Left(process.name, process.code or 0, process.tail()[-400:], time.monotonic()))
                    self._say(
                        f"{process.name} left with code {process.code}, starting it again: {process.tail()[-300:]}"
                    )
                    process.start()
