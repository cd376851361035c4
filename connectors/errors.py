"""What can go wrong outside: adapters translate every client exception into one of these."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import ClassVar

from models.errors import ConnectorError, HeadraceError, MessageError


class BrokerUnavailable(ConnectorError):
    """No broker answers at the given address, or it went away."""

    retriable: ClassVar[bool] = True


class StoreUnavailable(ConnectorError):
    """The decision store does not answer."""

    retriable: ClassVar[bool] = True


class StoreMismatch(ConnectorError):
    """The store answers, but is not what Headrace needs (mapping, version, credentials)."""


class AccessDenied(ConnectorError):
    """The other side refused the credentials or the certificate."""


class TopicMismatch(ConnectorError):
    """A topic has another cleanup policy, partition count or epoch than expected."""


class RegistryError(ConnectorError):
    """The model registry cannot be read or written, and trying again will not help."""


class RegistryUnavailable(RegistryError):
    """The model registry does not answer now (network, throttling, a server's own trouble)."""

    retriable: ClassVar[bool] = True


class EncoderUnavailable(ConnectorError):
    """The encoder's files are neither installed, nor cached, nor to be fetched."""


class ReceiverUnavailable(ConnectorError):
    """A receiver of alerts does not answer now."""

    retriable: ClassVar[bool] = True


class ReceiverRefused(ConnectorError):
    """A receiver of alerts will never take this one."""


class ReceiverDenied(ConnectorError):
    """A receiver of alerts takes nothing as it is set up: its address is not allowed, or it does not know us."""


class ServiceUnavailable(ConnectorError):
    """A local service (Kafka, Elasticsearch) cannot be started on this machine."""


@dataclass(frozen=True, slots=True)
class KafkaErrors:
    """The error classes of a Kafka client, by name. unavailable: the same call may succeed a moment later. denied:
    user, password, certificate or rights. topic: it is not there, another one, or may not stand as asked.
    record_reasons: one record is at fault, and why. refused: for good, and none of these."""

    unavailable: Set[str]
    denied: Set[str]
    topic: Set[str]
    record_reasons: Mapping[str, str]
    refused: Set[str]

    def translate(self, error: Exception, kafka: str, said: str) -> HeadraceError:
        """Headrace's error: MessageError where a record is at fault, else a ConnectorError, which says by its class
        whether to try again. A class that is in no group (an error code that the client does not know) counts as its
        base. kafka: how the broker is called. said: what the error says."""
        for kind in type(error).__mro__:
            name = kind.__name__
            if name in self.unavailable:
                return BrokerUnavailable(f"{kafka} did not answer as it should: {said}")
            if name in self.denied:
                return AccessDenied(
                    f"{kafka} refused the credentials or rights: {said}; see HEADRACE_SASL_*, HEADRACE_TLS_* and the "
                    f"broker's ACLs"
                )
            if name in self.topic:
                return TopicMismatch(f"{kafka}: {said}")
            if name in self.record_reasons:
                return MessageError(self.record_reasons[name], f"{kafka} refused a record: {said}")
            if name in self.refused:
                break
        return ConnectorError(f"{kafka} refused a request: {said}")
