import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence

import pytest

from headrace.process import health as health_module
from headrace.process.broker_probe import BrokerProbe
from headrace.process.event_loop_watchdog import EventLoopWatchdog
from headrace.process.health import LOOP_SILENT_SECONDS, Health, HealthState, serve
from headrace.process.watch import Watch
from models.errors import ConfigError
from streams.engine.watchdog import LogChanged, LogState, Position, RoleState, Stopped, TopicLog
from streams.metrics import Metrics


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds for a request, few enough for a test."""
    monkeypatch.setattr(health_module, "SILENT_SECONDS", 1)
    return 1.0


@pytest.fixture
def served() -> Iterator[tuple[Health, str, int]]:
    health = Health()
    server = serve("127.0.0.1", 0, Metrics().registry, health)
    yield health, f"http://127.0.0.1:{server.port}", server.port
    server.close()


def get(url: str) -> tuple[int, dict[str, object]]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_a_process_that_starts_is_live_and_not_ready(served: tuple[Health, str, int]) -> None:
    _, url, _ = served
    assert get(f"{url}/health/live")[0] == 200
    assert get(f"{url}/health/ready") == (
        503,
        {"status": "unavailable", "reasons": ["starting"], "roles": {}, "serves": {}},
    )


def test_ready_when_nothing_is_missing_and_the_answer_says_what_serves(served: tuple[Health, str, int]) -> None:
    health, url, _ = served
    health.update(HealthState(serves={"support": "3"}))
    status, answer = get(f"{url}/health/ready")
    assert (status, answer["serves"]) == (200, {"support": "3"})


def test_a_loop_that_stands_still_is_neither_live_nor_ready(served: tuple[Health, str, int]) -> None:
    health, url, _ = served
    health.update(HealthState())
    health.follow_loop(lambda: LOOP_SILENT_SECONDS + 1)
    for kind in ("live", "ready"):
        status, answer = get(f"{url}/health/{kind}")
        assert status == 503 and "stood still for 11 s" in str(answer["reasons"])


def test_metrics_stand_beside_health_and_anything_else_is_not_found(served: tuple[Health, str, int]) -> None:
    _, url, _ = served
    with urllib.request.urlopen(f"{url}/metrics", timeout=60) as answer:
        assert "headrace_ready" in answer.read().decode()
    assert get(f"{url}/nothing")[0] == 404


def test_an_address_that_is_taken_is_one_line_with_the_settings_name(served: tuple[Health, str, int]) -> None:
    with pytest.raises(ConfigError, match="HEADRACE_METRICS_HOST and _PORT"):
        serve("127.0.0.1", served[2], Metrics().registry, Health())


class Role:
    name = "worker"

    def __init__(self) -> None:
        self.committed, self.failure, self.positions_known = 5, None, True
        self.failed_of: BaseException | None = None

    def state(self) -> RoleState:
        given = {("texts", 0): Position(self.committed, self.committed, False)} if self.positions_known else None
        return RoleState(self.name, given, 0, 0)

    def trouble(self) -> BaseException | None:
        return self.failed_of


class Seen(BrokerProbe):
    """A lookout that was told what it sees."""

    def __init__(self, *seen: LogState | Exception) -> None:
        super().__init__(lambda: LogState("c", {}), [], 1.0)
        self._told = list(seen)

    def take(self) -> list[LogState | Exception]:
        told, self._told = self._told, []
        return told


LOG = LogState("c", {"texts": TopicLog("aaaaaaaa", {0: (0, 9)})})


def checked(watch: Watch, roles: Sequence[Role]) -> dict[str, object]:
    watch.check(time.monotonic(), roles, 0.0)
    return watch.health.ready()


def test_a_watched_role_without_a_place_is_not_ready_and_one_with_it_shows_its_lag() -> None:
    role, metrics = Role(), Metrics()
    watch = Watch(60, lookout=Seen(LOG), metrics=metrics)
    role.positions_known = False
    assert "no place in its consumer group" in str(checked(watch, [role])["reasons"])
    role.positions_known = True
    answer = checked(watch, [role])
    assert answer["status"] == "ok"
    labels = {"role": "worker", "topic": "texts", "partition": "0"}
    assert metrics.registry.get_sample_value("headrace_lag_events", labels) == 4
    assert metrics.registry.get_sample_value("headrace_ready") == 1


def test_a_cut_partition_is_told_as_not_ready_in_the_metrics_and_once_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """S-A14: the process left instead, and 99 whole partitions with it."""
    role, metrics = Role(), Metrics()
    role.committed = 3
    cut = LogState("c", {"texts": TopicLog("aaaaaaaa", {0: (4, 9), 1: (0, 9)})})
    watch = Watch(60, lookout=Seen(cut), metrics=metrics)
    for _ in range(3):
        answer = checked(watch, [role])
    assert answer["status"] == "unavailable"
    assert "texts[0] no longer has what stands at position 3" in str(answer["reasons"])
    assert "--reset-position beginning" in str(answer["reasons"])
    assert metrics.registry.get_sample_value("headrace_cut_partitions", {"role": "worker"}) == 1
    assert caplog.text.count("no longer has") == 1
    assert watch.health.live()["status"] == "ok"


def test_a_store_that_does_not_answer_is_a_reason_not_to_be_ready() -> None:
    lookout = Seen(LOG)
    lookout.store_trouble = "Elasticsearch does not answer"
    assert checked(Watch(60, lookout=lookout), [Role()])["reasons"] == ["store: Elasticsearch does not answer"]


def test_what_stops_a_process_is_not_live_and_is_raised() -> None:
    watch = Watch(60, lookout=Seen(LOG, LogState("d", {})))
    with pytest.raises(LogChanged):
        checked(watch, [Role()])
    assert "another Kafka cluster" in str(watch.health.live()["reasons"])


def test_a_clients_own_error_becomes_one_line_and_a_fault_of_ours_keeps_its_stack() -> None:
    from aiokafka.errors import KafkaConnectionError

    role = Role()
    role.failed_of = KafkaConnectionError("gone")
    with pytest.raises(Stopped, match="worker: the Kafka client gave up: KafkaConnectionError"):
        checked(Watch(60), [role])
    role.failed_of = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        checked(Watch(60), [role])


def test_a_machine_that_was_paused_did_not_stand_still() -> None:
    role, watch, now = Role(), Watch(60, lookout=Seen(LOG)), time.monotonic()
    watch.check(now, [role], 0.0)
    watch.check(now + 3_600, [role], 0.0)
    watch.check(now + 3_601, [role], 0.0)


def test_a_loop_that_does_not_tick_ends_the_process_with_every_stack(capfd: pytest.CaptureFixture[str]) -> None:
    left: list[int] = []
    watch = EventLoopWatchdog(3.0, 1, left.append)
    watch.start()
    for _ in range(3):
        time.sleep(0.5)
        watch.tick()
    assert not left
    deadline = time.monotonic() + 60
    while not left and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == [1]


def test_a_closed_loop_watch_says_nothing() -> None:
    left: list[int] = []
    watch = EventLoopWatchdog(0.5, 1, left.append)
    watch.start()
    watch.close()
    time.sleep(1.5)
    assert not left


def test_a_lookout_reports_failures_and_goes_on() -> None:
    looks: Iterator[LogState | Exception] = iter([OSError("away"), LOG])

    def look() -> LogState:
        look = next(looks, LOG)
        if isinstance(look, Exception):
            raise look
        return look

    lookout = BrokerProbe(look, [], 0.05)
    lookout.start()
    seen: list[LogState | Exception] = []
    deadline = time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
        seen += lookout.take()
    lookout.close()
    assert isinstance(seen[0], OSError) and seen[1] == LOG


def test_a_look_that_ends_after_a_take_is_not_lost() -> None:
    looking, go_on = threading.Event(), threading.Event()

    def look() -> LogState:
        looking.set()
        go_on.wait(60)
        return LogState("c1", {})

    lookout = BrokerProbe(look, [], 60)
    lookout.start()
    assert looking.wait(60)
    assert lookout.take() == []
    go_on.set()
    deadline = time.monotonic() + 60
    while not (seen := lookout.take()) and time.monotonic() < deadline:
        time.sleep(0.01)
    lookout.close()
    assert seen == [LogState("c1", {})]


def test_half_sent_requests_cost_neither_threads_nor_answers(impatient: float, served: tuple[Health, str, int]) -> None:
    """D-A8: 400 half-sent requests made 421 threads that were still there after 15 s."""
    _, url, port = served
    before = set(threading.enumerate())  # with the server's, and what earlier tests left
    half = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(300)]
    try:
        for connection in half:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
        assert get(f"{url}/health/live")[0] == 200
        assert len(set(threading.enumerate()) - before) < 10
        half[0].settimeout(impatient + 60)
        assert half[0].recv(1) == b""  # closed by the server
    finally:
        for connection in half:
            connection.close()


def test_a_request_sent_byte_by_byte_ends_in_time(impatient: float, served: tuple[Health, str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", served[2]), 60) as slow, pytest.raises(OSError):
        while time.monotonic() - began < impatient + 60:
            slow.sendall(b"G")
            time.sleep(0.1)
    assert time.monotonic() - began < impatient + 60


def test_what_a_client_said_is_answered_without_credentials(served: tuple[Health, str, int]) -> None:
    """D-A6, D-A8: the store's error, with user and password in its address, stood in /health/ready."""
    health, url, _ = served
    health.update(HealthState(not_ready=["store: no answer at http://elastic:hunter2@search:9200"]))
    assert get(f"{url}/health/ready")[1]["reasons"] == ["store: no answer at http://***@search:9200"]
