"""Alerts reach people: neither a receiver that is down nor a kill of the notifier loses one."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from harness import Headrace, MakeHome, Running, wait_for

from connectors.kafka.client import KafkaAdmin, KafkaPublisher
from streams.topics import ALERTS_TOPIC, own_specs
from streams.wire.records import Alert

pytestmark = pytest.mark.kafka
ALERTS = 120
AWAY_SECONDS = 3.0


def alert(app: str, number: int, state: str = "firing", rule: str = "drift") -> Alert:
    return Alert(
        fingerprint=f"{app}-{number}",
        rule=rule,
        severity="warning",
        state="firing" if state == "firing" else "resolved",
        summary=f"alert {number}",
        values={"app": app},
        at="2026-11-01T10:00:00.000Z",
    )


class WebhookServer:
    """A receiver on a port of its own, that can be away."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.heard: list[dict[str, Any]] = []
        self._http: ThreadingHTTPServer | None = None

    def open(self) -> None:
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                time.sleep(0.01)  # so that a kill meets some on their way
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    server = WebhookServer()
    yield server
    server.close()


def say(address: str, *alerts: Alert) -> None:
    admin, publisher = KafkaAdmin(address), KafkaPublisher(address)
    admin.ensure(own_specs([]))
    for one in alerts:
        publisher.send(ALERTS_TOPIC, one.encode(), one.fingerprint.encode())
    publisher.flush()
    publisher.close()
    admin.close()


def application(home: Headrace, name: str, receivers: str) -> str:
    toml = home.home / f"{name}.toml"
    toml.write_text(
        f'name = "{name}"\ntopic = "{name}.chats"\n[[heads]]\nname = "intent"\ncolumn = "intent"\n{receivers}'
    )
    return str(toml)


def start(home: Headrace, toml: str, name: str) -> Running:
    notifier = home.start("notifier", toml, name=name)
    notifier.wait_ready()
    return notifier


