"""Local services without the real programs: what is found, what fails, and that nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from real_services import wait_until

from connectors.errors import ServiceUnavailable
from connectors.local_services import java, kafka, service, services, users
from connectors.local_services.process import free_ports, is_free, is_running, process_birth


def fake_jdk(folder: Path, version: str, script: str = "exit 0") -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\nJAVA_VERSION_DATE="2026-01-01"\n')
    program = folder / "bin" / "java"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return folder


@pytest.fixture
def only_jdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the one Java that is found; a test fills it by fake_jdk."""
    home = tmp_path / "jdk"
    monkeypatch.setattr(java, "find_jdks", lambda: [java.Jdk(home, 17)])
    (tmp_path / "cache" / "kafka-4.1.0").mkdir(parents=True)
    return home


def test_the_newest_jdk_that_fits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_jdk(tmp_path / "a", "1.8.0_402")
    fake_jdk(tmp_path / "b", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "a"))
    monkeypatch.setenv("ES_JAVA_HOME", str(tmp_path / "b"))
    majors = {jdk.home: jdk.major for jdk in java.find_jdks()}
    assert (majors[tmp_path / "a"], majors[tmp_path / "b"]) == (8, 17)
    monkeypatch.setattr(
        java, "find_jdks", lambda: [java.Jdk(Path("/j25"), 25), java.Jdk(Path("/j21"), 21), java.Jdk(Path("/j17"), 17)]
    )
    assert java.newest_jdk(range(17, 25), "x").major == 21
    with pytest.raises(ServiceUnavailable, match=r"x needs Java 26 to 30, found: 25, 21, 17; install a JDK"):
        java.newest_jdk(range(26, 31), "x")


def test_without_maven_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_jdk(tmp_path / "jdk", "17")
    monkeypatch.setattr(java, "find_jdks", lambda: [java.Jdk(tmp_path / "jdk", 17)])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceUnavailable, match="`mvn` is not installed; install Maven, or set HEADRACE_BROKER"):
        services.start(tmp_path / "services", elasticsearch=False)
    assert services.status(tmp_path / "services").services == ()


