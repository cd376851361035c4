"""The Elasticsearch client's errors in Headrace's words, and what a bulk answer means for each document."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import elastic_transport
import elasticsearch
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig

from connectors.elasticsearch import bulk
from connectors.elasticsearch.errors import translate
from connectors.elasticsearch.indices import Places
from connectors.elasticsearch.periods import index_names
from connectors.elasticsearch.store import ElasticsearchStore
from connectors.errors import AccessDenied, StoreMismatch, StoreUnavailable
from connectors.ports import Rejected
from models.errors import ConfigError

URL = "http://search:9200"


def api_error(status: int, kind: str = "some_exception", reason: str = "because") -> elasticsearch.ApiError:
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "search", 9200))
    error = elasticsearch.exceptions.HTTP_EXCEPTIONS.get(status, elasticsearch.ApiError)
    return error(kind, meta, {"error": {"type": kind, "reason": reason, "root_cause": []}})


def not_elasticsearch(status: int) -> elasticsearch.ApiError:
    """What something in between answers, a proxy for example."""
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.1, NodeConfig("http", "search", 9200))
    return elasticsearch.exceptions.HTTP_EXCEPTIONS.get(status, elasticsearch.ApiError)("no", meta, "<html>")


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
    translated = translate(error, URL)
    assert type(translated) is kind
    assert translated.retriable is retriable
    assert URL in str(translated)
    assert "\n" not in str(translated)


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


Answer = Exception | Sequence[int | tuple[int, str]]
Step = Answer | Callable[[list[str]], Answer]


class FakeClient:
    """Answers bulk requests from a script: an error, or each document's status, or what a function of the ids says."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.sent: list[list[str]] = []

    def options(self, **_: object) -> "FakeClient":
        return self

    def bulk(self, operations: Sequence[bytes]) -> dict[str, Any]:
        self.sent.append([json.loads(action)["create"]["_id"] for action in operations[::2]])
        step = self.script[0]
        answer = step(self.sent[-1]) if callable(step) else self.script.pop(0)
        assert not callable(answer)
        if isinstance(answer, Exception):
            raise answer
        results = [result if isinstance(result, tuple) else (result, "") for result in answer]
        return {
            "items": [
                {"create": {"status": status, "_index": "i", "error": {"type": kind, "reason": "why"}}}
                for status, kind in results
            ]
        }


def store_with(client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> ElasticsearchStore:
    store = ElasticsearchStore(URL)
    store._indices.heads = {"support": ["intent"]}
    monkeypatch.setattr(store, "_client", client)
    monkeypatch.setattr(
        store._indices, "places", lambda days: Places({place: index_names(*place)["month"] for place in days}, [])
    )
    monkeypatch.setattr(bulk, "BACK_OFF_SECONDS", (0.001, 0.002))
    return store


def decisions(count: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "app": "support", "at": "2026-11-24T10:00:00Z", "text": "x"} for number in range(count)]


def test_only_what_was_refused_for_now_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient([201, 429, 409, 503, (400, "document_parsing_exception")], [201, 429], [201])
    report = store_with(client, monkeypatch).index(decisions(5))
    assert (report.created, report.repeats) == (3, 1)
    assert report.rejected == (Rejected(4, "document_parsing_exception: why"),)
    assert client.sent == [["0", "1", "2", "3", "4"], ["1", "3"], ["3"]]


def test_a_whole_request_refused_for_now_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeClient(api_error(429), api_error(503), [201, 201])
    assert store_with(client, monkeypatch).index(decisions(2)).created == 2


def test_a_cluster_that_stays_busy_is_unavailable_and_says_how_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "BULK_SECONDS", 0.01)
    client = FakeClient([201, 429, 429], *([429, 429] for _ in range(100)))
    with pytest.raises(StoreUnavailable, match="too busy for 2 of 3 documents"):
        store_with(client, monkeypatch).index(decisions(3))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ([(403, "security_exception")], AccessDenied),
        ([(404, "index_not_found_exception")], StoreUnavailable),
        ([(400, "validation_exception")], StoreUnavailable),
        (elasticsearch.ConnectionTimeout("slow"), StoreUnavailable),
        (api_error(401), AccessDenied),
        (api_error(404), StoreMismatch),
        (not_elasticsearch(400), StoreMismatch),
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
    large = [{**decision, "text": "x" * 1_000_000} for decision in decisions(6)]
    client.script = [[201] * 2] * 3
    assert store_with(client, monkeypatch).index(large).created == 6


