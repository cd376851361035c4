"""Apache Kafka on this machine: one or several brokers in KRaft mode, each its own controller."""

import base64
import contextlib
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors.errors import BrokerUnavailable
from connectors.kafka.admin import KafkaAdmin
from connectors.local_services.java import fetch, newest_jdk
from connectors.local_services.process import free_ports, is_free, process_birth, run, spawn
from connectors.local_services.service import Place, RunningService, save, wait_healthy

KAFKA_VERSION = "4.1.0"
LOG4J_VERSION = "2.25.1"
SOLE_HEAP, SHARED_HEAP = "-Xmx512m", "-Xmx256m"  # of the only broker, and of each of several
# over what Maven brings, see connectors.local_services.java
SHA256 = "bcb0182243966311bcc6803e473fcaf008041f3aa03c569629e960e5ce37ded5"
# until a broker answers 2.6 s of processor time in place of 4.5 s; slower once warm
ONE_COMPILER = "-XX:TieredStopAtLevel=1"


def start_kafka(
    place: Place, running: Sequence[RunningService], brokers: int, short_start: bool = False
) -> list[RunningService]:
    """Start the brokers that do not run and wait until all are in the cluster; `services.json` holds each before the
    wait.

    A broker that ended while others of its cluster run comes back at its own address with its own data. Every broker is
    a voter of the controllers as well, so three of them survive the end of any one.
    """
    jdk = newest_jdk(range(17, 26), f"Kafka {KAFKA_VERSION}")
    libs = _fetch_kafka(place)
    home = place.folder / f"kafka-{brokers}"
    home.mkdir(parents=True, exist_ok=True)
    alive = [service for service in running if service.name.startswith("kafka")]
    layout = _kafka_layout(home, brokers, keep=bool(alive))
    services: list[RunningService] = []
    for node, port in enumerate(layout.ports, start=1):
        if any(service.name == f"kafka-{node}" for service in alive):
            continue
        properties = _write_kafka_properties(home, layout, node)
        classpath = f"{libs}/*"
        if not (home / f"data-{node}" / "meta.properties").exists():
            command = [jdk.java, "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", layout.cluster_id]
            run([*command, "-c", properties], f"formatting Kafka's storage in {home}", 60.0)
        place.progress(f"starting Kafka {KAFKA_VERSION} broker {node} at 127.0.0.1:{port}")
        options = [SOLE_HEAP if brokers == 1 else SHARED_HEAP, *([ONE_COMPILER] if short_start else [])]
        command = [jdk.java, *options, "-cp", classpath, "kafka.Kafka", properties]
        log = home / f"broker-{node}.log"
        pid = spawn(command, log, cwd=home)
        birth = process_birth(pid)
        services.append(RunningService(f"kafka-{node}", KAFKA_VERSION, pid, birth, f"127.0.0.1:{port}", str(log)))
        save(place, [*running, *services])
    wait_healthy(services, _kafka_answers([*alive, *services]), f"Kafka {KAFKA_VERSION}")
    return services


def cluster_size(alive: Sequence[RunningService]) -> int:
    """With how many brokers the cluster of these was started; some may have ended since. Its folder's name says so."""
    folder = Path(alive[0].log).parent.name
    size = folder.removeprefix("kafka-")
    return int(size) if size != folder and size.isdigit() else len(alive)


@dataclass(frozen=True, slots=True)
class _KafkaLayout:
    """Broker n listens on ports[n-1], its controller on controllers[n-1]."""

    cluster_id: str
    ports: tuple[int, ...]
    controllers: tuple[int, ...]


def _kafka_layout(home: Path, brokers: int, *, keep: bool) -> _KafkaLayout:
    """The ports of last time where they are free, else new ones; the cluster's id stays with its data. keep: part of
    the cluster runs, so its ports are in use and must stay."""
    file = home / "layout.json"
    old = json.loads(file.read_text()) if file.exists() else {}
    cluster_id = old.get("cluster_id") or _kafka_cluster_id()
    ports = [*old.get("ports", ()), *old.get("controllers", ())]
    if len(ports) != 2 * brokers or not (keep or all(is_free(port) for port in ports)):
        ports = free_ports(2 * brokers)
    layout = _KafkaLayout(cluster_id, tuple(ports[:brokers]), tuple(ports[brokers:]))
    file.write_text(json.dumps(asdict(layout)))
    return layout


def _kafka_cluster_id() -> str:
    """22 characters, base64 of 16 bytes, not beginning with "-" (the format tool would take it for an option)."""
    return "h" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]


def _write_kafka_properties(home: Path, layout: _KafkaLayout, node: int) -> Path:
    brokers = len(layout.ports)
    voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(layout.controllers, start=1))
    replicas = min(brokers, 3)
    listen = f"PLAINTEXT://127.0.0.1:{layout.ports[node - 1]}"
    settings = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listen},CONTROLLER://127.0.0.1:{layout.controllers[node - 1]}",
        "advertised.listeners": listen,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": home / f"data-{node}",
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": min(brokers, 2),
        "min.insync.replicas": 2 if brokers > 2 else 1,  # with two brokers one that ends would stop all writing
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": min(brokers, 2),
        "offsets.topic.num.partitions": 8,
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
    }
    file = home / f"broker-{node}.properties"
    file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    return file


def _kafka_answers(services: Sequence[RunningService]) -> Callable[[], bool]:
    address = ",".join(service.address for service in services)

    def answers() -> bool:
        with contextlib.suppress(BrokerUnavailable):
            admin = KafkaAdmin(address, connect_seconds=2.0)
            try:
                return admin.brokers() == len(services)
            finally:
                admin.close()
        return False

    return answers


def _fetch_kafka(place: Place) -> Path:
    coordinates = [
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}:jar",
        f"org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}:jar",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}:jar",
    ]
    return fetch(place.cache / f"kafka-{KAFKA_VERSION}", coordinates, SHA256, "43 MB", place.progress)
