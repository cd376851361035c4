"""One request to an address that was looked at: no redirects, no proxies, bounded in time and bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import urllib3

from connectors.errors import ReceiverDenied, ReceiverRefused, ReceiverUnavailable
from connectors.outbound.deadline import Deadline
from connectors.outbound.destinations import AllowedHosts, Destination
from models.errors import ConfigError

SECONDS: Final = 10.0  # for the connection, and for each part of the answer,
ALL_SECONDS: Final = 30.0  # and for all of it
ADDRESSES: Final = 3  # of a host that are tried
ANSWER_BYTES: Final = 2_000  # of what a receiver says of a refusal
READ_BYTES: Final = 4_000_000  # of what it was asked for
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AGAIN: Final = (408, 425, 429)  # besides 5xx: the same may be taken a moment later
_OF_THIS_ONE: Final = (400, 413, 422)  # said of what was sent; all others are said of who sends it, or where to


@dataclass(frozen=True, slots=True)
class Url:
    """An HTTP address in parts. shown: what may stand in logs: no path or query, which often are secrets."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str, what: str) -> "Url":
        """what: how the address is called in errors. Raises ConfigError, without the address."""
        try:
            parts = urlsplit(url.strip())
            port = parts.port or DEFAULT_PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise ConfigError(f"{what} is no address of HTTP: https://host/path") from None
        if not parts.hostname or "@" in parts.netloc:
            raise ConfigError(f"{what} must name a host, and no user or password")
        try:
            host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode()
        except UnicodeError:
            raise ConfigError(f"{what} names a host that is none") from None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.scheme, host, port, quote(path, safe="/?&=%:;,+@!$'()*~-._"))

    @property
    def shown(self) -> str:
        """For logs."""
        return f"{self.scheme}://{self.host}:{self.port}/…"

    def child(self, path: str) -> "Url":
        """Below this address."""
        return Url(self.scheme, self.host, self.port, self.path.rstrip("/") + path)


def post(url: Url, body: bytes, headers: Mapping[str, str], hosts: AllowedHosts) -> None:
    """Raises ReceiverUnavailable, ReceiverDenied, ReceiverRefused. Unencrypted only to hosts that the operator has
    named."""
    request("POST", url, body, headers, hosts)


def request(method: str, url: Url, body: bytes | None, headers: Mapping[str, str], hosts: AllowedHosts) -> str:
    """What it answers, at most READ_BYTES of it. Raises as `post`."""
    deadline = Deadline(ALL_SECONDS)
    destination = hosts.destination(url.host, url.port)
    if url.scheme != "https" and not destination.is_named:
        raise ReceiverDenied(f"{url.shown}: alerts go unencrypted only to hosts named in HEADRACE_ALERT_HOSTS")
    with deadline:
        status, answer = exchange(method, url, destination, body, headers, deadline)
    said = answer.decode("utf-8", "replace")
    if 200 <= status < 300:
        return said
    words = f"{url.shown} answered {status}" + (f": {' '.join(said.split())[:200]}" if said.strip() else "")
    if status >= 500 or status in _AGAIN:
        raise ReceiverUnavailable(words)
    if status in _OF_THIS_ONE:
        raise ReceiverRefused(words)
    raise ReceiverDenied(words + (" (redirects are not followed)" if 300 <= status < 400 else ""))


def exchange(
    method: str,
    url: Url,
    destination: Destination,
    body: bytes | None,
    headers: Mapping[str, str],
    deadline: Deadline,
    *,
    read_bytes: int = READ_BYTES,
    as_it_is: bool = False,
) -> tuple[int, bytes]:
    """Status, and some of what it says; of a POST that was taken nothing. Where there was no connection, nothing was
    sent: the next address is tried.

    read_bytes: of an answer to a GET that was taken. as_it_is: nothing is unpacked that came packed. Raises
    ReceiverUnavailable.
    """
    trouble: Exception | None = None
    for address in destination.addresses[:ADDRESSES]:
        if deadline.is_over:
            break
        with _pool(url, address, deadline) as pool:
            try:
                answer = pool.urlopen(
                    method,
                    url.path,
                    body=body,
                    headers={"Host": _host_header(url), "User-Agent": "headrace", **headers},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
                taken = 200 <= answer.status < 300
                said = b""
                if taken and method == "GET":
                    said = answer.read(read_bytes, decode_content=not as_it_is)
                elif not taken:
                    said = answer.read1(ANSWER_BYTES)
                answer.close()
                return int(answer.status), said
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                trouble = error
            except (urllib3.exceptions.HTTPError, OSError) as error:
                trouble = error
                break
    why = f"not within {deadline.seconds:g} s" if deadline.is_over else type(trouble).__name__
    raise ReceiverUnavailable(f"{url.shown} does not answer: {why}") from trouble


def _pool(url: Url, address: str, deadline: Deadline) -> Any:
    timeout = urllib3.Timeout(connect=min(SECONDS, deadline.left), read=SECONDS)
    pool: Any
    if url.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            address,
            url.port,
            timeout=timeout,
            server_hostname=url.host,
            assert_hostname=url.host,
            cert_reqs="CERT_REQUIRED",
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, url.port, timeout=timeout)
    kind = pool.ConnectionCls

    def new_connection(connection: Any) -> Any:
        opened = kind._new_conn(connection)
        deadline.watch(opened)
        return opened

    pool.ConnectionCls = type("WatchedConnection", (kind,), {"_new_conn": new_connection})
    return pool


def _host_header(url: Url) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port == DEFAULT_PORTS[url.scheme] else f"{host}:{url.port}"
