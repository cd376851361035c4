"""Elasticsearch's own ways to go wrong, on a real server: indices that are closed, gone, too many, or another's."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from real_services import wait_until

from connectors.elasticsearch.indices import IndexLayout
from connectors.elasticsearch.store import ElasticsearchStore
from connectors.errors import StoreMismatch, StoreUnavailable
from connectors.ports import SearchQuery

pytestmark = pytest.mark.elasticsearch

Open = Callable[..., ElasticsearchStore]


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[Elasticsearch]:
    """The cluster as its administrator sees it."""
    with Elasticsearch(elasticsearch_url) as opened:
        yield opened


@pytest.fixture
def open_store(elasticsearch_url: str, unique: str) -> Iterator[Open]:
    """Opens a store of this layout, prepared for this test's application."""
    opened: list[ElasticsearchStore] = []

    def open_with(**layout: Any) -> ElasticsearchStore:
        store = ElasticsearchStore(elasticsearch_url, layout=IndexLayout(**layout))
        store.prepare({unique: ["intent"]})
        opened.append(store)
        return store

    yield open_with
    for store in opened:
        store.close()


def decision(app: str, number: int, at: str = "2026-11-24T10:00:00Z") -> dict[str, Any]:
    labels = {"intent": {"label": "refund", "probability": 0.9}}
    return {"id": f"t@0a0b0c0d-0-{number}", "app": app, "at": at, "labels": labels, "text": "where is my card"}


def indices(client: Elasticsearch, app: str) -> list[str]:
    standing = client.indices.get(index=f"decisions-{app}-*", expand_wildcards="all")
    return sorted(name.removeprefix(f"decisions-{app}-") for name in standing)


@pytest.mark.parametrize(
    ("span", "expected"),
    [("month", ["2026.11", "2026.12"]), ("week", ["2026.w48", "2026.w49"]), ("day", ["2026.11.24", "2026.12.01"])],
)
def test_shards_replicas_and_span_are_settings(
    client: Elasticsearch, open_store: Open, unique: str, span: str, expected: list[str]
) -> None:
    """D-B6: one shard a month, hard-coded: at a few thousand decisions a second it is full within days."""
    store = open_store(shards=3, replicas=0, span=span)
    assert store.index([decision(unique, 1), decision(unique, 2, "2026-12-01T00:00:00Z")]).created == 2
    assert indices(client, unique) == expected
    index = f"decisions-{unique}-{expected[0]}"
    settings = client.indices.get_settings(index=index)[index]["settings"]["index"]
    assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("3", "0")
    wait_until(lambda: store.search(SearchQuery("card", app=unique)).total == 2, what="both decisions")


