"""Real Kafka and Elasticsearch on this machine, from Maven and an installed Java, without Docker.

folder/services.json              what runs: names, process ids, addresses (written before the wait for health)
folder/kafka-<brokers>/           the brokers' settings, data and logs; stays over a stop
folder/elasticsearch-<major>/     the same for Elasticsearch
cache/kafka-4.1.0/, cache/elasticsearch-8.19.21/    the programs, fetched once
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.errors import ServiceUnavailable
from connectors.local_services.elasticsearch import ELASTICSEARCH_VERSIONS, ElasticsearchSecurity, start_elasticsearch
from connectors.local_services.java import FETCH_SECONDS, Progress
from connectors.local_services.kafka import cluster_size, start_kafka
from connectors.local_services.service import Place, RunningService, load, save, stop_all
from connectors.private_folders import make_private

__all__ = ["ElasticsearchSecurity", "RunningService", "ServicesStatus", "start", "status", "stop"]


@dataclass(frozen=True, slots=True)
class ServicesStatus:
    """What runs. kafka: "host:port,host:port"; elasticsearch: an URL; None where it does not run."""

    kafka: str | None
    elasticsearch: str | None
    services: tuple[RunningService, ...]


def start(
    folder: Path,
    *,
    kafka: bool = True,
    elasticsearch: bool = True,
    brokers: int = 1,
    elasticsearch_major: int = 8,
    security: ElasticsearchSecurity | None = None,
    short_start: bool = False,
    cache: Path | None = None,
    progress: Progress = lambda line: None,
) -> ServicesStatus:
    """Start what is asked for and does not run (any more), wait until it answers, and say where.

    folder: state, data and logs (HEADRACE_HOME/services). cache: programs, default the folder itself. What was started
    by this call is stopped again when any of it fails. Data stays over a stop; addresses stay where their ports are
    free. short_start: services start with less work and run slower once warm; for tests. Raises
    ServiceUnavailable naming what is missing (Java, Maven, network) or the end of the log.
    """
    if brokers < 1 or elasticsearch_major not in ELASTICSEARCH_VERSIONS:
        raise ServiceUnavailable(
            f"brokers={brokers}, elasticsearch_major={elasticsearch_major}: at least one broker, major 8 or 9"
        )
    place = Place(folder.absolute(), (cache or folder).absolute(), progress)
    with _locked(place):
        before = load(place)
        running = [service for service in before if service.is_alive()]
        _refuse_other_kind(
            running, brokers if kafka else None, elasticsearch_major if elasticsearch else None, security
        )
        started: list[RunningService] = []
        try:
            if kafka and sum(service.name.startswith("kafka") for service in running) < brokers:
                started += start_kafka(place, running, brokers, short_start)
            if elasticsearch and not any(service.name == "elasticsearch" for service in running):
                started.append(
                    start_elasticsearch(place, running + started, elasticsearch_major, security, short_start)
                )
        except BaseException:
            stop_all([service for service in load(place) if service not in running])
            save(place, running)
            raise
        return _as_status(running + started)


def _refuse_other_kind(
    running: Sequence[RunningService], brokers: int | None, major: int | None, security: ElasticsearchSecurity | None
) -> None:
    """Starting again is harmless, but not as something else: data folders differ, and who uses it now would lose it."""
    kafka = [service for service in running if service.name.startswith("kafka")]
    if kafka and brokers is not None and (size := cluster_size(kafka)) != brokers:
        raise ServiceUnavailable(f"Kafka runs with {size} broker(s), not {brokers}; `headrace services stop` first")
    for service in running:
        wanted = (ELASTICSEARCH_VERSIONS[major], "https" if security else "http") if major is not None else None
        if service.name == "elasticsearch" and wanted not in (
            None,
            (service.version, service.address.partition(":")[0]),
        ):
            raise ServiceUnavailable(
                f"Elasticsearch {service.version} runs at {service.address}, not {' over '.join(wanted or ())}; "
                "`headrace services stop` first"
            )


def stop(folder: Path) -> list[str]:
    """Stop what `start` started here; returns the names. Data stays. Finite: asks, then kills after 20 s."""
    place = Place(folder.absolute(), folder.absolute(), lambda line: None)
    if not place.state_file.exists():
        return []
    with _locked(place):
        running = [service for service in load(place) if service.is_alive()]
        stop_all(running)
        place.state_file.unlink(missing_ok=True)
        return [service.name for service in running]


def status(folder: Path) -> ServicesStatus:
    """What of it runs now (by process; `doctor` asks whether it answers)."""
    place = Place(folder.absolute(), folder.absolute(), lambda line: None)
    return _as_status([service for service in load(place) if service.is_alive()])


@contextlib.contextmanager
def _locked(place: Place) -> Iterator[None]:
    make_private(place.folder)
    lock = FileLock(place.folder / "services.lock")
    try:
        lock.acquire(timeout=FETCH_SECONDS)
    except Timeout:
        raise ServiceUnavailable(f"another process is starting or stopping the services in {place.folder}") from None
    try:
        yield
    finally:
        lock.release()


def _as_status(services: Sequence[RunningService]) -> ServicesStatus:
    kafka = [service.address for service in services if service.name.startswith("kafka")]
    elasticsearch = [service.address for service in services if service.name == "elasticsearch"]
    return ServicesStatus(",".join(kafka) or None, elasticsearch[0] if elasticsearch else None, tuple(services))
