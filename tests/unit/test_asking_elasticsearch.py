"""A question to an index that is being made: Elasticsearch refuses it for a moment, as no shard of it answers."""

from typing import Any

import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig
from elasticsearch import ApiError

from connectors.elasticsearch import reading
from connectors.elasticsearch.reading import asked

NO_SHARD = "search_phase_execution_exception"


def refusal(status: int, kind: str) -> ApiError:
    node = NodeConfig("http", "localhost", 9200)
    meta = ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, node)
    return ApiError(kind, meta, {"error": {"type": kind, "reason": "all shards failed"}})


class Cluster:
    """Refuses so many questions."""

    def __init__(self, times: int, status: int = 503, kind: str = NO_SHARD) -> None:
        self.left, self.asked, self._error = times, [], refusal(status, kind)  # type: list[dict[str, Any]]

    def search(self, **question: Any) -> str:
        self.asked.append(question)
        if self.left > 0:
            self.left -= 1
            raise self._error
        return "an answer"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_PAUSE_SECONDS", 0.001)


def test_an_index_in_the_making_is_asked_again() -> None:
    cluster = Cluster(3)
    assert asked(cluster.search, index="decisions", size=5) == "an answer"
    assert cluster.asked == [{"index": "decisions", "size": 5}] * 4


@pytest.mark.parametrize(("status", "kind"), [(400, NO_SHARD), (503, "cluster_block_exception"), (404, "not_found")])
def test_other_refusals_are_told_at_once(status: int, kind: str) -> None:
    cluster = Cluster(1, status, kind)
    with pytest.raises(ApiError):
        asked(cluster.search)
    assert len(cluster.asked) == 1


def test_a_cluster_that_has_lost_its_shards_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MAKING_SECONDS", 0.01)
    cluster = Cluster(10_000)
    with pytest.raises(ApiError):
        asked(cluster.search)
    assert len(cluster.asked) > 1