def test_altered_programs_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maven = tmp_path / "mvn"
    maven.write_text(
        '#!/bin/sh\nfor a; do case "$a" in -DoutputDirectory=*) d="${a#*=}"; mkdir -p "$d"; echo bad > '
        '"$d/x.jar";; esac; done\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ServiceUnavailable, match="is not what this Headrace was tested with"):
        java.fetch(tmp_path / "cache" / "kafka-4.1.0", ["a:b:1:jar"], "0" * 64, "1 MB", lambda line: None)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["kafka-4.1.0.lock"]


def test_of_many_that_want_a_program_at_once_one_fetches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that began together ran Maven on the same files, and who came second failed at its end."""
    maven, calls = tmp_path / "mvn", tmp_path / "calls"
    maven.write_text(
        f'#!/bin/sh\necho called >> {calls}\nfor a; do case "$a" in -DoutputDirectory=*) d="${{a#*=}}"; mkdir -p "$d"; '
        'sleep 0.2; echo good > "$d/x.jar";; esac; done\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (made := tmp_path / "made").mkdir()
    (made / "x.jar").write_text("good\n")
    target, gate = tmp_path / "cache" / "kafka-4.1.0", threading.Barrier(4)

    def fetch(_: int) -> Path:
        gate.wait(120)
        return java.fetch(target, ["a:b:1:jar"], java._digest(made), "1 MB", lambda line: None)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(fetch, range(4))) == [target] * 4
    assert [path.name for path in target.iterdir()] == ["x.jar"]
    assert calls.read_text().splitlines() == ["called"]


def test_a_server_that_ends_while_starting_shows_the_end_of_its_log(tmp_path: Path, only_jdk: Path) -> None:
    fake_jdk(only_jdk, "17", 'case "$*" in *StorageTool*) exit 0;; *) echo "the port is taken"; exit 3;; esac')
    with pytest.raises(ServiceUnavailable, match=r"ended while starting; .* ends with: the port is taken"):
        services.start(tmp_path / "services", elasticsearch=False, cache=tmp_path / "cache")
    assert services.status(tmp_path / "services").services == ()


def test_a_failing_tool_shows_its_output(tmp_path: Path, only_jdk: Path) -> None:
    fake_jdk(only_jdk, "17", "echo no space left; exit 1")
    with pytest.raises(ServiceUnavailable, match=r"formatting Kafka's storage .* failed \(exit 1\): no space left"):
        services.start(tmp_path / "services", elasticsearch=False, cache=tmp_path / "cache")


def test_a_server_that_does_not_answer_is_stopped_with_its_children(
    tmp_path: Path, only_jdk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "STOP_SECONDS", 1.0)
    pids = tmp_path / "pids"
    wait_healthy = service.wait_healthy

    def once_it_runs(*waited: Any) -> None:
        """Its second begins when it has started, however long that takes."""
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, what="the server's start")
        wait_until(lambda: "still" in Path(waited[0][0].log).read_text(), what="its first words")
        monkeypatch.setattr(service, "HEALTH_SECONDS", 1.0)
        wait_healthy(*waited)

    monkeypatch.setattr(kafka, "wait_healthy", once_it_runs)
    deaf = (
        f'case "$*" in *StorageTool*) exit 0;; *) trap "" TERM; sleep 300 & echo $$ $! > {pids}; echo still '
        f"warming up; wait; wait;; esac"
    )
    fake_jdk(only_jdk, "17", deaf)
    with pytest.raises(ServiceUnavailable, match=r"did not answer within 1 s; .* ends with: still warming up"):
        services.start(tmp_path / "services", elasticsearch=False, cache=tmp_path / "cache")
    wait_until(
        lambda: all(process_birth(int(pid)) == "" for pid in pids.read_text().split()), what="the processes' end"
    )


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, only_jdk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = tmp_path / "pids"
    fake_jdk(only_jdk, "17", f'case "$*" in *StorageTool*) exit 0;; *) echo $$ > {pids}; sleep 300;; esac')

    def interrupted(*_: object) -> None:
        wait_until(lambda: pids.exists() and pids.read_text().strip(), what="the server's start")
        raise KeyboardInterrupt

    monkeypatch.setattr(kafka, "wait_healthy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        services.start(tmp_path / "services", elasticsearch=False, cache=tmp_path / "cache")
    wait_until(lambda: process_birth(int(pids.read_text())) == "", what="the server's end")


def test_stop_ends_only_what_start_started(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3_600)"], start_new_session=True)
    try:
        entry = {
            "name": "kafka-1",
            "version": "4.1.0",
            "pid": stranger.pid,
            "birth": "another",
            "address": "127.0.0.1:1",
            "log": "-",
        }
        (tmp_path / "services.json").write_text(json.dumps([entry]))
        assert services.status(tmp_path).kafka is None
        assert services.stop(tmp_path) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(120)


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of someone else's, whose id stands in services.json since before a restart of the machine."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3_600)"], start_new_session=True)
    entry = {"name": "kafka-1", "version": "4.1.0", "pid": process.pid, "birth": "another", "address": "127.0.0.1:1"}
    (tmp_path / "services.json").write_text(json.dumps([entry | {"log": "-"}]))
    yield process
    process.kill()
    process.wait(120)


def test_a_start_that_fails_signals_no_stranger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: subprocess.Popen[bytes]
) -> None:
    """D-B9: after a restart of the machine `services start` without Maven sent SIGTERM to whoever had the old
    process id by then."""
    fake_jdk(tmp_path / "jdk", "17")
    monkeypatch.setattr(java, "find_jdks", lambda: [java.Jdk(tmp_path / "jdk", 17)])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceUnavailable, match="`mvn` is not installed"):
        services.start(tmp_path, elasticsearch=False)
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.5)


def test_stopping_looks_at_the_birth_of_each(stranger: subprocess.Popen[bytes]) -> None:
    service.stop_all([service.RunningService("kafka-1", "4.1.0", stranger.pid, "1", "127.0.0.1:1", "-")])
    with pytest.raises(subprocess.TimeoutExpired):
        stranger.wait(0.5)


def test_a_service_of_another_user_is_one_line(
    stranger: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-B9: stopping what root had started ended in a traceback."""

    def refused(_: psutil.Process) -> None:
        raise psutil.AccessDenied(stranger.pid)

    monkeypatch.setattr(psutil.Process, "terminate", refused)
    mine = service.RunningService("kafka-1", "4.1.0", stranger.pid, process_birth(stranger.pid), "127.0.0.1:1", "-")
    with pytest.raises(ServiceUnavailable, match="was started by another user; stop it as that user"):
        service.stop_all([mine])


def test_births_are_written_as_before(tmp_path: Path) -> None:
    """A services.json of an earlier version still names its processes."""
    ticks = Path("/proc/self/stat")
    if not ticks.exists():
        pytest.skip("no /proc here")
    assert process_birth(os.getpid()) == ticks.read_text().rpartition(")")[2].split()[19]


def test_what_runs_is_not_taken_for_another_kind(tmp_path: Path) -> None:
    here = {"pid": os.getpid(), "birth": process_birth(os.getpid()), "log": "-"}
    search = {"name": "elasticsearch", "version": "8.19.21", "address": "http://127.0.0.1:1", **here}
    broker = {"name": "kafka-1", "version": "4.1.0", "address": "127.0.0.1:2", **here}
    (tmp_path / "services.json").write_text(json.dumps([search, broker]))
    again = services.start(tmp_path)
    assert (again.kafka, again.elasticsearch) == ("127.0.0.1:2", "http://127.0.0.1:1")
    with pytest.raises(ServiceUnavailable, match=r"runs with 1 broker\(s\), not 3"):
        services.start(tmp_path, brokers=3)
    with pytest.raises(ServiceUnavailable, match=r"Elasticsearch 8\.19\.21 runs at http://.* not 9\.2\.0 over http"):
        services.start(tmp_path, elasticsearch_major=9)
    assert services.status(tmp_path) == again


def test_a_broker_that_ended_comes_back_at_its_address_beside_those_that_run(
    tmp_path: Path, only_jdk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "wait_healthy", lambda *_: None)
    fake_jdk(only_jdk, "17", 'case "$*" in *StorageTool*) exit 0;; *) exec sleep 300;; esac')
    folder = tmp_path / "services"
    try:
        before = services.start(folder, elasticsearch=False, brokers=3, cache=tmp_path / "cache")
        victim = before.services[1]
        os.killpg(victim.pid, signal.SIGKILL)
        wait_until(lambda: not victim.is_alive(), what="the broker's end")
        with pytest.raises(ServiceUnavailable, match=r"runs with 3 broker\(s\), not 2"):
            services.start(folder, elasticsearch=False, brokers=2)
        after = services.start(folder, elasticsearch=False, brokers=3, cache=tmp_path / "cache")
        known = {service.name: service for service in before.services}
        assert {service.name: service.address for service in after.services} == {
            name: service.address for name, service in known.items()
        }
        assert [service.name for service in after.services if service.pid != known[service.name].pid] == [victim.name]
    finally:
        services.stop(folder)


def test_stop_where_nothing_was_started_is_fine(tmp_path: Path) -> None:
    assert services.stop(tmp_path / "nowhere") == []
    assert services.status(tmp_path / "nowhere").kafka is None


def test_a_state_file_that_is_broken_is_named(tmp_path: Path) -> None:
    (tmp_path / "services.json").write_text("{")
    with pytest.raises(ServiceUnavailable, match="is not readable"):
        services.status(tmp_path)


def test_a_process_is_told_from_its_remains_and_from_a_later_one() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3_600)"])
    birth = process_birth(child.pid)
    assert birth
    assert is_running(child.pid, birth)
    assert not is_running(child.pid, birth + "1")
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while is_running(child.pid, birth) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(child.pid, birth)
    child.returncode = -9  # is_running has taken its remains up


def test_free_ports_are_distinct_and_free() -> None:
    ports = free_ports(10)
    assert len(set(ports)) == 10
    assert all(20_000 <= port < 32_000 and is_free(port) for port in ports)


def test_closed_folders_have_a_stand_in_that_others_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    stand_in = users.open_to_others(closed / "elasticsearch")
    try:
        assert stand_in == users.open_to_others(closed / "elasticsearch")
        assert stand_in.parent == Path("/var/tmp")
        assert stand_in.stat().st_mode & 0o005 == 0o005
    finally:
        stand_in.rmdir()
