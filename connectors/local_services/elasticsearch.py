"""Elasticsearch on this machine, with or without TLS and passwords.

It refuses root. Started by root it runs as `nobody`, and whatever it must read or write lies where `nobody` may go:
under /var/tmp where the given folder is closed to others. Its settings are then root's, which it reads and cannot
change (see `users`); data, logs and temporary files are its own.
"""

import base64
import json
import os
import shutil
import ssl
import tempfile
import urllib.request
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.local_services.java import Progress, fetch, newest_jdk, one_at_a_time
from connectors.local_services.process import free_ports, is_free, process_birth, run, spawn
from connectors.local_services.service import Place, RunningService, save, wait_healthy
from connectors.local_services.users import (
    is_root,
    make_for_server,
    make_for_us,
    nobody,
    open_to_others,
    read_of_server,
    write_anew,
    write_for_server,
)

# 8 is what most run today, 9 what they move to; the client and the contract tests cover both.
ELASTICSEARCH_VERSIONS = {8: "8.19.21", 9: "9.2.0"}
SHA256 = {  # over what Maven brings, see connectors.local_services.java
    8: "a300714f18bb15c1b9e8bdc579496b7341e02e557c5f062e9081f60457dde7f3",
    9: "2becafffb0abd88eda67a718bf658fc02acef746efd7b28d0bc13e0a8c9ea1e3",
}


@dataclass(frozen=True, slots=True)
class ElasticsearchSecurity:
    """TLS and passwords for a local Elasticsearch: PEM files of its certificate, and the password of `elastic`."""

    certificate: Path
    key: Path
    ca: Path
    password: str

    def __repr__(self) -> str:
        return f"ElasticsearchSecurity(certificate={self.certificate}, password=***)"


def start_elasticsearch(
    place: Place,
    running: Sequence[RunningService],
    major: int,
    security: ElasticsearchSecurity | None,
    short_start: bool = False,
) -> RunningService:
    """Start one node and wait until it answers; `services.json` holds it before the wait."""
    version = ELASTICSEARCH_VERSIONS[major]
    jdk = newest_jdk(range(17, 26) if major == 8 else range(21, 26), f"Elasticsearch {version}")
    home = place.folder / f"elasticsearch-{major}"
    if is_root():
        home = open_to_others(home, may_be_nobodys=True)
    make_for_us(home)
    program = install_elasticsearch(place.cache, major, place.progress)
    http, transport = _elasticsearch_ports(home)
    scheme = "https" if security else "http"
    url = f"{scheme}://127.0.0.1:{http}"
    _write_elasticsearch_config(program, home, (http, transport), security)
    for name in ("data", "logs", "tmp"):
        make_for_server(home / name)
    environment = {
        "ES_JAVA_HOME": str(jdk.home),
        # One compiler only: 11.9 s of processor time until it answers, where both take 18.2 s.
        "ES_JAVA_OPTS": "-Xms512m -Xmx512m" + (" -XX:TieredStopAtLevel=1" if short_start else ""),
        "ES_PATH_CONF": str(home / "config"),
        "ES_TMPDIR": str(home / "tmp"),
        "HOME": str(home),
        "PATH": os.environ.get("PATH", os.defpath),
    }
    if security or is_root():  # where it cannot write beside its settings it finds its keystore there
        _make_keystore(program, environment, home, security.password if security else None)
    place.progress(f"starting Elasticsearch {version} at {url}")
    log = home / "server.log"
    pid = spawn([program / "bin" / "elasticsearch"], log, cwd=home, env=environment, as_nobody=True)
    service = RunningService("elasticsearch", version, pid, process_birth(pid), url, str(log))
    save(place, [*running, service])
    wait_healthy([service], lambda: _elasticsearch_answers(url, security), f"Elasticsearch {version}")
    return service


def _elasticsearch_ports(home: Path) -> tuple[int, int]:
    file = home / "layout.json"
    ports = json.loads(file.read_text()) if file.exists() else []
    if len(ports) != 2 or not all(is_free(port) for port in ports):
        ports = free_ports(2)
    with write_anew(file) as written:
        written.write(json.dumps(ports).encode())
    return ports[0], ports[1]


def _write_elasticsearch_config(
    program: Path, home: Path, ports: tuple[int, int], security: ElasticsearchSecurity | None
) -> None:
    config = home / "config"
    if config.exists() and config.stat(follow_symlinks=False).st_uid != os.geteuid():
        shutil.rmtree(config)  # an earlier version gave it to nobody; everything in it is made again
    if not config.exists():
        shutil.copytree(program / "config", config)
        for path in (config, *config.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
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
            write_for_server(config / name, file.read_bytes(), secret=True)
        settings |= {
            "xpack.security.authc.api_key.enabled": True,
            "xpack.security.http.ssl.enabled": True,
            "xpack.security.http.ssl.certificate": "http.crt",
            "xpack.security.http.ssl.key": "http.key",
            "xpack.security.http.ssl.certificate_authorities": "ca.crt",
        }
    lines = [f"{key}: {json.dumps(value)}\n" for key, value in settings.items()]
    write_for_server(config / "elasticsearch.yml", "".join(lines).encode())


def _make_keystore(program: Path, environment: dict[str, str], home: Path, password: str | None) -> None:
    """A keystore beside the settings, with the password of `elastic` in it. Made as the server's user in a folder of
    its own: a program of that size is not run as root."""
    keystore = home / "config" / "elasticsearch.keystore"
    if keystore.exists() and password is None:
        return
    tool = program / "bin" / "elasticsearch-keystore"
    with tempfile.TemporaryDirectory(dir=home, prefix="keystore-") as made:
        if is_root():
            os.chown(made, *nobody(), follow_symlinks=False)
        there = {**environment, "ES_PATH_CONF": made}
        run([tool, "create"], "creating Elasticsearch's keystore", 60.0, env=there, as_nobody=True)
        if password is not None:
            command = [tool, "add", "--stdin", "--force", "bootstrap.password"]
            run(command, "setting the password of elastic", 60.0, env=there, as_nobody=True, stdin=password)
        write_for_server(keystore, read_of_server(Path(made) / keystore.name), secret=True)


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
    name = f"elasticsearch-{ELASTICSEARCH_VERSIONS[major]}"
    cache = open_to_others(cache) if is_root() else cache
    if (cache / name / "bin" / "elasticsearch").exists():
        return cache / name
    with one_at_a_time(cache / name):
        if not (cache / name / "bin" / "elasticsearch").exists():
            _install(cache, major, name, progress)
    return cache / name


def _install(cache: Path, major: int, name: str, progress: Progress) -> None:
    version = ELASTICSEARCH_VERSIONS[major]
    coordinates = [f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{version}:zip"]
    archive = next(fetch(cache / f"{name}-zip", coordinates, SHA256[major], "107 MB", progress).glob("*.zip"))
    progress(f"unpacking Elasticsearch {version}")
    with tempfile.TemporaryDirectory(dir=cache) as staging:
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                target = Path(packed.extract(entry, staging))
                if mode := entry.external_attr >> 16 & 0o777:
                    target.chmod(mode | 0o644 if not entry.is_dir() else 0o755)
        (Path(staging) / name).rename(cache / name)
    shutil.rmtree(archive.parent)
