"""The Elasticsearch client's errors in Headrace's words."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from elastic_transport import TlsError
from elasticsearch import ApiError, TransportError

from connectors.errors import AccessDenied, StoreMismatch, StoreUnavailable
from models.errors import HeadraceError

BUSY_STATUS = frozenset((429, 500, 502, 503, 504))


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Any error of the client within, as Headrace's."""
    try:
        yield
    except (ApiError, TransportError) as error:
        raise translate(error, url) from error


def translate(error: Exception, url: str) -> HeadraceError:
    """Headrace's error for an error of the Elasticsearch client."""
    if isinstance(error, TlsError) or (isinstance(error, TransportError) and "certificate" in str(error).lower()):
        return AccessDenied(f"TLS with Elasticsearch at {url} failed: {error.message}; see HEADRACE_TLS_CA_FILE")
    if isinstance(error, ApiError):
        status = error.meta.status
        if status in (401, 403) and kind_of(error) != "cluster_block_exception":
            return AccessDenied(f"Elasticsearch at {url} refused the credentials or rights ({status}): {cause(error)}")
        if status in BUSY_STATUS or status == 403:
            return StoreUnavailable(f"Elasticsearch at {url} cannot serve now ({status}): {cause(error)}")
        return StoreMismatch(f"Elasticsearch at {url} refused a request ({status}): {cause(error)}")
    if type(error).__name__ == "SerializationError":
        return StoreMismatch(f"what answers at {url} is no Elasticsearch; set HEADRACE_STORE")
    return StoreUnavailable(
        f"no Elasticsearch answers at {url}; start one with `headrace services start` or set HEADRACE_STORE"
    )


def too_many_shards(url: str, words: str) -> StoreUnavailable:
    """The cluster takes no further index: nothing is wrong with the decisions, and someone must act."""
    return StoreUnavailable(
        f"Elasticsearch at {url} takes no further index ({words:.200}): raise cluster.max_shards_per_node, let old "
        f"decisions go (HEADRACE_RETENTION_DAYS), or take a wider HEADRACE_STORE_INDEX_SPAN"
    )


def kind_of(error: ApiError) -> str:
    """The server's word for the kind of error, "" where it is not Elasticsearch's (a proxy's page)."""
    return str(_described(error).get("type", ""))


def cause(error: ApiError) -> str:
    """The server's own words, without the request that holds texts."""
    kind = kind_of(error)
    return f"{kind}: {reason_of(error)}" if kind else reason_of(error)


def reason_of(error: ApiError) -> str:
    """Why, without the kind."""
    if described := _described(error):
        return str(described.get("reason"))[:300]
    # a HEAD request's answer has no body
    return "no reason given" if error.message == "None" else str(error.message)[:300]


def _described(error: ApiError) -> Mapping[str, object]:
    described = error.body.get("error") if isinstance(error.body, Mapping) else None
    return described if isinstance(described, Mapping) else {}
