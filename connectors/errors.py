"""What can go wrong outside: adapters translate every client exception into one of these."""

from typing import ClassVar

from models.errors import ConnectorError


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


class ServiceUnavailable(ConnectorError):
    """A local service (Kafka, Elasticsearch) cannot be started on this machine."""