def test_a_repeat_meets_its_document_after_the_span_was_changed(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    assert open_store(span="month").index([decision(unique, 1)]).created == 1
    narrower = open_store(span="day")
    report = narrower.index([decision(unique, 1), decision(unique, 2), decision(unique, 3, "2026-12-01T00:00:00Z")])
    assert (report.created, report.repeats) == (2, 1)
    wider = open_store(span="month")
    report = wider.index([decision(unique, 3, "2026-12-01T00:00:00Z"), decision(unique, 4, "2026-12-02T00:00:00Z")])
    assert (report.created, report.repeats) == (1, 1)
    again = open_store(span="week").index([decision(unique, 3, "2026-12-01T00:00:00Z")])
    assert (again.created, again.repeats) == (0, 1)
    assert indices(client, unique) == ["2026.11", "2026.12", "2026.12.01"]


def test_an_index_goes_once_all_of_its_time_has_passed(client: Elasticsearch, open_store: Open, unique: str) -> None:
    store = open_store(span="day")
    store.index([decision(unique, day, f"2025-03-0{day}T12:00:00Z") for day in (1, 2, 3)])
    client.indices.close(index=f"decisions-{unique}-2025.03.01")
    client.index(index=f"decisions-{unique}-backup-2025.01", document={"text": "of someone else"})
    assert store.delete_before("2025-03-03", [unique]) == 2
    assert indices(client, unique) == ["2025.03.03", "backup-2025.01"]
    client.indices.delete(index=f"decisions-{unique}-backup-2025.01")


def test_a_month_of_the_first_release_is_filled_up(client: Elasticsearch, open_store: Open, unique: str) -> None:
    """What d23f76a made: the same template with one shard, and its monthly index."""
    open_store()
    client.indices.create(index=f"decisions-{unique}-2026.11")
    report = open_store(span="day", shards=2).index([decision(unique, 1)])
    assert report.created == 1
    assert indices(client, unique) == ["2026.11"]


def test_a_closed_index_is_loud_and_the_others_are_written(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    """D-B6: an operator closed a month, and each of its decisions became a dead letter."""
    store = open_store()
    old, new = decision(unique, 1, "2026-10-01T00:00:00Z"), decision(unique, 2)
    store.index([old])
    client.indices.close(index=f"decisions-{unique}-2026.10")
    with pytest.raises(StoreUnavailable, match=r"2026.10 .*is closed: open it \(POST"):
        store.index([{**old, "id": "t@0a0b0c0d-0-9"}, new])
    with pytest.raises(StoreUnavailable, match="is closed"):
        store.check()
    client.indices.open(index=f"decisions-{unique}-2026.10")
    report = store.index([{**old, "id": "t@0a0b0c0d-0-9"}, new])
    assert (report.created, report.repeats) == (1, 1)


def test_an_index_that_went_away_with_its_template_is_made_again_as_it_must_be(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    """D-B6: behind a running indexer Elasticsearch made a month by itself, which takes any field and is in no alias."""
    store = open_store()
    store.index([decision(unique, 1)])
    client.indices.delete(index=f"decisions-{unique}-2026.11")
    client.indices.delete_index_template(name=f"headrace-decisions-{unique}")
    assert store.index([decision(unique, 2)]).created == 1
    index = f"decisions-{unique}-2026.11"
    assert client.indices.get_mapping(index=index)[index]["mappings"]["dynamic"] == "strict"
    wait_until(lambda: list(store.ids(unique)) == ["t@0a0b0c0d-0-2"], what="the decision")


def test_an_index_that_someone_else_made_meanwhile_is_noticed(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    store = open_store()
    store.index([decision(unique, 1)])
    client.indices.delete(index=f"decisions-{unique}-2026.11")
    client.indices.delete_index_template(name=f"headrace-decisions-{unique}")
    client.index(index=f"decisions-{unique}-2026.11", document={"anything": 1})
    with pytest.raises(StoreMismatch, match="takes any field"):
        store.index([decision(unique, 2)])


def test_a_cluster_that_takes_no_further_index_is_loud_and_standing_months_are_written(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    """D-B6: at the cluster's limit of shards a new month stopped the indexer as unfit, good months with it."""
    store = open_store()
    store.index([decision(unique, 1)])
    limit = {"cluster.max_shards_per_node": 1}
    client.cluster.put_settings(persistent=limit)
    try:
        with pytest.raises(StoreUnavailable, match=r"raise cluster\.max_shards_per_node"):
            store.index([decision(unique, 2), decision(unique, 3, "2026-12-01T00:00:00Z")])
    finally:
        client.cluster.put_settings(persistent=dict.fromkeys(limit))
    report = store.index([decision(unique, 2), decision(unique, 3, "2026-12-01T00:00:00Z")])
    assert (report.created, report.repeats) == (1, 1)


def test_an_index_that_takes_no_documents_is_found_by_a_check(
    client: Elasticsearch, open_store: Open, unique: str
) -> None:
    store = open_store()
    store.index([decision(unique, 1)])
    client.indices.put_settings(index=f"decisions-{unique}-2026.11", settings={"index.blocks.write": True})
    with pytest.raises(StoreUnavailable, match="takes no documents"):
        store.check()
    client.indices.put_settings(index=f"decisions-{unique}-2026.11", settings={"index.blocks.write": None})


def test_an_id_that_breaks_a_whole_request_is_refused_alone_by_the_server(
    open_store: Open, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-B4: Elasticsearch refuses all of a bulk for one id over 512 bytes; here nothing looks before it does."""
    monkeypatch.setattr("connectors.documents.MAX_ID_BYTES", 10_000)
    store = open_store()
    report = store.index([decision(unique, 1), decision(unique, 2) | {"id": "x" * 600}, decision(unique, 3)])
    assert report.created == 2
    assert [rejected.position for rejected in report.rejected] == [1]
    assert "action_request_validation_exception: Validation Failed: 1: id [xxx" in report.rejected[0].reason
