"""One small HTTP server: /metrics for Prometheus, /health/live and /health/ready for whoever starts and stops
processes.

It answers from threads of its own, so it answers while the event loop stands still, and says so. Whoever reaches the
port may be anybody: threads, connections, the size of a request and the time for it are bounded, and what foreign
clients said is cleaned of credentials.

    live   200 while the event loop turns and no role has failed; else restart the process
    ready  200 when every role has its place in its group, its model, its store and its broker; else do not count on it
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app
from waitress.channel import HTTPChannel
from waitress.server import create_server

from connectors.addresses import redacted
from models.errors import ConfigError

LOOP_SILENT_SECONDS = (
    10.0  # a loop that has stood still for so long is not live, long before the watchdog ends the process
)
THREADS = 4
CONNECTIONS = 500
SILENT_SECONDS = 5  # for a whole request; then the connection is closed
REQUEST_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class HealthState:
    """What the watch last found. not_live, not_ready: reasons, empty where all is well. roles: of each, in numbers.
    serves: application to the version that decides."""

    not_live: Sequence[str] = ()
    not_ready: Sequence[str] = ()
    roles: Mapping[str, Any] = field(default_factory=dict)
    serves: Mapping[str, str] = field(default_factory=dict)


class Health:
    """Holds what the watch found for those who ask. Written by the event loop, read by the server's threads."""

    def __init__(self) -> None:
        self._state = HealthState(not_ready=["starting"])
        self._silent_seconds: Callable[[], float] = lambda: 0.0

    def follow_loop(self, silent_seconds: Callable[[], float]) -> None:
        """From now on the loop is expected to turn; `silent_seconds` says for how long it has not."""
        self._silent_seconds = silent_seconds

    def update(self, state: HealthState) -> None:
        """The watch found this."""
        self._state = state

    def live(self) -> dict[str, Any]:
        """The answer to /health/live."""
        state = self._state  # read once: the loop puts another one there
        return _answer([*state.not_live, *self._loop_reasons()], state)

    def ready(self) -> dict[str, Any]:
        """The answer to /health/ready."""
        state = self._state
        return _answer(self._not_ready(state), state)

    @property
    def is_ready(self) -> bool:
        """Whether /health/ready says ok."""
        return not self._not_ready(self._state)

    def _not_ready(self, state: HealthState) -> list[str]:
        return [*state.not_live, *state.not_ready, *self._loop_reasons()]

    def _loop_reasons(self) -> list[str]:
        silent = self._silent_seconds()
        return [f"the event loop has stood still for {silent:.0f} s"] if silent > LOOP_SILENT_SECONDS else []


class HealthServer:
    """Answers at an address until it is closed. port: where; another one than asked for where that was 0."""

    def __init__(self, listener: socket.socket, app: WSGIApplication) -> None:
        self.port: int = listener.getsockname()[1]
        self._server = create_server(
            app,
            sockets=[listener],
            threads=THREADS,
            connection_limit=CONNECTIONS,
            channel_timeout=SILENT_SECONDS,
            cleanup_interval=1,
            max_request_header_size=REQUEST_BYTES,
            max_request_body_size=REQUEST_BYTES,
            asyncore_use_poll=True,  # select() ends at 1,024 files
            ident=None,
        )
        self._server.channel_class = _Channel
        self._thread = threading.Thread(target=self._server.run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering and release the address."""
        self._server.trigger.pull_trigger(self._close_all)  # the loop's own thread closes what it looks at
        self._thread.join(SILENT_SECONDS)

    def _close_all(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()
        self._server.task_dispatcher.shutdown()


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress is untyped
    """A connection. One that sends a request byte by byte is as silent as one that sends nothing."""

    _began = 0.0

    def received(self, data: bytes) -> bool:
        """Take more of a request; a request that is not whole in time ends the connection."""
        now = time.monotonic()
        if self.request is None:
            self._began = now
        elif now - self._began > SILENT_SECONDS:
            self.will_close = True
            return False
        return bool(super().received(data))


def serve(host: str, port: int, registry: CollectorRegistry, health: Health) -> HealthServer:
    """Answer at host:port from daemon threads; port 0 takes a free one. Raises ConfigError where the address is not to
    be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(
            f"metrics and health cannot be served at {host}:{port}: {error}; see HEADRACE_METRICS_HOST and _PORT"
        ) from error
    return HealthServer(listener, health_app(registry, health))


def health_app(registry: CollectorRegistry, health: Health) -> WSGIApplication:
    """The WSGI application behind `serve`."""
    metrics: WSGIApplication = make_wsgi_app(registry)
    answers = {"/health/live": health.live, "/health/ready": health.ready}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        missing = {"status": "not found", "reasons": [f"there are /metrics, {', '.join(answers)}"]}
        body: dict[str, Any] = answers[path]() if path in answers else missing
        status = {"ok": "200 OK", "not found": "404 Not Found"}.get(body["status"], "503 Service Unavailable")
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [orjson.dumps(body) + b"\n"]

    return app


def _answer(reasons: Sequence[str], state: HealthState) -> dict[str, Any]:
    return {
        "status": "unavailable" if reasons else "ok",
        "reasons": [redacted(reason) for reason in reasons],
        "roles": state.roles,
        "serves": state.serves,
    }
