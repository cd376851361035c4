"""Making a kafka-python client in finite time, with the one clear line where it does not work."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from connectors.addresses import BROKER_CREDENTIALS, refuse_userinfo
from connectors.errors import AccessDenied, BrokerUnavailable
from connectors.kafka.errors import no_broker, translate
from connectors.kafka.record_parsing import accept_any_header_name
from connectors.security import Security, opened
from models.errors import HeadraceError

EMBEDDED_API_VERSION = (2, 0)
CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 10.0

Client = TypeVar("Client")


class _Manager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python is untyped
    """kafka-python's manager that remembers why a connection failed: its bootstrap only logs that, and ends in a
    time-out."""

    last_failure: Exception | None = None
    is_starting = True

    def get_connection(self, *arguments: Any, **options: Any) -> Any:
        """As the client's own."""
        connection = super().get_connection(*arguments, **options)
        if self.is_starting:
            connection.init_future.add_errback(self._remember)
        return connection

    def _remember(self, failure: Exception) -> None:
        self.last_failure = failure


class Connection:
    """What publisher, reader and admin share: the addresses, the clients' common arguments, and making a client."""

    def __init__(self, address: str, security: Security | None, embedded_epoch: str | None, seconds: float) -> None:
        refuse_userinfo("HEADRACE_BROKER", address, BROKER_CREDENTIALS)
        self.address = address.removeprefix("kafka://")
        self.security = security or Security()
        self.embedded_epoch = embedded_epoch
        self.seconds = seconds

    def make(self, factory: Callable[..., Client], **arguments: Any) -> Client:
        """A connected client. Raises BrokerUnavailable or AccessDenied within `seconds` and a moment."""
        accept_any_header_name()
        deadline = time.monotonic() + self.seconds
        self._probe(deadline)
        made: list[tuple[KafkaNetClient, _Manager]] = []

        def net_client(**settings: Any) -> KafkaNetClient:
            net = NetworkSelector(**settings)
            manager = _Manager(net, **settings)
            made.append((KafkaNetClient(net=net, manager=manager, **settings), manager))
            return made[-1][0]

        common: dict[str, Any] = {
            "bootstrap_servers": self.address.split(","),
            "bootstrap_timeout_ms": max(1_000, int((deadline - time.monotonic()) * 1_000)),
            "request_timeout_ms": int(REQUEST_SECONDS * 1_000),
            "reconnect_backoff_max_ms": 1_000,
            "kafka_client": net_client,
            **opened(self.security.kafka(self.address)),
        }
        if self.embedded_epoch is not None:
            common["api_version"] = EMBEDDED_API_VERSION
        try:
            client = factory(**common, **arguments)
        except Exception as error:
            for unused, _ in made:  # the client's constructor leaves its threads and sockets behind
                with contextlib.suppress(Exception):
                    unused.close()
            raise self._reason(error, [manager.last_failure for _, manager in made if manager.last_failure]) from error
        for _, manager in made:
            manager.is_starting = False
        return client

    def _reason(self, error: Exception, failures: Sequence[Exception]) -> HeadraceError:
        if not isinstance(error, KafkaTimeoutError):
            return translate(error, self.address)
        if not failures:
            return no_broker(self.address)
        refusal = translate(failures[-1], self.address)
        if isinstance(refusal, AccessDenied):
            return refusal
        return BrokerUnavailable(
            f"something answers at {self.address}, but not as Kafka with {self.security.security_protocol} "
            f"({failures[-1]}); "
            "check HEADRACE_BROKER and the TLS and SASL settings"
        )

    def _probe(self, deadline: float) -> None:
        """Fail at once where no address takes a connection, or TLS: the clients would try, and log, for the whole
        time."""
        for server in self.address.split(","):
            host, _, port = server.rpartition(":")
            if not host or not port.isdigit():
                raise BrokerUnavailable(
                    f"{server!r} is no broker address; HEADRACE_BROKER is kafka://host:port,host:port"
                )
            left = max(0.1, deadline - time.monotonic())
            try:
                with socket.create_connection((host.strip("[]"), int(port)), left) as connection:
                    if self.security.uses_tls:
                        self.security.broker_tls.context().wrap_socket(
                            connection, server_hostname=host.strip("[]")
                        ).close()
                    return
            except ssl.SSLEOFError:
                raise BrokerUnavailable(
                    f"{server} closed the connection in the TLS handshake; is that its TLS port? see "
                    f"HEADRACE_TLS_CA_FILE, HEADRACE_TLS_BROKER"
                ) from None
            except ssl.SSLError as error:
                raise AccessDenied(f"TLS with Kafka at {server} failed: {error}; see HEADRACE_TLS_CA_FILE") from error
            except OSError:
                continue
        raise no_broker(self.address)
