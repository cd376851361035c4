"""The indexer: what the store does not take, or nobody foresaw, is that record's dead letter and nothing else's."""

import asyncio
import threading
from collections.abc import Sequence

import orjson
import pytest

from connectors.deadletters import read_origin
from connectors.ports import Document, IndexReport, Rejected
from streams.engine.dead_letter_limit import DeadLetterLimit, TooManyDeadLetters
from streams.engine.delivery import Delivery, OutRecord
from streams.engine.pipeline import BatchPipeline
from streams.indexer import IndexerCounts, indexer_pipeline


class Store:
    """Refuses documents without a text, and fails on one that says `crash`."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.threads: set[str] = set()

    def index(self, documents: Sequence[Document]) -> IndexReport:
        self.threads.add(threading.current_thread().name)
        if any(document.get("text") == "crash" for document in documents):
            raise KeyError("nobody foresaw this")
        rejected = [Rejected(n, "no text") for n, document in enumerate(documents) if "text" not in document]
        given = [str(document["id"]) for document in documents if "text" in document]
        created = list(dict.fromkeys(identity for identity in given if identity not in self.kept))
        self.kept += created
        return IndexReport(len(created), len(given) - len(created), tuple(rejected))


def run(values: Sequence[bytes], share: float = 1.0) -> tuple[BatchPipeline, Store, dict[int, str], IndexerCounts, int]:
    store, letters, counts, acknowledged = Store(), {}, IndexerCounts(), list[int]()  # type: ignore[var-annotated]

    async def send_all(records: Sequence[OutRecord]) -> None:
        for record in records:
            origin = read_origin(record.headers)
            assert origin.offset not in letters
            letters[origin.offset] = origin.reason

    async def scenario() -> BatchPipeline:
        engine = indexer_pipeline(
            store,  # type: ignore[arg-type]  # as much of a store as is used
            send_all,
            lambda done: acknowledged.extend(delivery.offset for delivery in done),
            counts,
            limit=DeadLetterLimit(share),
        )
        engine.start()
        await engine.submit([Delivery("decisions.x", 0, n, None, value, 0) for n, value in enumerate(values)])
        await engine.drain(5.0)
        await engine.abort()
        return engine

    engine = asyncio.run(scenario())
    assert acknowledged == list(range(len(acknowledged)))
    return engine, store, letters, counts, len(acknowledged)


def document(number: int, **more: object) -> bytes:
    return orjson.dumps({"id": f"d{number}", "text": "x"} | more)


def test_each_refused_record_is_a_dead_letter_and_the_others_are_indexed() -> None:
    values = [document(0), b"no json", b"[]", orjson.dumps({"id": "d3"}), document(4), document(0)]
    engine, store, letters, counts, acknowledged = run(values)
    assert engine.failure is None and acknowledged == 6
    assert store.kept == ["d0", "d4"]
    assert letters == {1: "bad_record", 2: "bad_record", 3: "not_indexed"}
    assert (counts.created, counts.repeats, counts.rejected) == (2, 1, 3)


def test_a_document_without_an_id_or_with_an_odd_one_does_not_end_the_indexer() -> None:
    """S-A17 j: the dead letter was looked up by the id that the store gave back: a KeyError, again at each start."""
    values = [b'{"text": "x", "id": "a\\ud800b"}', b'{"text": "x", "id": 7}', b'{"text": "x", "id": null}']
    engine, _, letters, _, acknowledged = run([*values, orjson.dumps({"id": "\ufffd"})])
    assert engine.failure is None and acknowledged == 4
    assert letters == {0: "bad_record", 3: "not_indexed"}


def test_what_the_store_fails_on_is_one_dead_letter() -> None:
    """One guard around each step of each role: a KeyError in the store ended every indexer in turn."""
    engine, store, letters, _, acknowledged = run([document(n, text="crash" if n == 5 else "x") for n in range(12)])
    assert engine.failure is None and acknowledged == 12
    assert store.kept == [f"d{n}" for n in range(12) if n != 5]
    assert letters == {5: "internal_error"}


def test_a_topic_of_refused_decisions_stops_the_indexer_before_they_are_acknowledged() -> None:
    """The share limit holds for the indexer too: a bad deploy would drain `decisions.*` into the dead letters."""
    engine, _, letters, _, acknowledged = run([b"no json"] * 400, share=0.5)
    assert isinstance(engine.failure, TooManyDeadLetters)
    assert acknowledged == 0
    assert len(letters) == 400


def test_parsing_and_storing_leave_the_event_loop_alone() -> None:
    """S-A17 k: four megabytes of JSON were parsed on the loop."""
    _, store, *_ = run([document(n) for n in range(3)])
    assert all(name.startswith("indexer") for name in store.threads)


@pytest.mark.parametrize("value", [None, b"", b"null", b"17", b'"x"', b"\xff"])
def test_no_value_is_too_odd(value: bytes | None) -> None:
    engine, _, letters, _, acknowledged = run([value])  # type: ignore[list-item]
    assert engine.failure is None and acknowledged == 1
    assert letters == {0: "bad_record"}
