"""Real Kafka and Elasticsearch on this machine, from Maven and an installed Java, without Docker.

    folder/services.json              what runs: names, process ids, addresses (written before the wait for health)
    folder/kafka-<brokers>/           a broker's settings, data and log; stays over a stop
    folder/elasticsearch-<major>/     the same for Elasticsearch
    cache/kafka-4.1.0/, cache/elasticsearch-8.19.21/    the programs, fetched once

Elasticsearch refuses root. Started by root it runs as `nobody`, and whatever it must read or write lies where `nobody`
may go: under /var/tmp where the given folder is closed to others.
"""

import base64
import contextlib
import hashlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from connectors.errors import BrokerUnavailable, ServiceUnavailable
from connectors.process import end_process, is_running, process_birth

KAFKA_VERSION = "4.1.0"
LOG4J_VERSION = "2.25.1"
# 8 is what most run today, 9 what they move to; the client and the contract tests cover both.
ELASTICSEARCH_VERSIONS = {8: "8.19.21", 9: "9.2.0"}
# sha256 over what Maven brings (see _digest); not every mirror carries checksums of its own.
DIGESTS = {
    "kafka-4.1.0": "bcb0182243966311bcc6803e473fcaf008041f3aa03c569629e960e5ce37ded5",
    "elasticsearch-8.19.21-zip": "a300714f18bb15c1b9e8bdc579496b7341e02e557c5f062e9081f60457dde7f3",
    "elasticsearch-9.2.0-zip": "2becafffb0abd88eda67a718bf658fc02acef746efd7b28d0bc13e0a8c9ea1e3",
}

HEALTH_SECONDS = 180.0  # a cold start took 8 s alone and 98 s on two cores that others kept busy; past this something is wrong
FETCH_SECONDS = 900.0  # 107 MB on a slow line
STOP_SECONDS = 20.0
LOG_TAIL_LINES = 15

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Jdk:
    """An installed Java: its home and its major version."""

    home: Path
    major: int

    @property
    def java(self) -> Path:
        """The `java` program."""
        return self.home / "bin" / "java"


@dataclass(frozen=True, slots=True)
class ElasticsearchSecurity:
    """TLS and passwords for a local Elasticsearch: PEM files of its certificate, and the password of `elastic`."""

    certificate: Path
    key: Path
    ca: Path
    password: str

    def __repr__(self) -> str:
        return f"ElasticsearchSecurity(certificate={self.certificate}, password=***)"


@dataclass(frozen=True, slots=True)
class RunningService:
    """One process: `name` is kafka-1, kafka-2, ... or elasticsearch. `birth` tells a reused process id apart."""

    name: str
    version: str
    pid: int
    birth: str
    address: str
    log: str

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return is_running(self.pid, self.birth)


