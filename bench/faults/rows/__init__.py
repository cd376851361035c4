"""All faults, as a campaign takes them."""

from typing import Final

from bench.faults.fault import Fault
from bench.faults.rows.monitors import MonitorKilled, SecondMonitor
from bench.faults.rows.processes import (
    IndexerKilled,
    StaticWorkerKilled,
    WorkerAdded,
    WorkerKilled,
    WorkerRemoved,
    WorkerStopped,
)
from bench.faults.rows.releases import (
    CanaryAcrossRestarts,
    RegistryDown,
    ReleaseAnnouncedWhileStarting,
    ReleaseRolledBack,
    ThreeStartsOnAnEmptyRegistry,
)
from bench.faults.rows.retraining import (
    RetrainerKilledBeforeAnnouncing,
    RetrainerKilledBeforeNoting,
    RetrainerKilledWhileTraining,
    SecondRetrainer,
)
from bench.faults.rows.services import (
    BrokenReleaseAnnounced,
    BrokerKilled,
    ReleasePromoted,
    StoreBusy,
    StoreDown,
)

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
    ReleaseRolledBack,
    ReleaseAnnouncedWhileStarting,
    CanaryAcrossRestarts,
    RegistryDown,
    ThreeStartsOnAnEmptyRegistry,
    RetrainerKilledWhileTraining,
    RetrainerKilledBeforeAnnouncing,
    RetrainerKilledBeforeNoting,
    SecondRetrainer,
    MonitorKilled,
    SecondMonitor,
)