def test_every_alert_is_told_though_the_receiver_is_away_and_the_notifier_is_killed_twice(
    make_home: MakeHome, kafka_address: str, unique: str, server: WebhookServer
) -> None:
    home = make_home(f"kafka://{kafka_address}", HEADRACE_ALERT_HOSTS="127.0.0.1")
    receiver = f'[[receivers]]\nname = "desk"\nkind = "webhook"\nurl = "http://127.0.0.1:{server.port}/alerts"\n'
    toml = application(home, unique, receiver)
    say(kafka_address, *(alert(unique, number) for number in range(ALERTS // 2)))
    notifier = start(home, toml, "first")
    say(kafka_address, *(alert(unique, number) for number in range(ALERTS // 2, ALERTS)))
    time.sleep(AWAY_SECONDS)
    server.open()
    kills = 0
    for name in ("second", "third"):
        wait_for(lambda kills=kills: len(server.heard) > 30 * (kills + 1), 180, notifier.text)  # type: ignore[misc]
        notifier.kill()
        kills += 1
        notifier = start(home, toml, name)
    wait_for(lambda: len({one["key"] for one in server.heard}) == ALERTS, 180, notifier.text)
    told = Counter(one["key"] for one in server.heard)
    assert {one["summary"] for one in server.heard} == {f"alert {number}" for number in range(ALERTS)}
    assert sum(told.values()) - len(told) <= kills, "one repeat for each kill at the most"

    say(kafka_address, *(alert(unique, number, "resolved") for number in range(ALERTS)))
    wait_for(lambda: sum(one["state"] == "resolved" for one in server.heard) == ALERTS, 180, notifier.text)
    assert notifier.stop() == 0
    heard = len(server.heard)
    again = start(home, toml, "fourth")
    time.sleep(2.5)
    assert len(server.heard) == heard, "a restart tells nothing again"
    assert again.stop() == 0


def test_two_notifiers_tell_each_alert_once(
    make_home: MakeHome, kafka_address: str, unique: str, server: WebhookServer
) -> None:
    home = make_home(f"kafka://{kafka_address}", HEADRACE_ALERT_HOSTS="127.0.0.1")
    receiver = f'[[receivers]]\nname = "desk"\nkind = "webhook"\nurl = "http://127.0.0.1:{server.port}/alerts"\n'
    toml = application(home, unique, receiver)
    server.open()
    one, other = start(home, toml, "one"), start(home, toml, "other")
    say(kafka_address, *(alert(unique, number) for number in range(20)))
    wait_for(lambda: len(server.heard) == 20, 180, lambda: one.text() + other.text())
    assert one.stop() == 0  # the other takes over, if it did not tell already
    say(kafka_address, *(alert(unique, number) for number in range(20, 40)))
    wait_for(lambda: len({heard["key"] for heard in server.heard}) == 40, 180, other.text)
    assert len(server.heard) == 40
    assert other.stop() == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_notifiers_tell_nobody_of_what_is_silenced_and_once_of_what_still_fires_at_its_end(
    make_home: MakeHome, kafka_address: str, unique: str, server: WebhookServer
) -> None:
    home = make_home(f"kafka://{kafka_address}", HEADRACE_ALERT_HOSTS="127.0.0.1")
    receiver = f'[[receivers]]\nname = "desk"\nkind = "webhook"\nurl = "http://127.0.0.1:{server.port}/alerts"\n'
    toml = application(home, unique, receiver)
    server.open()
    say(kafka_address)
    notifiers = [start(home, toml, "one"), start(home, toml, "other")]

    def logs() -> str:
        return "".join(notifier.text() for notifier in notifiers)

    def heard(state: str = "firing") -> Counter[str]:
        return Counter(one["fingerprint"] for one in server.heard if one["state"] == state)

    def named(*numbers: int) -> dict[str, int]:
        return dict.fromkeys((f"{unique}-{number}" for number in numbers), 1)

    silence = home.run("alerts", "silence", "--app", unique, "--rule", "surge", "--for", "3m", "--by", "ann")
    assert silence.returncode == 0, silence.stderr
    over = time.monotonic() + 180.0
    say(kafka_address, *(alert(unique, n) for n in range(10)), *(alert(unique, n, rule="surge") for n in range(10, 20)))
    wait_for(lambda: len(heard()) >= 10, 180, logs)
    assert notifiers[0].stop() == 0  # whichever of them is active: the other one takes over, and a third one comes
    notifiers.append(start(home, toml, "third"))
    say(kafka_address, *(alert(unique, n) for n in range(20, 30)))
    say(kafka_address, *(alert(unique, n, "resolved", "surge") for n in range(10, 14)))
    wait_for(lambda: len(heard()) >= 20, 180, logs)
    assert heard() == named(*range(10), *range(20, 30)) and not heard("resolved")
    assert time.monotonic() < over, "the machine is too slow for this test"
    still = named(*range(10), *range(14, 30))
    wait_for(lambda: len(heard()) == len(still), 240, logs)
    time.sleep(5)
    assert heard() == still, "what still fires, once"
    say(kafka_address, *(alert(unique, n, "resolved") for n in range(10)))
    say(kafka_address, *(alert(unique, n, "resolved", "surge") for n in range(14, 20)))
    wait_for(lambda: len(heard("resolved")) == 16, 180, logs)
    assert [notifier.stop() for notifier in notifiers[1:]] == [0, 0]
    assert heard("resolved") == named(*range(10), *range(14, 20)) and heard() == still


def test_an_address_that_is_not_public_is_not_told_anything(
    make_home: MakeHome, kafka_address: str, unique: str, server: WebhookServer
) -> None:
    home = make_home(f"kafka://{kafka_address}")
    receiver = f'[[receivers]]\nname = "desk"\nkind = "webhook"\nurl = "http://127.0.0.1:{server.port}/alerts"\n'
    toml = application(home, unique, receiver)
    server.open()
    tried = home.run("alerts", "test", toml)
    assert tried.returncode == 1 and "HEADRACE_ALERT_HOSTS" in tried.stdout
    assert server.heard == []
    nobody = home.run("notifier", application(home, f"{unique}x", ""))
    assert nobody.returncode == 1 and "nobody is to be told" in nobody.stderr


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "Alertmanager is not installed: apt-get install prometheus-alertmanager"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    data = tmp_path / "data"
    choices = (f"--config.file={config}", f"--storage.path={data}", f"--web.listen-address={address}")
    process = subprocess.Popen(
        [program, *choices, "--cluster.listen-address="],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: firing(f"http://{address}") is not None, 120)
    yield f"http://{address}"
    process.kill()
    process.wait(120)


def firing(address: str) -> list[str] | None:
    """What a real Alertmanager shows as active; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"{address}/api/v2/alerts?active=true", timeout=5) as answer:
            alerts = json.load(answer)
    except OSError:
        return None
    return sorted(one["labels"]["fingerprint"] for one in alerts if one["status"]["state"] == "active")


def test_alertmanager_shows_what_fires_and_drops_what_is_over(
    make_home: MakeHome, kafka_address: str, unique: str, alertmanager: str
) -> None:
    home = make_home(f"kafka://{kafka_address}", HEADRACE_ALERTMANAGER=alertmanager)
    toml = application(home, unique, "")
    say(kafka_address, alert(unique, 1), alert(unique, 2))
    notifier = start(home, toml, "notifier")
    wait_for(lambda: firing(alertmanager) == [f"{unique}-1", f"{unique}-2"], 180, notifier.text)
    assert home.run("alerts", "ack", f"{unique}-2", "--by", "ann").returncode == 0
    wait_for(lambda: firing(alertmanager) == [f"{unique}-1"], 180, notifier.text)  # it keeps a silence of its own
    assert "looked after by ann" in home.run("alerts", "list", "--app", unique).stdout.replace("\n", " ")
    assert home.run("alerts", "ack", f"{unique}-2", "--withdraw").returncode == 0
    wait_for(lambda: firing(alertmanager) == [f"{unique}-1", f"{unique}-2"], 180, notifier.text)
    say(kafka_address, alert(unique, 1, "resolved"))
    wait_for(lambda: firing(alertmanager) == [f"{unique}-2"], 180, notifier.text)
    assert home.json("alerts", "test", toml)["receivers"] == [{"name": "alertmanager", "ok": True, "reason": ""}]
    assert notifier.stop() == 0
