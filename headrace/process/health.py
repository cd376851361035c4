"""One small HTTP server: /metrics for Prometheus, /health/live and /health/ready for whoever starts and stops
processes.

It answers from threads of its own, so it answers while the event loop stands still, and says so.

    live   200 while the event loop turns and no role has failed; else restart the process
    ready  200 when every role has its place in its group, its model, its store and its broker; else do not count on it
"""

import socket
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import orjson
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from models.errors import ConfigError

LOOP_SILENT_SECONDS = (
    10.0  # a loop that has stood still for so long is not live, long before the watchdog ends the process
)


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
        return _answer([*self._state.not_live, *self._loop_reasons()], self._state)

    def ready(self) -> dict[str, Any]:
        """The answer to /health/ready."""
        return _answer([*self._state.not_live, *self._state.not_ready, *self._loop_reasons()], self._state)

    def _loop_reasons(self) -> list[str]:
        silent = self._silent_seconds()
        return [f"the event loop has stood still for {silent:.0f} s"] if silent > LOOP_SILENT_SECONDS else []


def serve(host: str, port: int, registry: CollectorRegistry, health: Health) -> WSGIServer:
    """Answer at host:port from a daemon thread; port 0 takes a free one (see the server's `server_port`). Raises
    ConfigError where the address is not to be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        server_class = type("HealthServer", (ThreadingWSGIServer,), {"address_family": family})
        server: WSGIServer = make_server(host, port, health_app(registry, health), server_class, handler_class=_Quiet)
    except OSError as error:
        raise ConfigError(
            f"metrics and health cannot be served at {host}:{port}: {error}; see HEADRACE_METRICS_HOST and _PORT"
        ) from error
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def health_app(registry: CollectorRegistry, health: Health) -> WSGIApplication:
    """The WSGI application behind `serve`."""
    metrics: WSGIApplication = make_wsgi_app(registry)
    answers = {"/health/live": health.live, "/health/ready": health.ready}

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start_response)
        missing = {"status": "not found", "reasons": [f"there are /metrics, {', '.join(answers)}"]}
        found: dict[str, Any] = answers[path]() if path in answers else missing
        status = {"ok": "200 OK", "not found": "404 Not Found"}.get(found["status"], "503 Service Unavailable")
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [orjson.dumps(found) + b"\n"]

    return app


class _Quiet(WSGIRequestHandler):
    """A request every few seconds is no news."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def _answer(reasons: Sequence[str], state: HealthState) -> dict[str, Any]:
    return {
        "status": "unavailable" if reasons else "ok",
        "reasons": list(reasons),
        "roles": state.roles,
        "serves": state.serves,
    }
