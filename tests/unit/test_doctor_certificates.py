"""What `doctor` says of the certificates that broker and store show."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.security import TlsFiles
from headrace.settings import load_settings
from headrace.tools.doctor import examine
from headrace.tools.doctor.certificates import WARN_DAYS, certificate_finding, certificates_shown
from headrace.wiring import Wiring

DAYS = 40


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 for forty days, and its key, in one folder."""
    folder = tmp_path_factory.mktemp("pem")
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(DAYS), "-subj", "/CN=test"]
    files = ["-keyout", "key.pem", "-out", "cert.pem", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*request, *files], cwd=folder, check=True, capture_output=True, timeout=60)
    return folder


@contextmanager
def server(pem: Path) -> Iterator[int]:
    """The port of a server that shakes hands and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem / "cert.pem", pem / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    met = listening.accept()[0]
                except OSError:
                    return
                try:
                    context.wrap_socket(met, server_side=True).close()
                except OSError:
                    met.close()

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("days_later", "ok", "says"),
    [
        pytest.param(0, True, f"valid for {DAYS - 1} days", id="long"),
        pytest.param(DAYS - WARN_DAYS - 1, True, f"valid for {WARN_DAYS} days", id="a fortnight and some hours"),
        pytest.param(DAYS - WARN_DAYS, True, f"only {WARN_DAYS - 1} days: renew it", id="less"),
        pytest.param(DAYS + 1, False, "it has ended", id="ended"),
    ],
)
def test_it_is_told_how_long_a_certificate_is_valid(days_later: int, ok: bool, says: str, pem: Path) -> None:
    """D-B10: `doctor` said ok until the day on which no process could connect any more."""
    with server(pem) as port:
        files = TlsFiles(ca_file=pem / "cert.pem")
        later = time.time() + 86_400 * days_later + 60
        finding = certificate_finding("certificate", ("127.0.0.1", port), files, now=lambda: later)
    assert finding.ok is ok and says in finding.detail


def test_a_certificate_that_is_not_trusted_is_no_good_one(pem: Path) -> None:
    with server(pem) as port:
        finding = certificate_finding("certificate", ("127.0.0.1", port), TlsFiles())
    assert not finding.ok and "self-signed certificate" in finding.detail


def test_who_does_not_answer_has_no_certificate_to_look_at() -> None:
    """The checks of broker and store say that they do not answer."""
    finding = certificate_finding("certificate", ("127.0.0.1", 1), TlsFiles())
    assert finding.ok and "cannot be looked at" in finding.detail


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, [], id="plain"),
        pytest.param({"BROKER": "embedded", "TLS_BROKER": "1"}, [], id="embedded"),
        pytest.param(
            {"BROKER": "kafka://b1:9093,[::1]:9094,b3", "TLS_BROKER": "1"},
            [("broker", ("b1", 9093)), ("broker", ("::1", 9094)), ("broker", ("b3", 9092))],
            id="brokers",
        ),
        pytest.param({"STORE": "https://search:9200/path"}, [("store", ("search", 9200))], id="store"),
        pytest.param({"STORE": "https://search"}, [("store", ("search", 443))], id="store on the usual port"),
        pytest.param({"STORE": "http://search:9200"}, [], id="plain store"),
    ],
)
def test_each_address_that_is_met_over_tls_is_looked_at(
    settings: dict[str, str],
    expected: list[tuple[str, tuple[str, int]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ({"HOME": str(tmp_path)} | settings).items():
        monkeypatch.setenv(f"HEADRACE_{name}", value)
    assert [(system, address) for system, address, _ in certificates_shown(Wiring(load_settings()))] == expected


def test_an_examination_looks_at_them(pem: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(pem) as port:
        for name, value in {
            "HOME": str(tmp_path / "home"),
            "CACHE": str(tmp_path / "cache"),
            "BROKER": f"kafka://127.0.0.1:{port}",
            "BROKER_TLS_CA_FILE": str(pem / "cert.pem"),
        }.items():
            monkeypatch.setenv(f"HEADRACE_{name}", value)
        monkeypatch.setattr("headrace.tools.doctor.broker_checks", lambda *_: [])  # it is no broker
        findings = examine(Wiring(load_settings()), [])
    (finding,) = [finding for finding in findings if finding.what.startswith("certificate")]
    assert finding.ok and finding.what == f"certificate of broker 127.0.0.1:{port}"
