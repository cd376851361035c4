"""What a fault is. Each strikes in mid-work and is only counted once somebody has seen it.

prepare       bring about what the fault needs; no part of it
inject        do the harm
is_seen       whether a client, or the group, has noticed
heal          undo it, where that is somebody's work
is_recovered  what must be true afterwards, beside new decisions and commits in every partition
guarantee     "once": nothing was broken off, so no decision may be written twice; "at least once": repeats are allowed
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from bench.faults.ledger import Guarantee
from bench.faults.scene.processes import HeadraceProcess
from bench.faults.scene.product import PARTITIONS
from bench.faults.scene.scene import Scene
from bench.faults.waiting import wait_until

STEP_SECONDS = 90.0
T = TypeVar("T")


class Fault:
    """A row. concerned: partitions whose new decisions are waited for; found out by `prepare`. detail: for the
    report."""

    name: ClassVar[str]
    guarantee: ClassVar[Guarantee] = "at least once"
    kill: ClassVar[bool] = False
    outage: ClassVar[bool] = False
    limit: ClassVar[float | None] = None
    by_index: ClassVar[bool] = (
        False  # recovery is measured from healing to documents, not from the injection to decisions
    )

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
        return self.scene.crew.all_owned()

    def wait_for(self, true: Callable[[], T], words: str, seconds: float = STEP_SECONDS) -> T:
        """Wait for something within a fault. Raises TimedOut with these words."""
        return wait_until(true, seconds, lambda: f"{self.name}: {words}", poll_seconds=0.1)

    def _pick(self, workers: Sequence[HeadraceProcess]) -> HeadraceProcess:
        victim = self.scene.rng.choice(workers)
        self.detail = victim.name
        return victim

    def _plain_workers(self) -> list[HeadraceProcess]:
        return [worker for worker in self.scene.crew.workers if not worker.instance]
