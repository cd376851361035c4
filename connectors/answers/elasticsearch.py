"""The AnswerStore port on Elasticsearch 8.19 and later: an index for each bank, `answers-<application>`.

Words are those of connectors/cjk.py, as in SQLite. Nearest embeddings come from two indexed vectors; the cosines are
taken from a copy of them, as newer servers leave vectors out of what they give back.
"""

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from elasticsearch import NotFoundError

from connectors.cjk import spaced
from connectors.documents import storable
from connectors.elasticsearch.client import open_client
from connectors.elasticsearch.errors import translated
from connectors.errors import StoreMismatch, StoreUnavailable
from connectors.ports import Answer, AnswerVectors, BankState, FoundAnswer
from connectors.security import Security

BULK_ENTRIES = 200
PAGE = 1_000
MOST_NEAREST = 10_000  # the server's own limit
FIELDS = ("id", "question", "answer", "language", "source")
COPIES = ("question_copy", "answer_copy")
STATED = {"type": "keyword", "index": False, "doc_values": False}
META = "headrace_answers"


class ElasticsearchAnswers:
    """One index; see the port. May be used from several threads."""

    def __init__(self, url: str, app: str, security: Security | None = None, replicas: int | None = None) -> None:
        """url: http(s)://host:port. Connects at the first call. Raises ConfigError where it is no URL."""
        self._url, self._index, self._replicas = url, f"answers-{app}", replicas
        self._client = open_client(url, security)

    def state(self) -> BankState | None:
        """See the port. Raises StoreMismatch where an index of this name is somebody else's."""
        with translated(self._url):
            try:
                there = self._client.indices.get_mapping(index=self._index)[self._index]["mappings"]
            except NotFoundError:
                return None
        described = (there.get("_meta") or {}).get(META)
        if described is None:
            raise StoreMismatch(f"index {self._index} at {self._url} is no bank of answers")
        return BankState(described["encoder"], described["dimensions"], tuple(described["without_answer"]))

    def set_state(self, state: BankState) -> None:
        """See the port."""
        mappings = _mappings(state)
        with translated(self._url):
            if self._client.indices.exists(index=self._index):
                self._client.indices.put_mapping(index=self._index, meta=mappings["_meta"])
                return
            settings = {"number_of_shards": 1}  # one shard has one set of word counts: BM25 is the bank's own
            if self._replicas is not None:
                settings["number_of_replicas"] = self._replicas
            self._client.indices.create(index=self._index, mappings=mappings, settings=settings)

    def put(self, entries: Sequence[AnswerVectors]) -> None:
        """See the port. Where it raises, a part may stand: put them again."""
        for start in range(0, len(entries), BULK_ENTRIES):
            part = entries[start : start + BULK_ENTRIES]
            operations: list[Any] = []
            for kept in part:
                operations += [{"index": {"_id": storable(kept.entry.id)}}, _document(kept)]
            with translated(self._url):
                answer = self._client.bulk(index=self._index, operations=operations, refresh="wait_for")
            failed = [item["index"]["error"] for item in answer["items"] if "error" in item["index"]]
            if failed:
                raise StoreUnavailable(
                    f"Elasticsearch at {self._url} took {len(part) - len(failed)} of {len(part)} answers: "
                    f"{failed[0].get('type')}: {failed[0].get('reason')!s:.200}"
                )

    def entries(self) -> list[Answer]:
        """See the port."""
        return [_entry(source) for source in self._all(FIELDS)]

    def vectors(self) -> Iterator[AnswerVectors]:
        """See the port."""
        for source in self._all((*FIELDS, *COPIES)):
            yield AnswerVectors(_entry(source), *(base64.b64decode(source[copy]) for copy in COPIES))

    def _all(self, fields: Sequence[str]) -> Iterator[Mapping[str, Any]]:
        """Of each entry these fields, by id."""
        after = None
        while True:
            with translated(self._url):
                hits = self._client.search(
                    index=self._index,
                    ignore_unavailable=True,
                    sort=["id"],
                    search_after=after,
                    size=PAGE,
                    source={"includes": list(fields)},
                    track_total_hits=False,
                )["hits"]["hits"]
            if not hits:
                return
            yield from (hit["_source"] for hit in hits)
            after = hits[-1]["sort"]

    def remove(self, ids: Collection[str]) -> int:
        """See the port."""
        operations = [{"delete": {"_id": storable(identity)}} for identity in ids]
        if not operations or self.state() is None:
            return 0
        with translated(self._url):
            items = self._client.bulk(index=self._index, operations=operations, refresh="wait_for")["items"]
        return sum(item["delete"].get("result") == "deleted" for item in items)

    def find(self, text: str, vector: bytes, limit: int) -> list[FoundAnswer]:
        """See the port."""
        asked = np.frombuffer(vector, dtype="<f4")
        size = min(limit, MOST_NEAREST)
        by_words = self._search(size, query={"match": {"words": spaced(text)}})
        nearest = [
            self._search(
                size,
                knn={
                    "field": f"{name}_vector",
                    "query_vector": asked.tolist(),
                    "k": size,
                    "num_candidates": min(MOST_NEAREST, max(100, 2 * size)),
                },
            )
            for name in ("question", "answer")
        ]
        scores = {hit["_id"]: float(hit["_score"]) for hit in by_words}
        together = {hit["_id"]: hit["_source"] for hits in (by_words, *nearest) for hit in hits}
        return [
            FoundAnswer(
                _entry(source),
                scores.get(identity, 0.0),
                *(float(np.frombuffer(base64.b64decode(source[copy]), dtype="<f4") @ asked) for copy in COPIES),
            )
            for identity, source in together.items()
        ]

    def clear(self) -> None:
        """See the port."""
        if self.state() is not None:
            with translated(self._url):
                self._client.indices.delete(index=self._index, ignore_unavailable=True)

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _search(self, size: int, **asked: Any) -> list[Any]:
        with translated(self._url):
            answer = self._client.search(
                index=self._index,
                ignore_unavailable=True,
                size=size,
                source={"includes": [*FIELDS, *COPIES]},
                track_total_hits=False,
                **asked,
            )
        return list(answer["hits"]["hits"])


def _mappings(state: BankState) -> dict[str, Any]:
    vector = {"type": "dense_vector", "dims": state.dimensions, "index": True, "similarity": "cosine"}
    described = {
        "encoder": state.encoder,
        "dimensions": state.dimensions,
        "without_answer": list(state.without_answer),
    }
    return {
        "dynamic": "strict",
        "_meta": {META: described},
        "properties": {
            **dict.fromkeys(FIELDS, STATED),
            "id": {"type": "keyword"},
            "words": {"type": "text", "analyzer": "whitespace"},
            "question_vector": vector,
            "answer_vector": vector,
            **dict.fromkeys(COPIES, STATED),
        },
    }


def _document(kept: AnswerVectors) -> dict[str, Any]:
    entry = kept.entry
    return {
        **{name: storable(getattr(entry, name)) for name in FIELDS},
        "words": spaced(f"{entry.question} {entry.answer}"),
        "question_vector": np.frombuffer(kept.question, dtype="<f4").tolist(),
        "answer_vector": np.frombuffer(kept.answer, dtype="<f4").tolist(),
        "question_copy": base64.b64encode(kept.question).decode(),
        "answer_copy": base64.b64encode(kept.answer).decode(),
    }


def _entry(source: Mapping[str, Any]) -> Answer:
    return Answer(*(source[name] for name in FIELDS))
