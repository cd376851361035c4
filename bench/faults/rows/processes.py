"""Faults that befall our own processes: workers and the indexer."""

from bench.faults.fault import Fault

KILL_LIMIT_SECONDS = 15.0  # new decisions after a kill -9: the session must run out first
STATIC_LIMIT_SECONDS = 6.0  # with a static member id, where the restart itself takes the partitions back
LEAST_WORKERS, MOST_WORKERS = 2, 4


class WorkerKilled(Fault):
    """kill -9; the group must notice by itself and hand the partitions to those who live. Only then a new one
    starts."""

    name = "worker killed"
    kill = True
    limit = KILL_LIMIT_SECONDS

    def prepare(self) -> None:
        """Choose the victim."""
        self._victim = self._pick(self._plain_workers())
        self.concerned = self._victim.partitions(self.scene.product.app.topic)

    def inject(self) -> None:
        """kill -9."""
        self._victim.kill()
        self.scene.crew.workers.remove(self._victim)

    def is_seen(self) -> bool:
        """Whether the others have taken over."""
        return self.scene.crew.all_owned()

    def heal(self) -> None:
        """A new worker in its place."""
        self.scene.crew.add_worker()


class StaticWorkerKilled(Fault):
    """kill -9 of a worker with a static member id, and a restart at once, as a process manager does it."""

    name = "static worker killed"
    kill = True
    limit = STATIC_LIMIT_SECONDS

    def prepare(self) -> None:
        """Choose the victim."""
        self._victim = self._pick([worker for worker in self.scene.crew.workers if worker.instance])
        self.concerned = self._victim.partitions(self.scene.product.app.topic)

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
        self._victim = self._pick(self.scene.crew.workers)
        self.concerned = self._victim.partitions(self.scene.product.app.topic)

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
        if len(self.scene.crew.workers) >= MOST_WORKERS:
            self.scene.crew.remove_worker(self._plain_workers()[0])
            self.scene.crew.wait_all_owned()

    def inject(self) -> None:
        """Start it."""
        self._added = self.scene.crew.add_worker()
        self.detail = self._added.name

    def is_seen(self) -> bool:
        """Whether it was given partitions."""
        return bool(self._added.partitions(self.scene.product.app.topic))


class WorkerRemoved(Fault):
    """One worker fewer for good: the others take its partitions."""

    name = "worker removed"
    guarantee = "once"

    def prepare(self) -> None:
        """There must be one to spare."""
        if len(self.scene.crew.workers) <= LEAST_WORKERS:
            self.scene.crew.add_worker()
            self.scene.crew.wait_all_owned()
        self._victim = self._pick(self._plain_workers())
        self.concerned = self._victim.partitions(self.scene.product.app.topic)

    def inject(self) -> None:
        """SIGTERM."""
        self._victim.ask_to_stop()
        self.scene.crew.workers.remove(self._victim)

    def is_seen(self) -> bool:
        """Whether it has left and the others have its partitions."""
        return self._victim.code == 0 and self.scene.crew.all_owned()


class IndexerKilled(Fault):
    """kill -9 of the indexer, and a restart."""

    name = "indexer killed"
    kill = True
    by_index = True

    def inject(self) -> None:
        """kill -9."""
        self.scene.crew.indexer.kill()

    def is_seen(self) -> bool:
        """Whether the process is gone by the signal."""
        return self.scene.crew.indexer.code == -9

    def heal(self) -> None:
        """The same process again."""
        self.scene.crew.indexer.start()
