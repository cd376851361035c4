"""A picture's address is a stranger's wish: it leads to named hosts and public addresses, takes a bounded time, and
whatever comes back is bytes or one fault."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from connectors.pictures.web import WebPictures
from models.errors import ConfigError, PictureFault

CONTENT = b"\x89PNG" + bytes(2_000)


class Server:
    """Answers a GET by its path, and remembers what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers["Accept-Encoding"]))
                if self.path == "/redirect":
                    self.send_response(302)
                    self.send_header("Location", "/picture")
                    return self.end_headers()
                if self.path == "/gone":
                    return self.send_error(404)
                self.send_response(200)
                if self.path == "/packed":
                    self.send_header("Content-Encoding", "gzip")
                self.end_headers()
                if self.path == "/endless":
                    try:
                        while True:
                            self.wfile.write(bytes(65_536))
                    except OSError:
                        return None
                if self.path == "/slow":
                    try:
                        for _ in range(2_000):
                            self.wfile.write(b"x")
                            time.sleep(0.05)
                    except OSError:
                        return None
                self.wfile.write(CONTENT)
                return None

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def url(self, path: str = "/picture") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def fault(pictures: WebPictures, address: str, max_bytes: int = 10_000, seconds: float = 60.0) -> PictureFault:
    with pytest.raises(PictureFault) as found:
        pictures.fetch(address, max_bytes, seconds)
    return found.value


NAMED = WebPictures("127.0.0.0/8")


def test_a_picture_comes_as_it_is(server: Server) -> None:
    assert NAMED.fetch(server.url("/picture?id=1"), 10_000, 5.0) == CONTENT
    assert NAMED.fetch(server.url("/packed"), 10_000, 5.0) == CONTENT, "nothing is unpacked on the way"
    assert server.asked == [("/picture?id=1", "identity"), ("/packed", "identity")]


def test_what_is_not_there_or_elsewhere_is_unavailable_and_no_redirect_is_followed(server: Server) -> None:
    assert fault(NAMED, server.url("/gone")).reason == "picture_unavailable"
    redirected = fault(NAMED, server.url("/redirect"))
    assert redirected.reason == "picture_unavailable" and "302 (redirects are not followed)" in str(redirected)
    assert [path for path, _ in server.asked] == ["/gone", "/redirect"]


def test_more_bytes_than_are_wanted_are_not_read(server: Server) -> None:
    assert fault(NAMED, server.url("/endless")).reason == "picture_too_large"
    assert fault(NAMED, server.url(), max_bytes=2_003).reason == "picture_too_large"
    assert len(NAMED.fetch(server.url(), 2_004, 5.0)) == 2_004


def test_who_sends_a_byte_now_and_then_is_given_up(server: Server) -> None:
    started = time.monotonic()
    late = fault(NAMED, server.url("/slow"), seconds=0.5)
    assert late.reason == "picture_unavailable" and time.monotonic() - started < 60  # of 100


def test_nobody_there_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert fault(NAMED, f"http://127.0.0.1:{port}/").reason == "picture_unavailable"


def resolving(*addresses: str, names: str = "cdn.example.com") -> WebPictures:
    def resolve(name: str, port: int) -> Sequence[str]:
        return addresses

    return WebPictures(names, resolve)


NOT_ASKED = {
    "a host that nobody named": "https://evil.example.com/x.png",
    "a host whose name only ends alike": "https://notcdn.example.com/x.png",
    "a host that only begins alike": "https://cdn.example.com.evil.org/x.png",
    "another port": "https://cdn.example.com:8443/x.png",
    "no TLS": "http://cdn.example.com/x.png",
    "an address in place of a name": "https://93.184.216.34/x.png",
    "this machine": "https://127.0.0.1/x.png",
    "a cloud's metadata": "http://169.254.169.254/latest/meta-data",
    "IPv6 of this machine": "https://[::1]/x.png",
    "an address as one number": "https://2130706433/x.png",
}


@pytest.mark.parametrize("address", NOT_ASKED.values(), ids=NOT_ASKED)
def test_only_named_hosts_are_asked(address: str) -> None:
    assert fault(resolving("93.184.216.34"), address).reason == "picture_host"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0", "100.64.0.1"],
)
def test_a_named_host_that_leads_to_a_private_address_is_not_asked(address: str) -> None:
    refused = fault(resolving("93.184.216.34", address), "https://cdn.example.com/x.png")
    assert refused.reason == "picture_host" and "HEADRACE_PICTURE_HOSTS" in str(refused)


ADDRESSES = {
    "another scheme": "ftp://cdn.example.com/x.png",
    "a file": "file:///etc/passwd",
    "a password": "https://user:secret@cdn.example.com/x.png",
    "no host": "https:///x.png",
    "a port that is none": "https://cdn.example.com:99999/x.png",
    "3,000 characters": "https://cdn.example.com/" + "x" * 3_000,
}


@pytest.mark.parametrize("address", ADDRESSES.values(), ids=ADDRESSES)
def test_what_is_no_address_is_a_fault_that_does_not_repeat_it(address: str) -> None:
    refused = fault(resolving("93.184.216.34"), address)
    assert refused.reason == "picture_address" and "secret" not in str(refused) and "passwd" not in str(refused)


def test_hosts_may_be_named_with_a_port_and_networks_with_their_width() -> None:
    pictures = resolving("127.0.0.1", names="cdn.example.com:1, 127.0.0.0/8")
    assert fault(pictures, "http://cdn.example.com:1/x.png").reason == "picture_unavailable", "it is asked"
    assert fault(pictures, "http://cdn.example.com/x.png").reason == "picture_host", "not at the usual port"


@pytest.mark.parametrize("names", ["https://cdn.example.com", "cdn.example.com/photos", "10.0.0.0/40", "a:b", "me@cdn"])
def test_what_is_no_host_is_refused_at_the_start(names: str) -> None:
    with pytest.raises(ConfigError, match="HEADRACE_PICTURE_HOSTS"):
        WebPictures(names)
