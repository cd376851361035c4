"""The services of a campaign: three brokers and one Elasticsearch, started and ended one by one."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench.faults.waiting import wait_until
from connectors.local_services import services
from connectors.local_services.process import is_free
from connectors.local_services.service import RunningService

BROKERS = 3
GONE_SECONDS = 15.0

Progress = Callable[[str], None]


class Cluster:
    """Real services in a folder of their own. start, kill, restart, close."""

    def __init__(self, cache: Path, progress: Progress, *, folder: Path | None = None) -> None:
        """cache: where the programs are kept. folder: for state, data and logs; by default one that is removed by
        `close`."""
        self._cache, self._progress = cache, progress
        self._temporary = tempfile.TemporaryDirectory(prefix="headrace-faults-", ignore_cleanup_errors=True)
        self.folder = folder or Path(self._temporary.name)
        self.folder.chmod(0o755)  # Elasticsearch runs as another user where this process is root's

    def start(self) -> None:
        """Start what does not run, wait until it answers."""
        self._start(kafka=True, elasticsearch=True)

    @property
    def address(self) -> str:
        """Of all brokers, also of one that is down: "host:port,host:port,host:port"."""
        return ",".join(self._addresses)

    @property
    def elasticsearch(self) -> str:
        """URL of Elasticsearch, also while it is down."""
        return self._url

    @property
    def nodes(self) -> list[str]:
        """Names of the brokers that run."""
        return [service.name for service in self._running() if service.name.startswith("kafka")]

    def kill(self, name: str) -> None:
        """kill -9 of a service and its children; returns when it is gone."""
        service = next(service for service in self._running() if service.name == name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)
        wait_until(lambda: not service.is_alive(), GONE_SECONDS, lambda: f"{name} (process {service.pid}) still runs")

    def restart_kafka(self) -> None:
        """Start the brokers that are down, at their old addresses, and wait until all are in the cluster."""
        self._start(kafka=True, elasticsearch=False)

    def restart_elasticsearch(self) -> None:
        """Start Elasticsearch where it stood before, and wait until it answers."""
        before, port = self._url, urlsplit(self._url).port or 0
        # the server is a child of the process that was started, and may outlive it by a moment, its port in hand
        wait_until(lambda: is_free(port), GONE_SECONDS, lambda: f"port {port} is still taken")
        self._start(kafka=False, elasticsearch=True)
        assert self._url == before, f"Elasticsearch came back at {self._url}, not at {before}"

    def close(self) -> None:
        """End all of it and remove its data."""
        services.stop(self.folder)
        self._temporary.cleanup()

    def _start(self, *, kafka: bool, elasticsearch: bool) -> None:
        status = services.start(
            self.folder,
            kafka=kafka,
            elasticsearch=elasticsearch,
            brokers=BROKERS,
            short_start=True,
            cache=self._cache,
            progress=self._progress,
        )
        if status.kafka is not None and len(status.kafka.split(",")) == BROKERS:
            self._addresses = sorted(status.kafka.split(","))
        if status.elasticsearch is not None:
            self._url = status.elasticsearch

    def _running(self) -> tuple[RunningService, ...]:
        return services.status(self.folder).services
