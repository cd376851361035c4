"""Making a kafka-python client in finite time, with the one clear line where it does not work."""

import contextlib
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from connectors.errors import AccessDenied, BrokerUnavailable
from connectors.kafka_errors import no_broker, translate
from connectors.security import Security

EMBEDDED_API_VERSION = (2, 0)
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 10.0

Client = TypeVar("Client")


class Connection:
    """What all three share: the addresses, the clients' common arguments, and making a client in finite time."""

    def __init__(self, address: str, security: Security | None, embedded_epoch: str | None, seconds: float) -> None:
        self.address = address.removeprefix("kafka://")
        self.security = security or Security()
        self.embedded_epoch = embedded_epoch
        self.seconds = seconds

    def make(self, factory: Callable[..., Client], **arguments: Any) -> Client:
        """A connected client. Raises BrokerUnavailable or AccessDenied within `seconds` and a moment."""
        deadline = time.monotonic() + self.seconds
        self._probe(deadline)
        made: list[KafkaNetClient] = []

        def net_client(**settings: Any) -> KafkaNetClient:
            made.append(KafkaNetClient(**settings))
            return made[-1]

        common: dict[str, Any] = {
            "bootstrap_servers": self.address.split(","),
            "bootstrap_timeout_ms": max(1_000, int((deadline - time.monotonic()) * 1_000)),
            "request_timeout_ms": int(REQUEST_SECONDS * 1_000),
            "reconnect_backoff_max_ms": 1_000,
            "kafka_client": net_client,
            **self.security.kafka_python(),
        }
        if self.embedded_epoch is not None:
            common["api_version"] = EMBEDDED_API_VERSION
        try:
            return factory(**common, **arguments)
        except Exception as error:
            refusal = _refusal(made)
            for client in made:  # the client's constructor leaves its threads and sockets behind
                with contextlib.suppress(Exception):
                    client.close()
            if refusal is not None:
                raise AccessDenied(f"Kafka at {self.address} refused the connection: {refusal}") from error
            if isinstance(error, KafkaTimeoutError):
                raise no_broker(self.address) from error
            raise translate(error, self.address) from error

    def _probe(self, deadline: float) -> None:
        """Fail at once where no address takes a connection: the clients would try, and log, for the whole time."""
        for server in self.address.split(","):
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit():
                raise BrokerUnavailable(f"{server!r} is no broker address; HEADRACE_BROKER is kafka://host:port,host:port")
            left = max(0.1, deadline - time.monotonic())
            with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), left):
                return
        raise no_broker(self.address)


def _refusal(clients: Sequence[KafkaNetClient]) -> Exception | None:
    """The TLS or SASL failure under a time-out: kafka-python keeps it per node and retries until its time is over."""
    for client in clients:
        failures = getattr(client._manager, "_auth_failures", {})
        for failure in failures.values():
            return failure  # type: ignore[no-any-return]  # kafka-python is untyped
    return None
