"""All faults, as a campaign takes them."""

from typing import Final

from bench.faults.fault import Fault
from bench.faults.process_rows import (
    IndexerKilled,
    StaticWorkerKilled,
    WorkerAdded,
    WorkerKilled,
    WorkerRemoved,
    WorkerStopped,
)
from bench.faults.service_rows import (
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
)