def refuse_whole_with(culprits: set[str], error: Exception) -> Step:
    """A server that refuses every request with one of these ids in it."""
    return lambda ids: error if culprits & set(ids) else [201] * len(ids)


@pytest.mark.parametrize("culprits", [{"7"}, {"0", "99"}, {"41", "42", "43"}], ids=["one", "both ends", "neighbours"])
@pytest.mark.parametrize(
    "error",
    [api_error(400, "action_request_validation_exception"), not_elasticsearch(413)],
    ids=["an invalid action", "a proxy's size limit"],
)
def test_a_bulk_that_is_refused_whole_is_halved_until_the_culprit_stands_alone(
    monkeypatch: pytest.MonkeyPatch, culprits: set[str], error: Exception
) -> None:
    """D-B4: one document that Elasticsearch (or a proxy before it) refuses the whole request for ended the indexer."""
    client = FakeClient(refuse_whole_with(culprits, error))
    report = store_with(client, monkeypatch).index(decisions(100))
    assert report.created == 100 - len(culprits)
    assert {str(rejected.position) for rejected in report.rejected} == culprits


def test_a_bulk_too_large_for_a_proxy_goes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """D-B4: a proxy's limit of 1 MB (413) stopped the indexer."""
    client = FakeClient(lambda ids: not_elasticsearch(413) if len(ids) > 30 else [201] * len(ids))
    report = store_with(client, monkeypatch).index(decisions(100))
    assert (report.created, report.rejected) == (100, ())


def test_a_document_on_which_the_server_always_fails_does_not_hold_the_others_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """D-B6: a document that always gave 500 was "busy" for 30 s, then the role left and met it again, for ever."""
    monkeypatch.setattr(bulk, "BULK_SECONDS", 0.05)
    client = FakeClient(lambda ids: [(500, "null_pointer_exception") if identity == "1" else 201 for identity in ids])
    report = store_with(client, monkeypatch).index(decisions(3))
    assert report.created == 2
    assert [rejected.position for rejected in report.rejected] == [1]
    assert "null_pointer_exception" in report.rejected[0].reason
    assert len(client.sent) > 2  # it was tried again


def test_a_server_that_fails_on_everything_is_unavailable_and_nothing_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk, "BULK_SECONDS", 0.02)
    with pytest.raises(StoreUnavailable, match="too busy for 3 of 3"):
        store_with(FakeClient(lambda ids: [500] * len(ids)), monkeypatch).index(decisions(3))


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [("index_closed_exception", r"closed: open it \(POST /i/_open\)"), ("validation_exception", "max_shards_per_node")],
)
def test_an_index_that_takes_nothing_is_loud_and_the_others_are_written(
    monkeypatch: pytest.MonkeyPatch, kind: str, way_out: str
) -> None:
    """D-B6: a closed month made a dead letter of each of its decisions, and no one was told."""
    client = FakeClient([201, (400, kind), 201])
    with pytest.raises(StoreUnavailable, match=way_out):
        store_with(client, monkeypatch).index(decisions(3))
    assert client.sent == [["0", "1", "2"]]


class Privileges:
    """The client's `security`. answer: by privilege, or what it raises."""

    def __init__(self, answer: dict[str, bool] | elasticsearch.ApiError) -> None:
        self.security, self._answer = self, answer

    def has_privileges(self, index: list[dict[str, Any]]) -> dict[str, Any]:
        if isinstance(self._answer, elasticsearch.ApiError):
            raise self._answer
        return {"index": {index[0]["names"][0]: {name: True for name in index[0]["privileges"]} | self._answer}}


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        pytest.param({}, [], id="an indexer's key"),
        pytest.param({"create_doc": False, "create_index": False}, ["create_doc", "create_index"], id="a reader's key"),
        pytest.param(api_error(400), [], id="no security in the cluster"),
        pytest.param(api_error(403), [], id="a key that may not ask"),
    ],
)
def test_rights_that_an_indexer_lacks_are_named(answer: Any, missing: list[str]) -> None:
    """D-B10: the doctor only searched: with a reader's key it said ok, and the indexer could not write."""
    store = ElasticsearchStore(URL)
    store._client = Privileges(answer)  # type: ignore[assignment]
    assert store.missing_rights() == missing
