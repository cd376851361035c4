"""An HTTP proxy before Elasticsearch that refuses to index on demand: as a whole, or document by document."""

import contextlib
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Mode = Literal["pass", "429", "503", "partial", "gone"]
REQUEST_SECONDS = 30.0
REFUSAL = {"type": "es_rejected_execution_exception", "reason": "rejected by the proxy: the queue is full"}
HOP_BY_HOP = ("connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive")


class StoreProxy:
    """Listens at `url`, passes on to `target`. In mode "partial" every second document of a bulk is refused with 429;
    in mode "gone" no request is answered.

    refused: requests refused so far, as a whole or in part. broken: requests that found nobody at the target.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.mode: Mode = "pass"
        self.refused = 0
        self.broken = 0
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        threading.Thread(target=self._server.serve_forever, name="store-proxy", daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """The target's answer: status, headers, body. Raises OSError where nobody answers."""
        place = urlsplit(self.target)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=REQUEST_SECONDS)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed leaves its connection broken: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    """One request after the other on each connection."""

    protocol_version = "HTTP/1.1"
    proxy: StoreProxy

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # plain bodies only: the proxy reads and rewrites them
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding")
        }
        is_bulk = urlsplit(self.path).path.endswith("/_bulk")
        mode = self.proxy.mode if is_bulk or self.proxy.mode == "gone" else "pass"
        try:
            if mode == "gone":
                raise ConnectionAbortedError("the store is gone")
            if mode in ("429", "503"):
                self.proxy.refused += 1
                self._answer(
                    int(mode),
                    [("Content-Type", "application/json")],
                    json.dumps({"error": REFUSAL, "status": int(mode)}).encode(),
                )
            elif mode == "partial":
                self._answer(*self._partly(headers, body))
            else:
                self._answer(*self.proxy.forward(self.command, self.path, headers, body))
        except OSError:
            # as a server that is gone: the connection ends without an answer
            self.proxy.broken += 1
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle  # noqa: N815  # names given by the library

    def _partly(self, headers: dict[str, str], body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        """Index every second document, refuse the others; one alone is refused, so that somebody notices."""
        lines = body.splitlines()
        pairs = list(zip(lines[::2], lines[1::2], strict=True))
        kept = [pair for number, pair in enumerate(pairs) if number % 2]
        refused: dict[str, Any] = {"create": {"status": 429, "error": REFUSAL}}
        self.proxy.refused += 1
        items: list[Any] = []
        answered = [("Content-Type", "application/json")]
        if kept:
            rest = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            content = b"".join(line + b"\n" for pair in kept for line in pair)
            status, answered, answer = self.proxy.forward(self.command, self.path, rest, content)
            if status != 200:
                return status, answered, answer
            items = json.loads(answer)["items"]
        rows = iter(items)
        merged = [next(rows) if number % 2 else refused for number in range(len(pairs))]
        return 200, answered, json.dumps({"took": 1, "errors": True, "items": merged}).encode()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in (*HOP_BY_HOP, "x-elastic-product"):
                self.send_header(name, value)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Nothing: it stands between two logs already."""
