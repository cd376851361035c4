"""Writing documents in bulks: each is created, stands already, is refused for good, or waits.

A bulk that is refused whole (an id that breaks the request, a proxy's limit of size) is halved until the culprit stands
alone. What is refused for now is sent again, with waits. A document on which the server fails again and again, while it
takes others, is refused for good: it must not hold the others up. Where an index itself takes nothing (closed, full),
the documents of the others are written first, and the caller hears of it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from elasticsearch import ApiError, Elasticsearch

from connectors.cjk import spaced
from connectors.documents import encoded
from connectors.elasticsearch.errors import BUSY_STATUS, kind_of, reason_of, too_many_shards
from connectors.errors import AccessDenied, StoreUnavailable
from connectors.ports import Document, Rejected
from models.errors import HeadraceError

REQUEST_SECONDS = 30.0
BULK_SECONDS = 30.0  # for so long what is refused for now is sent again before the caller hears of it
BACK_OFF_SECONDS = (0.2, 5.0)  # first and longest wait
BULK_DOCUMENTS = 1_000
BULK_BYTES = 5 * 1024 * 1024  # far below http.max_content_length (100 MB); larger bulks were not faster
REFUSED_WHOLE = frozenset((400, 413))
BUSY_KINDS = frozenset(("cluster_block_exception", "unavailable_shards_exception"))
FULL_INDEX = "number of documents in the index cannot exceed"

Verdict = Literal["created", "repeat", "busy", "failing", "refused"]


@dataclass(frozen=True, slots=True)
class Line:
    """A document ready for the wire: its position in the caller's batch, the bulk action and the source as JSON."""

    position: int
    action: bytes
    source: bytes

    @property
    def size(self) -> int:
        """Bytes in the request."""
        return len(self.action) + len(self.source) + 2


@dataclass(slots=True)
class BulkReport:
    """blocked: why some could be neither written nor refused for good."""

    created: int = 0
    repeats: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    blocked: list[HeadraceError] = field(default_factory=list)


def line(position: int, index: str, document: Document) -> Line:
    """The document for its index. `op_type` create: an id that stands stays as it is."""
    action = {"create": {"_index": index, "_id": document["id"]}}
    return Line(position, encoded(action), encoded({**document, "words": spaced(document["text"])}))


def plain_line(position: int, index: str, document: Document) -> Line:
    """As `line`, of a document without a text to be searched."""
    return Line(position, encoded({"create": {"_index": index, "_id": document["id"]}}), encoded(document))


def window_line(position: int, index: str, document: Document) -> Line:
    """As `plain_line`, of a document that replaces the one of its id, but where that has more items."""
    place = {"_index": index, "_id": document["id"], "version": document["items"], "version_type": "external_gte"}
    return Line(position, encoded({"index": place}), encoded(document))


def send(client: Elasticsearch, url: str, lines: Sequence[Line]) -> BulkReport:
    """Write them all. Raises StoreUnavailable where the cluster stays too busy for some for BULK_SECONDS."""
    report = BulkReport()
    waiting, wait = list(lines), BACK_OFF_SECONDS[0]
    deadline = time.monotonic() + BULK_SECONDS
    while True:
        results = [result for chunk in _chunks(waiting) for result in _send_chunk(client, chunk)]
        refused_for_now = []
        for document, result in zip(waiting, results, strict=True):
            verdict = _tally(report, document, result, url)
            if verdict in ("busy", "failing"):
                refused_for_now.append((document, verdict, _reason(result)))
        if not refused_for_now:
            return report
        if time.monotonic() + wait > deadline:
            return _give_up(report, refused_for_now, url, len(lines))
        time.sleep(wait)
        wait = min(2 * wait, BACK_OFF_SECONDS[1])
        waiting = [document for document, _, _ in refused_for_now]


