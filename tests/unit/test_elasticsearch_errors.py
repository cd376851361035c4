"""The Elasticsearch client's errors in Headrace's words, and what a bulk answer means for each document."""

import json
from collections.abc import Sequence
from typing import Any

import elastic_transport
import elasticsearch
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from connectors.elasticsearch import store as elasticsearch_store
from connectors.elasticsearch.store import ElasticsearchStore, translate
from connectors.errors import AccessDenied, StoreMismatch, StoreUnavailable
from models.errors import ConfigError

URL = "http://search:9200"


def api_error(status: int, kind: str = "some_exception", reason: str = "because") -> elasticsearch.ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "search", 9200))
    error = elasticsearch.exceptions.HTTP_EXCEPTIONS.get(status, elasticsearch.ApiError)
    return error(kind, meta, {"error": {"type": kind, "reason": reason, "root_cause": []}})


@pytest.mark.parametrize(
    ("error", "kind", "retriable"),
    [
        (elasticsearch.ConnectionError("refused"), StoreUnavailable, True),
        (elasticsearch.ConnectionTimeout("slow"), StoreUnavailable, True),
        (elastic_transport.TlsError("bad certificate"), AccessDenied, False),
        (elasticsearch.SerializationError("<html>"), StoreMismatch, False),
        (elastic_transport.SniffingError("no"), StoreUnavailable, True),
        (api_error(401), AccessDenied, False),
        (api_error(403, "security_exception"), AccessDenied, False),
        (api_error(403, "cluster_block_exception"), StoreUnavailable, True),
        (api_error(400), StoreMismatch, False),
        (api_error(404), StoreMismatch, False),
        (api_error(409), StoreMismatch, False),
        (api_error(429), StoreUnavailable, True),
        (api_error(503), StoreUnavailable, True),
        (elasticsearch.UnsupportedProductError("other", api_error(200).meta, None), StoreMismatch, False),
    ],
)
def test_errors_become_headraces(error: Exception, kind: type[Exception], retriable: bool) -> None:
    found = translate(error, URL)
    assert type(found) is kind
    assert found.retriable is retriable
    assert URL in str(found)
    assert "\n" not in str(found)


def test_every_error_of_the_client_is_one_that_the_store_catches() -> None:
    kinds = [
        kind
        for module in (elasticsearch, elasticsearch.exceptions, elastic_transport)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    ]
    known = (elasticsearch.ApiError, elasticsearch.TransportError, elastic_transport.ApiError)
    assert {kind.__name__ for kind in kinds if not issubclass(kind, known)} == set()
    assert len(set(kinds)) > 10


def test_an_address_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="HEADRACE_STORE 'search'"):
        ElasticsearchStore("search")


class FakeClient:
    """Answers bulk requests from a script: an error, or each document's status."""

    def __init__(self, *script: Exception | Sequence[int | tuple[int, str]]) -> None:
        self.script = list(script)
        self.sent: list[list[str]] = []

    def bulk(self, operations: Sequence[bytes]) -> dict[str, Any]:
        self.sent.append([json.loads(each)["create"]["_id"] for each in operations[::2]])
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        results = [each if isinstance(each, tuple) else (each, "") for each in step]
        return {
            "items": [
                {"create": {"status": status, "error": {"type": kind, "reason": "why"}}} for status, kind in results
            ]
        }


def store_with(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> ElasticsearchStore:
    store = ElasticsearchStore(URL)
    store._heads = {"support": ["intent"]}
    monkeypatch.setattr(store, "_client", client)
    monkeypatch.setattr(store, "_make_index", lambda name: None)
    monkeypatch.setattr(elasticsearch_store, "BACK_OFF_SECONDS", (0.001, 0.002))
    return store


def decisions(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "app": "support", "at": "2026-11-24T10:00:00Z", "text": "x"} for number in range(count)]


def test_only_what_was_refused_for_now_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient([201, 429, 409, 503, (400, "document_parsing_exception")], [201, 429], [201])
    report = store_with(client, monkeypatch).index(decisions(5))
    assert (report.created, report.repeats) == (3, 1)
    assert report.rejected == (("4", "document_parsing_exception: why"),)
    assert client.sent == [["0", "1", "2", "3", "4"], ["1", "3"], ["3"]]


def test_a_whole_request_refused_for_now_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(api_error(429), api_error(503), [201, 201])
    assert store_with(client, monkeypatch).index(decisions(2)).created == 2


def test_a_cluster_that_stays_busy_is_unavailable_and_says_how_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elasticsearch_store, "BULK_SECONDS", 0.01)
    client = FakeClient([201, 429, 429], *([429, 429] for _ in range(100)))
    with pytest.raises(StoreUnavailable, match="too busy for 2 of 3 documents"):
        store_with(client, monkeypatch).index(decisions(3))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([(403, "security_exception")], AccessDenied),
        ([(404, "index_not_found_exception")], StoreMismatch),
        (elasticsearch.ConnectionTimeout("slow"), StoreUnavailable),
        (api_error(401), AccessDenied),
        (api_error(413), StoreMismatch),
    ],
)
def test_what_no_document_would_survive_is_raised(
    monkeypatch: pytest.MonkeyPatch, answer: Exception | Sequence[int | tuple[int, str]], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        store_with(FakeClient(answer), monkeypatch).index(decisions(1))


def test_large_batches_go_in_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient([201] * 1_000, [201] * 500)
    assert store_with(client, monkeypatch).index(decisions(1_500)).created == 1_500
    large = [{**each, "text": "x" * 1_000_000} for each in decisions(6)]
    client.script = [[201] * 2] * 3
    assert store_with(client, monkeypatch).index(large).created == 6