@dataclass(frozen=True, slots=True)
class ServicesStatus:
    """What runs. kafka: "host:port,host:port"; elasticsearch: an URL; None where it does not run."""

    kafka: str | None
    elasticsearch: str | None
    services: tuple[RunningService, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where things go: `folder` for state and data, `cache` for programs; `progress` hears what is being done."""

    folder: Path
    cache: Path
    progress: Progress

    @property
    def state_file(self) -> Path:
        return self.folder / "services.json"


def start(
    folder: Path,
    *,
    kafka: bool = True,
    elasticsearch: bool = True,
    brokers: int = 1,
    elasticsearch_major: int = 8,
    security: ElasticsearchSecurity | None = None,
    cache: Path | None = None,
    progress: Progress = lambda line: None,
) -> ServicesStatus:
    """Start what is asked for and does not run yet, wait until it answers, and say where.

    folder: state, data and logs (HEADRACE_HOME/services). cache: programs, default the folder itself. What was started
    by this call is stopped again when any of it fails. Data stays over a stop; addresses stay where their ports are free.
    Raises ServiceUnavailable naming what is missing (Java, Maven, network) or the end of the log.
    """
    if brokers < 1 or elasticsearch_major not in ELASTICSEARCH_VERSIONS:
        raise ServiceUnavailable(
            f"brokers={brokers}, elasticsearch_major={elasticsearch_major}: at least one broker, major 8 or 9"
        )
    place = _Place(folder.absolute(), (cache or folder).absolute(), progress)
    with _locked(place):
        before = _load(place)
        running = [service for service in before if service.is_alive()]
        started: list[RunningService] = []
        try:
            if kafka and not any(service.name.startswith("kafka") for service in running):
                started += _start_kafka(place, running, brokers)
            if elasticsearch and not any(service.name == "elasticsearch" for service in running):
                started.append(_start_elasticsearch(place, running + started, elasticsearch_major, security))
        except BaseException:
            _stop_all([service for service in _load(place) if service not in running])
            _save(place, running)
            raise
        return _as_status(running + started)


def stop(folder: Path) -> list[str]:
    """Stop what `start` started here; returns the names. Data stays. Finite: asks, then kills after 20 s."""
    place = _Place(folder.absolute(), folder.absolute(), lambda line: None)
    if not place.state_file.exists():
        return []
    with _locked(place):
        running = [service for service in _load(place) if service.is_alive()]
        _stop_all(running)
        place.state_file.unlink(missing_ok=True)
        return [service.name for service in running]


def status(folder: Path) -> ServicesStatus:
    """What of it runs now (by process; `doctor` asks whether it answers)."""
    place = _Place(folder.absolute(), folder.absolute(), lambda line: None)
    return _as_status([service for service in _load(place) if service.is_alive()])


def find_jdks() -> list[Jdk]:
    """Every Java found in JAVA_HOME, the usual folders and PATH, newest first."""
    homes = [Path(value) for name in ("JAVA_HOME", "ES_JAVA_HOME") if (value := os.environ.get(name))]
    for parent in ("/usr/lib/jvm", "/usr/java", "/opt/java", "~/.sdkman/candidates/java", "~/.jdks"):
        homes += sorted(Path(parent).expanduser().glob("*"))
    homes += sorted(Path("/Library/Java/JavaVirtualMachines").glob("*/Contents/Home"))
    if on_path := shutil.which("java"):
        homes.append(Path(on_path).resolve().parent.parent)
    found: dict[Path, Jdk] = {}
    for home in homes:
        if (major := _java_major(home)) is not None:
            found[home.resolve()] = Jdk(home.resolve(), major)
    return sorted(found.values(), key=lambda jdk: (jdk.major, str(jdk.home)), reverse=True)


def _java_major(home: Path) -> int | None:
    """The major version as the `release` file beside a Java says it; None where there is no Java."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    with contextlib.suppress(OSError):
        match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', (home / "release").read_text(), re.MULTILINE)
        return int(match.group(1)) if match else None
    return None


def _newest_jdk(wanted: range, what: str) -> Jdk:
    jdks = find_jdks()
    for jdk in jdks:
        if jdk.major in wanted:
            return jdk
    there = ", ".join(str(jdk.major) for jdk in jdks) or "none"
    raise ServiceUnavailable(f"{what} needs Java {wanted.start} to {wanted.stop - 1}, found: {there}; install a JDK")


# --- Kafka


def _start_kafka(place: _Place, running: Sequence[RunningService], brokers: int) -> list[RunningService]:
    jdk = _newest_jdk(range(17, 26), f"Kafka {KAFKA_VERSION}")
    libs = _fetch_kafka(place)
    home = place.folder / f"kafka-{brokers}"
    home.mkdir(parents=True, exist_ok=True)
    layout = _kafka_layout(home, brokers)
    services: list[RunningService] = []
    for node, port in enumerate(layout.ports, start=1):
        properties = _write_kafka_properties(home, layout, node)
        classpath = f"{libs}/*"
        if not (home / f"data-{node}" / "meta.properties").exists():
            command = [jdk.java, "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", layout.cluster_id]
            _run([*command, "-c", properties], f"formatting Kafka's storage in {home}", 60.0)
        place.progress(f"starting Kafka {KAFKA_VERSION} broker {node} at 127.0.0.1:{port}")
        command = [jdk.java, "-Xmx512m", "-cp", classpath, "kafka.Kafka", properties]
        log = home / f"broker-{node}.log"
        pid = _spawn(command, log, cwd=home)
        birth = process_birth(pid)
        services.append(RunningService(f"kafka-{node}", KAFKA_VERSION, pid, birth, f"127.0.0.1:{port}", str(log)))
        _save(place, [*running, *services])
    _wait_healthy(services, _kafka_answers(services), f"Kafka {KAFKA_VERSION}")
    return services


@dataclass(frozen=True, slots=True)
class _KafkaLayout:
    """Broker n listens on ports[n-1], its controller on controllers[n-1]."""

    cluster_id: str
    ports: tuple[int, ...]
    controllers: tuple[int, ...]


def _kafka_layout(home: Path, brokers: int) -> _KafkaLayout:
    """The ports of last time where they are free, else new ones; the cluster's id stays with its data."""
    file = home / "layout.json"
    old = json.loads(file.read_text()) if file.exists() else {}
    cluster_id = old.get("cluster_id") or _kafka_cluster_id()
    ports = [*old.get("ports", ()), *old.get("controllers", ())]
    if len(ports) != 2 * brokers or not all(_is_free(port) for port in ports):
        ports = _free_ports(2 * brokers)
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
    from connectors.kafka import KafkaAdmin

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


def _fetch_kafka(place: _Place) -> Path:
    coordinates = [
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}:jar",
        f"org.apache.logging.log4j:log4j-core:{LOG4J_VERSION}:jar",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}:jar",
    ]
    return _fetch(place, place.cache, f"kafka-{KAFKA_VERSION}", coordinates, "43 MB")