def _send_chunk(client: Elasticsearch, lines: Sequence[Line]) -> list[Mapping[str, Any]]:
    """Each document's result; a request that is refused whole as busy is so for all."""
    operations: list[Any] = [part for document in lines for part in (document.action, document.source)]
    try:
        items = client.options(request_timeout=REQUEST_SECONDS).bulk(operations=operations)["items"]
    except ApiError as error:
        status = error.meta.status
        described = {"status": status, "error": {"type": kind_of(error) or status, "reason": reason_of(error)}}
        if status in BUSY_STATUS:
            return [{**described, "whole": True}] * len(lines)
        if status not in REFUSED_WHOLE or (status == 400 and not kind_of(error)):
            raise
        if len(lines) == 1:
            return [described]
        half = len(lines) // 2
        return [*_send_chunk(client, lines[:half]), *_send_chunk(client, lines[half:])]
    return [next(iter(item.values())) for item in items]


def _tally(report: BulkReport, document: Line, result: Mapping[str, Any], url: str) -> Verdict:
    verdict = _verdict(result)
    if verdict == "created":
        report.created += 1
    elif verdict == "repeat":
        report.repeats += 1
    elif verdict == "refused":
        if problem := _problem_of_the_index(result, url):
            report.blocked.append(problem)
        else:
            report.rejected.append(Rejected(document.position, _reason(result)))
    return verdict


def _verdict(result: Mapping[str, Any]) -> Verdict:
    status = result["status"]
    if status in (200, 201):
        return "created"
    if status == 409:
        return "repeat"
    if status == 500 and not result.get("whole"):
        return "failing"
    if status in BUSY_STATUS or _kind(result) in BUSY_KINDS:
        return "busy"
    return "refused"


def _problem_of_the_index(result: Mapping[str, Any], url: str) -> HeadraceError | None:
    """Where no document would fare better: why, and the way out."""
    status, kind, index = result["status"], _kind(result), result.get("_index", "its index")
    if status in (401, 403):
        return AccessDenied(f"Elasticsearch at {url} refused to index: {_reason(result)}")
    if kind == "index_closed_exception":
        return StoreUnavailable(
            f"index {index} at {url} is closed: open it (POST /{index}/_open), or remove it for good with what it holds"
        )
    if status == 404:
        return StoreUnavailable(f"index {index} at {url} went away; it is made again at the next try")
    if kind == "validation_exception":
        return too_many_shards(url, _reason(result))
    if FULL_INDEX in _reason(result):
        return StoreUnavailable(
            f"index {index} at {url} is full: reindex it into one with more shards (HEADRACE_STORE_SHARDS), and see "
            f"docs/storage.md for how many decisions need how many"
        )
    return None


def _give_up(
    report: BulkReport, refused_for_now: Sequence[tuple[Line, Verdict, str]], url: str, total: int
) -> BulkReport:
    """Nothing more is tried. Raises StoreUnavailable but where the server fails on single documents only: others of
    the same batch were written meanwhile."""
    busy = [reason for _, verdict, reason in refused_for_now if verdict == "busy"]
    if busy or not report.created:
        reasons = busy or [reason for _, _, reason in refused_for_now]
        raise StoreUnavailable(
            f"Elasticsearch at {url} was too busy for {len(refused_for_now)} of {total} documents for "
            f"{BULK_SECONDS:.0f} s: {reasons[0]}"
        )
    for document, _, reason in refused_for_now:
        report.rejected.append(Rejected(document.position, f"the server fails on it, not on others: {reason}"))
    return report


def _kind(result: Mapping[str, Any]) -> str:
    return str((result.get("error") or {}).get("type", ""))


def _reason(result: Mapping[str, Any]) -> str:
    error = result.get("error") or {}
    inner = (error.get("caused_by") or {}).get("reason")
    return f"{error.get('type', result['status'])}: {str(error.get('reason', ''))[:200]}" + (
        f" ({inner[:200]})" if inner else ""
    )


def _chunks(lines: Sequence[Line]) -> Iterator[list[Line]]:
    chunk: list[Line] = []
    size = 0
    for document in lines:
        if chunk and (len(chunk) >= BULK_DOCUMENTS or size + document.size > BULK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(document)
        size += document.size
    if chunk:
        yield chunk
