"""How long the certificates of broker and store are valid: with the end of one, all processes stop at once."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from connectors.security import TlsFiles
from headrace.tools.doctor.findings import Check, Finding
from headrace.wiring import Wiring

WARN_DAYS: Final = 14
ANSWER_SECONDS: Final = 5.0
KAFKA_PORT, HTTPS_PORT = 9092, 443

Address = tuple[str, int]  # host and port


def certificate_checks(wiring: Wiring) -> list[Check]:
    """All that is looked at here."""
    checks = []
    for system, address, files in certificates_shown(wiring):
        what = f"certificate of {system} {address[0]}:{address[1]}"
        checks.append(Check(what, partial(lambda *shown: [certificate_finding(*shown)], what, address, files)))
    return checks


def certificates_shown(wiring: Wiring) -> Iterator[tuple[str, Address, TlsFiles]]:
    """System, address and files of whoever is met over TLS: each broker that HEADRACE_BROKER names, and the store."""
    security, settings = wiring.security, wiring.settings
    if security.uses_tls and settings.broker != "embedded":
        for place in settings.broker.removeprefix("kafka://").split(","):
            yield "broker", _address(f"kafka://{place}", KAFKA_PORT), security.broker_tls
    if settings.store_url.startswith("https://"):
        yield "store", _address(settings.store_url, HTTPS_PORT), security.store_tls


def certificate_finding(what: str, address: Address, files: TlsFiles, now: Callable[[], float] = time.time) -> Finding:
    """A handshake with whoever is there, and nothing more. now: seconds since 1970."""
    host, _ = address
    context = files.context()
    try:
        with (
            socket.create_connection(address, ANSWER_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as met,
        ):
            certificate = met.getpeercert()
    except ssl.SSLError as error:  # an ended one as well: nobody connects any more
        return Finding(what, False, f"no TLS with {host}: {getattr(error, 'verify_message', '') or error}")
    except OSError as error:
        return Finding(what, True, f"cannot be looked at: {error}")
    if not certificate:
        return Finding(what, True, "not verified, so its end is not looked at")
    ends = str(certificate["notAfter"])
    days = (ssl.cert_time_to_seconds(ends) - now()) // 86_400
    if days < 0:
        return Finding(what, False, f"it has ended, on {ends}")
    if days < WARN_DAYS:
        return Finding(what, True, f"valid until {ends}, only {days:.0f} days: renew it")
    return Finding(what, True, f"valid for {days:.0f} days, until {ends}")


def _address(url: str, port: int) -> Address:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or port