# --- Elasticsearch


def _start_elasticsearch(
    place: _Place, running: Sequence[RunningService], major: int, security: ElasticsearchSecurity | None
) -> RunningService:
    version = ELASTICSEARCH_VERSIONS[major]
    jdk = _newest_jdk(range(17, 26) if major == 8 else range(21, 26), f"Elasticsearch {version}")
    home = place.folder / f"elasticsearch-{major}"
    if os.geteuid() == 0:
        home = _open_to_others(home)
    program = install_elasticsearch(place.cache, major, place.progress)
    http, transport = _elasticsearch_ports(home)
    scheme = "https" if security else "http"
    url = f"{scheme}://127.0.0.1:{http}"
    _write_elasticsearch_config(program, home, (http, transport), security)
    for name in ("data", "logs", "tmp"):
        (home / name).mkdir(exist_ok=True)
    _give_to_nobody(home)
    environment = {
        "ES_JAVA_HOME": str(jdk.home),
        "ES_JAVA_OPTS": "-Xms512m -Xmx512m",
        "ES_PATH_CONF": str(home / "config"),
        "ES_TMPDIR": str(home / "tmp"),
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
    }
    if security:
        _set_elastic_password(program, environment, home, security.password)
    place.progress(f"starting Elasticsearch {version} at {url}")
    log = home / "server.log"
    pid = _spawn([program / "bin" / "elasticsearch"], log, cwd=home, env=environment, as_nobody=True)
    service = RunningService("elasticsearch", version, pid, process_birth(pid), url, str(log))
    _save(place, [*running, service])
    _wait_healthy([service], lambda: _elasticsearch_answers(url, security), f"Elasticsearch {version}")
    return service


def _elasticsearch_ports(home: Path) -> tuple[int, int]:
    file = home / "layout.json"
    home.mkdir(parents=True, exist_ok=True)
    ports = json.loads(file.read_text()) if file.exists() else []
    if len(ports) != 2 or not all(_is_free(port) for port in ports):
        ports = _free_ports(2)
    file.write_text(json.dumps(ports))
    return ports[0], ports[1]


def _write_elasticsearch_config(
    program: Path, home: Path, ports: tuple[int, int], security: ElasticsearchSecurity | None
) -> None:
    config = home / "config"
    if not config.exists():
        shutil.copytree(program / "config", config)
    settings: dict[str, object] = {
        "cluster.name": "headrace-local",
        "discovery.type": "single-node",
        "network.host": "127.0.0.1",
        "http.port": ports[0],
        "transport.port": ports[1],
        "path.data": str(home / "data"),
        "path.logs": str(home / "logs"),
        "xpack.security.enabled": security is not None,
        # A laptop with a nearly full disk must still index; nothing here is the only copy.
        "cluster.routing.allocation.disk.threshold_enabled": False,
    }
    if security:
        for name, file in (("http.crt", security.certificate), ("http.key", security.key), ("ca.crt", security.ca)):
            (config / name).write_bytes(file.read_bytes())
            (config / name).chmod(0o600)
        settings |= {
            "xpack.security.authc.api_key.enabled": True,
            "xpack.security.http.ssl.enabled": True,
            "xpack.security.http.ssl.certificate": "http.crt",
            "xpack.security.http.ssl.key": "http.key",
            "xpack.security.http.ssl.certificate_authorities": "ca.crt",
        }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
    (config / "elasticsearch.yml").write_text("".join(lines))


def _set_elastic_password(program: Path, environment: dict[str, str], home: Path, password: str) -> None:
    tool = program / "bin" / "elasticsearch-keystore"
    if not (home / "config" / "elasticsearch.keystore").exists():
        _run([tool, "create"], "creating Elasticsearch's keystore", 60.0, env=environment, as_nobody=True)
    command = [tool, "add", "--stdin", "--force", "bootstrap.password"]
    _run(command, "setting the password of elastic", 60.0, env=environment, as_nobody=True, stdin=password)


