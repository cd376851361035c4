"""Receivers of alerts: what they are sent, what they may answer, and where nothing is sent."""

import contextlib
import importlib.util
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from connectors.errors import ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.outbound.destinations import AllowedHosts
from connectors.outbound.http import Url
from connectors.ports import Hush, Notice
from connectors.receivers.alertmanager import Alertmanager
from connectors.receivers.email import Email, MailServer
from connectors.receivers.slack import Slack, message
from connectors.receivers.webhook import Webhook
from headrace.process.notifier_sources import make_receiver
from models.errors import ConfigError
from streams.application import ReceiverSpec, parse_application

NOTICE = Notice(
    key="k1",
    fingerprint="f1",
    app="support",
    rule="drift",
    severity="warning",
    is_firing=True,
    summary="support: new <texts> & more",
    fired_at="2026-11-01T10:00:00.000Z",
    at="2026-11-01T10:00:00.000Z",
    evidence=[{"id": "x", "text": "a battery <b>recall</b>"}, "y"],
    runbook="https://wiki.example.com",
)
LOCAL = AllowedHosts("127.0.0.1")
SECRET = b"sesame"


class Server:
    """Answers POST with `status`, remembers what came."""

    def __init__(self) -> None:
        self.status, self.headers, self.came = 204, dict[str, str](), list[tuple[str, dict[str, str], bytes]]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.came.append((self.path, dict(self.headers), body))
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def shipped_example() -> Any:
    path = Path(__file__).parents[2] / "docs" / "examples" / "verify_webhook.py"
    spec = importlib.util.spec_from_file_location("verify_webhook", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_webhook_is_signed_and_the_shipped_example_believes_it_and_nothing_else(server: Server) -> None:
    Webhook(Url.of(server.url + "/hook?team=1", "url"), SECRET, LOCAL, clock=lambda: 1_000.0).deliver(NOTICE)
    ((path, headers, body),) = server.came
    assert path == "/hook?team=1" and json.loads(body)["state"] == "firing" and headers["Headrace-Key"] == "k1"
    genuine = shipped_example().is_genuine
    given = headers["Headrace-Timestamp"], headers["Headrace-Signature"]
    assert genuine(SECRET, *given, body, 1_010.0)
    assert not genuine(b"another", *given, body, 1_010.0)
    assert not genuine(SECRET, *given, body + b" ", 1_010.0)
    assert not genuine(SECRET, "1001", given[1], body, 1_010.0)
    assert not genuine(SECRET, *given, body, 1_400.0), "an old one that is played again"
    assert not genuine(SECRET, "²", "", body, 1_010.0)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (503, ReceiverUnavailable),
        (429, ReceiverUnavailable),
        (400, ReceiverRefused),
        (413, ReceiverRefused),
        (401, ReceiverDenied),
        (404, ReceiverDenied),
        (302, ReceiverDenied),
    ],
)
def test_what_a_receiver_answers_says_whether_to_tell_it_again(
    server: Server, status: int, error: type[Exception]
) -> None:
    server.status, server.headers = status, {"Location": "http://169.254.169.254/latest/meta-data"}
    with pytest.raises(error, match=str(status)):
        Webhook(Url.of(server.url + "/secret-path", "url"), SECRET, LOCAL).deliver(NOTICE)
    assert len(server.came) == 1, "redirects are not followed"


def test_what_is_said_of_a_receiver_holds_no_path_which_may_be_a_secret(server: Server) -> None:
    server.status = 500
    with pytest.raises(ReceiverUnavailable) as error:
        Slack(Url.of(server.url + "/services/T0/B0/SECRET", "url"), LOCAL).deliver(NOTICE)
    assert "SECRET" not in str(error.value)


def test_nobody_there_is_told_again_later() -> None:
    with pytest.raises(ReceiverUnavailable, match="does not answer"):
        Webhook(Url.of("http://127.0.0.1:9", "url"), b"", LOCAL).deliver(NOTICE)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.8", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1"),
        *("::1", "fe80::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fec0::1", "::7f00:1"),
        *("64:ff9b:1::a00:1", "::ffff:0:10.0.0.1", "168.63.129.16"),
    ],
)
def test_no_alert_goes_to_an_address_that_is_not_public(address: str) -> None:
    hosts = AllowedHosts(resolve=lambda name, port: [address])
    with pytest.raises(ReceiverDenied, match="HEADRACE_ALERT_HOSTS"):
        hosts.destination("alerts.example.com", 443)
    with pytest.raises(ReceiverDenied):
        hosts.destination(f"[{address}]" if ":" in address else address, 443)


