"""How a client of Elasticsearch is opened, the same for every store there."""

from elasticsearch import Elasticsearch

from connectors.addresses import STORE_CREDENTIALS, refuse_userinfo
from connectors.security import Security, opened
from models.errors import ConfigError

REQUEST_SECONDS = 10.0


def open_client(url: str, security: Security | None = None) -> Elasticsearch:
    """url: http(s)://host:port. Connects at the first call. Raises ConfigError where it is no URL, or holds
    credentials."""
    refuse_userinfo("HEADRACE_STORE", url, STORE_CREDENTIALS)
    arguments = opened((security or Security()).elasticsearch(url))
    try:
        # no status is tried again by the client: it would do so at once, three times, under our own waits
        return Elasticsearch(url, request_timeout=REQUEST_SECONDS, retry_on_status=(), **arguments)
    except ValueError as error:
        raise ConfigError(f"HEADRACE_STORE {url!r} is no address of Elasticsearch: {error}") from error