def _elasticsearch_answers(url: str, security: ElasticsearchSecurity | None) -> bool:
    """Whether it serves. With security: whether it knows `elastic`, which it does only once its own index is up."""
    request = urllib.request.Request(f"{url}/_cluster/health")
    context = None
    if security:
        context = ssl.create_default_context(cafile=str(security.ca))
        login = base64.b64encode(f"elastic:{security.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    try:
        with urllib.request.urlopen(request, timeout=2.0, context=context) as answer:
            return json.load(answer)["status"] in ("green", "yellow")
    except (OSError, ValueError):
        return False


def install_elasticsearch(cache: Path, major: int, progress: Progress = lambda line: None) -> Path:
    """The program's folder, fetched and unpacked the first time; under /var/tmp where root keeps `cache` to itself."""
    version = ELASTICSEARCH_VERSIONS[major]
    name = f"elasticsearch-{version}"
    cache = _open_to_others(cache) if os.geteuid() == 0 else cache
    place = _Place(cache, cache, progress)
    if (cache / name / "bin" / "elasticsearch").exists():
        return cache / name
    coordinates = [f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"]
    archive = next(_fetch(place, cache, f"{name}-zip", coordinates, "107 MB").glob("*.zip"))
    progress(f"unpacking Elasticsearch {version}")
    with tempfile.TemporaryDirectory(dir=cache) as staging:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                target = Path(packed.extract(entry, staging))
                if mode := entry.external_attr >> 16 & 0o777:
                    target.chmod(mode | 0o644 if not entry.is_dir() else 0o755)
        (Path(staging) / name).rename(cache / name)
    shutil.rmtree(archive.parent)
    return cache / name


def _open_to_others(folder: Path) -> Path:
    """The folder itself where other users may pass through its parents, else one under /var/tmp that stands for it."""
    parents = [parent for parent in (folder, *folder.parents) if parent.exists()]
    if all(parent.stat().st_mode & 0o005 == 0o005 for parent in parents):
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    digest = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    stand_in = Path("/var/tmp") / f"headrace-{digest}"
    stand_in.mkdir(mode=0o755, exist_ok=True)
    if stand_in.is_symlink() or stand_in.stat().st_uid not in (0, _nobody()[0]):
        raise ServiceUnavailable(f"{stand_in} belongs to someone else; remove it or set HEADRACE_HOME to an open folder")
    return stand_in


def _nobody() -> tuple[int, int]:
    import pwd

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise ServiceUnavailable(
            "Elasticsearch does not run as root and there is no user `nobody`; start the services as another user"
        ) from None
    return entry.pw_uid, entry.pw_gid


def _give_to_nobody(home: Path) -> None:
    if os.geteuid() != 0:
        return
    uid, gid = _nobody()
    for path in (home, *home.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


# --- Maven, processes, ports


def _fetch(place: _Place, cache: Path, name: str, coordinates: Sequence[str], size: str) -> Path:
    """The artifacts and what they need as files in `cache/name`; from Maven the first time, whole or not at all."""
    target = cache / name
    if target.exists():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise ServiceUnavailable(f"{name} comes by Maven and `mvn` is not installed; install Maven, or set HEADRACE_BROKER "
                                 "and HEADRACE_STORE to services that run elsewhere")  # fmt: skip
    place.progress(f"fetching {name} ({size}, once)")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as staging:
        pom = Path(staging) / "pom.xml"
        pom.write_text(_pom(coordinates))
        files = Path(staging) / "files"
        command = [maven, "-q", "-B", "-f", pom, "dependency:copy-dependencies", f"-DoutputDirectory={files}"]
        _run(command, f"fetching {name} by Maven", FETCH_SECONDS)
        files.chmod(0o755)
        if (found := _digest(files)) != DIGESTS[name]:
            raise ServiceUnavailable(
                f"{name} as fetched is not what this Headrace was tested with (sha256 {found[:12]}, expected "
                f"{DIGESTS[name][:12]}); remove it from ~/.m2/repository and try again"
            )
        if not target.exists():  # another process may have been faster: its files are the same
            files.rename(target)
    return target


def _digest(folder: Path) -> str:
    """One sha256 over all files' names and contents, in the order of their names."""
    total = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        with file.open("rb") as content:
            total.update(f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _pom(coordinates: Sequence[str]) -> str:
    parts = []
    for coordinate in coordinates:
        group, artifact, version, kind = coordinate.split(":")
        parts.append(
            f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
            f"<version>{version}</version><type>{kind}</type></dependency>"
        )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>headrace</groupId><artifactId>services</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{''.join(parts)}</dependencies></project>"
    )


def _run(
    command: Sequence[object],
    what: str,
    seconds: float,
    *,
    env: dict[str, str] | None = None,
    as_nobody: bool = False,
    stdin: str | None = None,
) -> None:
    """Run to the end; ServiceUnavailable with the end of the output when it fails or takes too long."""
    user, group = _nobody() if as_nobody and os.geteuid() == 0 else (None, None)
    try:
        done = subprocess.run(
            [str(part) for part in command], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=seconds, env=env, user=user, group=group, stdin=None if stdin is not None else subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"{what} took longer than {seconds:.0f} s") from None
    except OSError as error:
        raise ServiceUnavailable(f"{what} failed: {error}") from error
    if done.returncode != 0:
        raise ServiceUnavailable(f"{what} failed (exit {done.returncode}): {_last_lines(done.stdout)}")


def _spawn(
    command: Sequence[object], log: Path, *, cwd: Path, env: dict[str, str] | None = None, as_nobody: bool = False
) -> int:
    """Start a server that outlives this process, in a process group of its own; returns its process id."""
    user, group = _nobody() if as_nobody and os.geteuid() == 0 else (None, None)
    with log.open("wb") as output:
        try:
            child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=cwd, env=env, start_new_session=True, user=user, group=group,
                extra_groups=[] if user is not None else None,
            )  # fmt: skip
        except OSError as error:
            raise ServiceUnavailable(f"{command[0]} cannot be started: {error}") from error
    child.returncode = 0  # we look after it by process id: no "still running" warning when this object goes
    return child.pid


def _wait_healthy(services: Sequence[RunningService], answers: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + HEALTH_SECONDS
    while True:
        for service in services:
            if not service.is_alive():
                raise ServiceUnavailable(f"{what} ended while starting; {service.log} ends with: {_tail(service.log)}")
        if answers():
            return
        if time.monotonic() > deadline:
            log = services[0].log
            raise ServiceUnavailable(f"{what} did not answer within {HEALTH_SECONDS:.0f} s; {log} ends with: {_tail(log)}")
        time.sleep(0.2)


def _tail(log: str) -> str:
    with contextlib.suppress(OSError):
        return _last_lines(Path(log).read_text(errors="replace"))
    return "(no log)"


def _last_lines(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-LOG_TAIL_LINES:])


def _stop_all(services: Sequence[RunningService]) -> None:
    """Ask all at once, then wait for each, then kill what is left (with its children: they share its group)."""
    for service in services:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for service in services:
        end_process(service.pid, service.birth, max(0.1, deadline - time.monotonic()))


def _free_ports(count: int) -> list[int]:
    """Ports below the range from which outgoing connections take theirs, so that none is gone a moment later."""
    ports: list[int] = []
    picker = random.Random(secrets.randbits(64))
    while len(ports) < count:
        port = picker.randrange(20_000, 32_000)
        if port not in ports and _is_free(port):
            ports.append(port)
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


# --- what runs, on disk


@contextlib.contextmanager
def _locked(place: _Place) -> Iterator[None]:
    place.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place.folder / "services.lock")
    try:
        lock.acquire(timeout=FETCH_SECONDS)
    except Timeout:
        raise ServiceUnavailable(f"another process is starting or stopping the services in {place.folder}") from None
    try:
        yield
    finally:
        lock.release()


def _load(place: _Place) -> list[RunningService]:
    try:
        return [RunningService(**entry) for entry in json.loads(place.state_file.read_text())]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise ServiceUnavailable(f"{place.state_file} is not readable ({error}); remove it") from error


def _save(place: _Place, services: Sequence[RunningService]) -> None:
    written = place.state_file.with_suffix(".new")
    written.write_text(json.dumps([asdict(service) for service in services], indent=1))
    written.replace(place.state_file)


def _as_status(services: Sequence[RunningService]) -> ServicesStatus:
    kafka = [service.address for service in services if service.name.startswith("kafka")]
    elasticsearch = [service.address for service in services if service.name == "elasticsearch"]
    return ServicesStatus(",".join(kafka) or None, elasticsearch[0] if elasticsearch else None, tuple(services))