def test_one_private_answer_of_several_is_one_too_many() -> None:
    hosts = AllowedHosts(resolve=lambda name, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(ReceiverDenied, match=r"10\.0\.0\.1"):
        hosts.destination("alerts.example.com", 443)


def test_a_name_is_looked_up_once_and_that_very_address_is_connected_to(server: Server) -> None:
    """DNS rebinding: the second answer may be another one."""
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    hosts = AllowedHosts("alerts.example.com", resolve=lambda name, port: answers.pop(0))
    port = server.http.server_address[1]
    Webhook(Url.of(f"http://alerts.example.com:{port}/x", "url"), b"", hosts).deliver(NOTICE)
    assert server.came[0][1]["Host"] == f"alerts.example.com:{port}" and answers == [["10.0.0.1"]]


@pytest.mark.parametrize("names", ["alerts.internal", "10.0.0.0/8", "x, 10.1.2.3"])
def test_what_the_operator_names_may_be_told(names: str) -> None:
    hosts = AllowedHosts(names, resolve=lambda name, port: ["10.1.2.3"])
    assert hosts.destination("Alerts.Internal.", 80).is_named


@pytest.mark.parametrize("names", ["http://x", "10.0.0.0/99", "host:80"])
def test_a_name_that_is_none_is_refused(names: str) -> None:
    with pytest.raises(ConfigError, match="HEADRACE_ALERT_HOSTS"):
        AllowedHosts(names)


def test_alerts_go_unencrypted_only_to_hosts_that_the_operator_named() -> None:
    hosts = AllowedHosts(resolve=lambda name, port: ["93.184.216.34"])
    with pytest.raises(ReceiverDenied, match="unencrypted"):
        Webhook(Url.of("http://alerts.example.com/x", "url"), b"", hosts).deliver(NOTICE)
    mail = Email(MailServer("mail.example.com", 25, "off"), "a@example.com", ["b@example.com"], hosts)
    with pytest.raises(ReceiverDenied, match="unencrypted"):
        mail.deliver(NOTICE)


def test_alertmanager_gets_the_same_labels_when_it_fires_and_when_it_is_over(server: Server) -> None:
    receiver = Alertmanager(Url.of(server.url + "/prefix/", "url"), LOCAL, clock=lambda: 1_793_600_000.0)
    receiver.deliver(NOTICE)
    receiver.deliver(replace(NOTICE, is_firing=False, at="2026-11-01T11:00:00.000Z"))
    (path, _, fired), (_, _, over) = server.came
    assert path == "/prefix/api/v2/alerts"
    (first,), (last,) = json.loads(fired), json.loads(over)
    assert (
        first["labels"]
        == last["labels"]
        == {
            "alertname": "headrace_drift",
            "app": "support",
            "rule": "drift",
            "severity": "warning",
            "fingerprint": "f1",
        }
    )
    assert first["startsAt"] == last["startsAt"] == NOTICE.fired_at
    assert first["endsAt"] > last["endsAt"]


def test_what_a_customer_wrote_is_no_markup_in_slack() -> None:
    said = message(NOTICE)
    assert "&lt;texts&gt; &amp; more" in said and "<b>" not in said and "|what to do>" in said


TLS_RECORD = b"\x16\x03\x03\x3f\xff\x02"  # begins a handshake of 16 kB


@pytest.fixture(params=["http", "https", "smtp", "smtps"])
def dripping(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """A kind, and the port of a server that sends a byte every now and then: no single wait is long."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(TLS_RECORD if request.param in ("https", "smtps") else b"2")
            while not ends.wait(0.05):
                connection.sendall(b"2")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield request.param, int(listener.getsockname()[1])
    ends.set()
    listener.close()


def test_a_receiver_that_never_ends_its_answer_is_left_after_a_while(
    dripping: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each wait was bounded, and not their sum."""
    kind, port = dripping
    for module in ("outbound.http", "receivers.email"):
        monkeypatch.setattr(f"connectors.{module}.ALL_SECONDS", 0.4)
    url = Url("https" if kind == "https" else "http", "127.0.0.1", port, "/")
    server = MailServer("127.0.0.1", port, "tls" if kind == "smtps" else "off")
    mail = kind.startswith("smtp")
    receiver = Email(server, "headrace@example.com", ["ann@example.com"], LOCAL) if mail else Webhook(url, b"", LOCAL)
    began = time.monotonic()
    with pytest.raises(ReceiverUnavailable, match="not within"):
        receiver.deliver(NOTICE)
    assert time.monotonic() - began < 60  # it goes on for ever


def test_silences_that_are_taken_slowly_leave_alerts_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now, came = [1_000.0], list[bytes]()

    def slow(url: Url, body: bytes, *_: object) -> None:
        now[0] += 9.0
        came.append(body)

    monkeypatch.setattr("connectors.receivers.alertmanager.request", lambda *_: "[]")
    monkeypatch.setattr("connectors.receivers.alertmanager.post", slow)
    receiver = Alertmanager(Url.of("http://127.0.0.1:1/am", "url"), LOCAL, clock=lambda: now[0])
    with pytest.raises(ReceiverUnavailable, match="takes long for 100 silences"):
        receiver.silence("support", [hush(name=f"{number:04x}") for number in range(100)])
    assert len(came) == 4


def test_silences_that_end_slowly_leave_alerts_their_turn_and_all_end_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that were withdrawn each had half a minute, and alerts waited for all of them."""
    now, there = [1_000.0], [f"{number:04x}" for number in range(10)]

    def slow(method: str, url: Url, *_: object) -> str:
        now[0] += 9.0
        if method == "DELETE":
            there.remove(url.path.rpartition("/")[2])
        state = {"endsAt": "2026-11-27T10:00:00Z", "status": {"state": "active"}}
        return json.dumps([{"id": name, "comment": f"[headrace support {name}]"} | state for name in there])

    monkeypatch.setattr("connectors.receivers.alertmanager.request", slow)
    receiver = Alertmanager(Url.of("http://127.0.0.1:1/am", "url"), LOCAL, clock=lambda: now[0])
    left = list[int]()
    for _ in range(3):
        with pytest.raises(ReceiverUnavailable, match="takes long for"):
            receiver.silence("support", [])
        left.append(len(there))
    receiver.silence("support", [])
    assert (left, there) == ([7, 4, 1], [])


def test_a_mail_cannot_be_given_headers_by_a_summary() -> None:
    mail = Email(MailServer("mail.example.com", 25), "Head <a@example.com>", ["b@example.com"], LOCAL)
    built = mail._message(replace(NOTICE, summary="x\r\nBcc: everybody@example.com\n" + "y" * 400))
    assert built["Bcc"] is None and "\n" not in built["Subject"] and built["Message-ID"] == "<k1@example.com>"
    with pytest.raises(ConfigError, match="no e-mail address"):
        Email(MailServer("mail.example.com", 25), "nobody", ["b@example.com"], LOCAL)


class Mailbox:
    """A mail server that keeps what comes; refuses `refused@...` for good."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.came_for: list[list[str]] = []

    async def handle_RCPT(  # noqa: N802  # aiosmtpd asks for this name
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address.startswith("refused"):
            return "550 no such mailbox"
        if address.startswith("later") and len(self.mails) < 2:
            return "451 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        self.came_for.append(list(envelope.rcpt_tos))
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, MailServer]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, MailServer("127.0.0.1", port, "off")
    controller.stop()


def test_a_mail_arrives_and_a_repeat_has_the_same_message_id(mailbox: tuple[Mailbox, MailServer]) -> None:
    box, server = mailbox
    receiver = Email(server, "headrace@example.com", ["ann@example.com", "bob@example.com"], LOCAL)
    receiver.deliver(NOTICE)
    receiver.deliver(NOTICE)
    first, again = box.mails
    assert first["Message-ID"] == again["Message-ID"] and first["To"] == "ann@example.com, bob@example.com"
    assert first["Subject"].startswith("[firing, warning] support: new")
    assert "a battery <b>recall</b>" in first.get_payload()


def test_a_mailbox_that_is_none_is_refused_for_good_and_a_server_that_is_away_is_not(
    mailbox: tuple[Mailbox, MailServer],
) -> None:
    _, server = mailbox
    with pytest.raises(ReceiverRefused, match="550"):
        Email(server, "headrace@example.com", ["refused@example.com"], LOCAL).deliver(NOTICE)
    with pytest.raises(ReceiverUnavailable):
        Email(replace(server, port=9), "headrace@example.com", ["ann@example.com"], LOCAL).deliver(NOTICE)
    with pytest.raises(ReceiverUnavailable, match="takes no mail"):  # it knows no STARTTLS
        Email(replace(server, tls="starttls"), "headrace@example.com", ["ann@example.com"], LOCAL).deliver(NOTICE)


def test_of_several_people_one_who_is_told_later_is_and_the_others_not_again(
    mailbox: tuple[Mailbox, MailServer],
) -> None:
    box, server = mailbox
    people = ["ann@example.com", "later@example.com", "refused@example.com"]
    receiver = Email(server, "headrace@example.com", people, LOCAL)
    with pytest.raises(ReceiverUnavailable, match=r"later@example\.com"):
        receiver.deliver(NOTICE)
    box.mails.append(None)  # time goes by
    receiver.deliver(NOTICE)
    assert box.came_for == [["ann@example.com"], ["later@example.com"]]


def test_the_next_address_of_a_host_is_tried_where_there_is_no_connection(server: Server) -> None:
    hosts = AllowedHosts("alerts.example.com", resolve=lambda name, port: ["127.0.0.2", "127.0.0.1"])
    port = server.http.server_address[1]
    Webhook(Url.of(f"http://alerts.example.com:{port}/x", "url"), b"", hosts).deliver(NOTICE)
    assert len(server.came) == 1


def test_a_host_with_letters_of_its_country_is_found_by_its_ascii_name() -> None:
    url = Url.of("https://bücher.example/straße?q=ä b", "url")
    assert url.host == "xn--bcher-kva.example" and url.path.isascii() and " " not in url.path


@pytest.mark.parametrize("url", ["ftp://x/y", "https://", "x", "https://user:pw@host/", "https://host:99999/"])
def test_an_address_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as error:
        Url.of(url, "the receiver x's url")
    assert "pw" not in str(error.value)


def test_secrets_are_read_from_files_beside_the_application(tmp_path: Path, server: Server) -> None:
    (tmp_path / "slack.url").write_text(server.url + "/T0/SECRET\n")
    text = """
name = "support"
topic = "chats"
[[heads]]
name = "intent"
column = "intent"
[[receivers]]
name = "team"
kind = "slack"
url_file = "slack.url"
"""
    app = parse_application(text, tmp_path, "x.toml")
    make_receiver(app.receivers[0], LOCAL).deliver(NOTICE)
    assert server.came[0][0] == "/T0/SECRET"
    with pytest.raises(ConfigError, match=r"slack\.url cannot be read"):
        make_receiver(app.receivers[0].model_copy(update={"url_file": tmp_path / "none" / "slack.url"}), LOCAL)
    with pytest.raises(ConfigError, match="called 'team'"):
        parse_application(text + '[[receivers]]\nname = "team"\nkind = "log"\n', tmp_path, "x.toml")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "webhook"}, "url or url_file"),
        ({"kind": "slack", "url": "https://hooks.slack.com/x"}, "url_file"),
        ({"kind": "email", "server": "x:25"}, "recipients"),
        ({"kind": "alertmanager"}, "needs url"),
    ],
)
def test_a_receiver_without_what_it_needs_is_told(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ReceiverSpec(name="x", **fields)


def hush(**fields: Any) -> Hush:
    values = {"app": "support", "fingerprint": "f1", "rule": None, "until_ms": 2_000_000, "by": "ann", "because": "x"}
    return Hush(**({"name": "ab12"} | values | fields))


def test_alertmanager_keeps_our_silences_and_no_others_of_ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    there: list[dict[str, Any]] = []
    came: list[tuple[str, str, Any]] = []

    def answer(method: str, url: Url, body: bytes | None, *_: object) -> str:
        came.append((method, url.path, None if body is None else json.loads(body)))
        return json.dumps(there)

    monkeypatch.setattr("connectors.receivers.alertmanager.request", answer)
    monkeypatch.setattr("connectors.receivers.alertmanager.post", lambda url, body, *_: answer("POST", url, body))
    receiver = Alertmanager(Url.of("http://127.0.0.1:1/am", "url"), LOCAL, clock=lambda: 1_000.0)
    receiver.silence("support", [hush(), hush(name="cd34", fingerprint=None, rule="surge", until_ms=None)])
    (_, first, second) = came
    assert first[:2] == ("POST", "/am/api/v2/silences")
    assert {m["name"]: m["value"] for m in first[2]["matchers"]} == {"app": "support", "fingerprint": "f1"}
    assert first[2]["comment"] == "x [headrace support ab12]" and first[2]["endsAt"] == "1970-01-01T00:33:20.000Z"
    assert second[2]["matchers"][-1]["value"] == "surge(:.*)?" and second[2]["endsAt"] == "1970-01-01T01:16:40.000Z"

    state = {"status": {"state": "active"}}
    there += [
        first[2] | state | {"id": "1"},
        second[2] | state | {"id": "2"},
        {"id": "3", "comment": "somebody's", "endsAt": "1970-01-01T01:00:00Z"} | state,
        {"id": "4", "comment": "[headrace finance ab12]", "endsAt": "1970-01-01T01:00:00Z"} | state,
        {"id": "5", "comment": "[headrace support ef56]", "endsAt": "1970-01-01T01:00:00Z"} | state,
    ]
    came.clear()
    receiver.silence("support", [hush(), hush(name="cd34", fingerprint=None, rule="surge", until_ms=None)])
    assert [call[:2] for call in came[1:]] == [("DELETE", "/am/api/v2/silence/5")], "what is no longer wanted goes"
    came.clear()
    receiver.silence("support", [hush(until_ms=3_000_000)])
    assert came[1][2]["id"] == "1" and came[1][2]["endsAt"] == "1970-01-01T00:50:00.000Z"
