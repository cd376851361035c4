"""The DecisionStore port on Elasticsearch 8.19 and later.

    headrace-decisions-<app>      index template: strict mapping from the app's heads decisions-<app>-YYYY.MM       an
    index per month of the source records' own time, so that a repeat meets its document decisions-<app>, decisions
    aliases for reading; writing through them is refused
Beside `text` (Elasticsearch's standard analyzer, for Kibana) each document holds `words`: the same words that SQLite
indexes (connectors/cjk.py), split at spaces only. Headrace searches those, and so finds the same in both stores.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from elastic_transport import TlsError
from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError

from connectors.addresses import STORE_CREDENTIALS, refuse_userinfo
from connectors.cjk import highlight, phrases, spaced
from connectors.documents import asked_instant, encoded, refusal, storable
from connectors.elasticsearch.mapping import (
    APP_NAME,
    MONTH_INDEX,
    SCHEMA_VERSION,
    index_name,
    is_before,
    mappings_for,
    missing_fields,
    schema_of,
)
from connectors.errors import AccessDenied, StoreMismatch, StoreUnavailable
from connectors.ports import Document, IndexReport, SearchQuery, SearchResult
from connectors.security import Security, opened
from models.errors import ConfigError, HeadraceError

REQUEST_SECONDS = 10.0
# Refused for now (429, a shard that moves): tried again for so long before the caller hears of it.
BULK_SECONDS = 30.0
BACK_OFF_SECONDS = (0.2, 5.0)  # first and longest wait
BULK_DOCUMENTS = 1_000
BULK_BYTES = 5 * 1024 * 1024  # far below http.max_content_length (100 MB); larger bulks were not faster
IDS_PAGE = 5_000
RESULT_WINDOW = 10_000  # index.max_result_window's default, and how far totals are exact
BUSY_STATUS = frozenset((429, 500, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class _Line:
    """A document ready for the wire: its id, the bulk action and the source, each one line of JSON."""

    identity: str
    action: bytes
    source: bytes


class ElasticsearchStore:
    """One cluster; see the port for what each verb promises. May be used from several threads."""

    def __init__(self, url: str, security: Security | None = None) -> None:
        """url: http(s)://host:port. Connects at the first call. Raises ConfigError where it is no URL."""
        self._url = url
        self._heads: dict[str, list[str]] = {}
        self._checked: set[str] = set()
        refuse_userinfo("HEADRACE_STORE", url, STORE_CREDENTIALS)
        arguments = opened((security or Security()).elasticsearch(url))
        try:
            self._client = Elasticsearch(url, request_timeout=REQUEST_SECONDS, **arguments)
        except ValueError as error:
            raise ConfigError(f"HEADRACE_STORE {url!r} is no address of Elasticsearch: {error}") from error

    def prepare(self, heads: Mapping[str, Sequence[str]]) -> None:
        """See the port. Heads of an older template stay. Raises StoreMismatch where what stands differs in kind."""
        with self._translated():
            if self._client.indices.exists(index="decisions") and "decisions" in self._client.indices.get(
                index="decisions"
            ):
                raise StoreMismatch(f"{self._url} has an index named decisions; Headrace needs that name for an alias")
            for app, names in heads.items():
                if not APP_NAME.fullmatch(app) or MONTH_INDEX.fullmatch(f"decisions-{app}"):
                    raise StoreMismatch(f"app {app!r} cannot name an index: lower-case letters, digits, - _ and . only")
                known = self._put_template(app, names)
                for index in self._indices(app):
                    self._check_index(index, known)
                self._heads[app] = known

    def index(self, documents: Sequence[Document]) -> IndexReport:
        """See the port. What the cluster refuses for now is sent again, with waits, for up to 30 s."""
        rejected: list[tuple[str, str]] = []
        accepted: list[dict[str, Any]] = []
        for given in documents:
            document = storable(given)
            if reason := refusal(document, self._heads):
                rejected.append((str(document.get("id")), reason))
            else:
                accepted.append(document)
        created = repeats = 0
        with self._translated():
            for name in sorted({index_name(document) for document in accepted}):
                self._make_index(name)
            for chunk in _chunks([_line(document) for document in accepted]):
                report = self._bulk(chunk)
                created, repeats = created + report.created, repeats + report.repeats
                rejected += report.rejected
        return IndexReport(created, repeats, tuple(rejected))

    def search(self, query: SearchQuery) -> SearchResult:
        """See the port. Without text: newest first."""
        wanted = phrases(query.text)
        if query.text.strip() and not wanted:
            return SearchResult(0, ())
        order: list[Any] = [{"at": {"order": "desc", "unmapped_type": "date"}}]
        with self._translated():
            answer = self._client.search(
                index=_alias(query.app),
                ignore_unavailable=True,
                allow_no_indices=True,
                query={"bool": _conditions(query, wanted)},
                sort=["_score", *order] if wanted else order,
                size=max(0, min(query.limit, RESULT_WINDOW)),
                track_total_hits=RESULT_WINDOW,
                source_excludes=["words"],
            )
        hits = answer["hits"]
        return SearchResult(hits["total"]["value"], tuple(_found(hit, wanted) for hit in hits["hits"]))

    def get(self, ids: Sequence[str], app: str | None = None) -> dict[str, dict[str, Any]]:
        """See the port. By search, as an id alone does not tell its index: what was indexed a second ago is found."""
        found: dict[str, dict[str, Any]] = {}
        with self._translated():
            for start in range(0, len(ids), IDS_PAGE):
                values = [storable(identity) for identity in ids[start : start + IDS_PAGE]]
                filters: list[dict[str, Any]] = [{"ids": {"values": values}}]
                if app is not None:
                    filters.append({"term": {"app": storable(app)}})
                answer = self._client.search(
                    index="decisions",
                    ignore_unavailable=True,
                    query={"bool": {"filter": filters}},
                    size=RESULT_WINDOW,
                    source_excludes=["words"],
                )
                found |= {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}
        return found

    def ids(self, app: str) -> Iterator[str]:
        """See the port: a view of the moment of the call (point in time)."""
        if not APP_NAME.fullmatch(app):
            return
        with self._translated():
            try:
                self._refresh(_alias(app))
                view = self._client.open_point_in_time(index=_alias(app), keep_alive="2m")["id"]
            except NotFoundError:
                return
        after = None
        try:
            while True:
                with self._translated():
                    answer = self._client.search(
                        pit={"id": view, "keep_alive": "2m"},
                        sort=["_shard_doc"],
                        search_after=after,
                        size=IDS_PAGE,
                        source=False,
                        track_total_hits=False,
                    )
                hits = answer["hits"]["hits"]
                if not hits:
                    return
                view, after = answer.get("pit_id", view), hits[-1]["sort"]
                yield from (hit["_id"] for hit in hits)
        finally:
            with self._translated():
                self._client.close_point_in_time(id=view)

    def delete_before(self, month: str) -> int:
        """See the port: returns how many indices went. Touches only indices that Headrace made."""
        with self._translated():
            mappings = self._client.indices.get_mapping(index="decisions-*", allow_no_indices=True)
            old = [
                name
                for name, each in mappings.items()
                if is_before(name, month) and schema_of(each["mappings"]) is not None
            ]
            for name in old:
                self._client.indices.delete(index=name, ignore_unavailable=True)
        self._checked.difference_update(old)
        return len(old)

    def close(self) -> None:
        """See the port."""
        self._client.close()

    # --- template and indices

    def _put_template(self, app: str, names: Sequence[str]) -> list[str]:
        """Make or extend the app's template; returns all heads it knows. A newer schema is left alone and refused."""
        name = f"headrace-decisions-{app}"
        old: dict[str, Any] = {}
        try:
            found = self._client.indices.get_index_template(name=name)["index_templates"][0]
            old = found["index_template"]["template"]["mappings"]
        except (NotFoundError, KeyError):
            pass
        if (schema_of(old) or 0) > SCHEMA_VERSION:
            raise StoreMismatch(
                f"index template {name} was written by a newer Headrace (schema {schema_of(old)}, this one: "
                f"{SCHEMA_VERSION})"
            )
        heads = list(dict.fromkeys([*old.get("properties", {}).get("labels", {}).get("properties", {}), *names]))
        mappings = mappings_for(heads)
        if old != mappings:
            self._client.indices.put_index_template(
                name=name,
                index_patterns=[f"decisions-{app}-*"],
                # Templates must not tie, and `decisions-a-*` also meets the indices of an app named a-b: the longer
                # name wins.
                priority=500 + len(app),
                template={
                    "settings": {
                        "index": {"number_of_shards": 1, "auto_expand_replicas": "0-1", "refresh_interval": "1s"}
                    },
                    "mappings": mappings,
                    "aliases": {alias: {"is_write_index": False} for alias in (f"decisions-{app}", "decisions")},
                },
            )
        return heads

    def _indices(self, app: str) -> list[str]:
        found = self._client.indices.get_mapping(index=f"decisions-{app}-*", allow_no_indices=True)
        return [name for name in found if (match := MONTH_INDEX.fullmatch(name)) and match["app"] == app]

    def _make_index(self, name: str) -> None:
        """Before the first document of a month: the index as the template says, whoever made it."""
        if name in self._checked:
            return
        if not self._client.indices.exists(index=name):
            try:
                self._client.indices.create(index=name)
            except ApiError as error:
                if "resource_already_exists_exception" not in str(error):  # another indexer was faster
                    raise
        match = MONTH_INDEX.fullmatch(name)
        self._check_index(name, self._heads[match["app"]] if match else [])

    def _check_index(self, name: str, heads: Sequence[str]) -> None:
        """Compare an index with what is needed; add new heads. Raises StoreMismatch naming the field and both kinds."""
        expected = mappings_for(heads)
        there = self._client.indices.get_mapping(index=name)[name]["mappings"]
        if there.get("dynamic") != "strict":
            raise StoreMismatch(
                f"index {name} takes any field (dynamic={there.get('dynamic', 'true')}), Headrace needs a strict "
                f"mapping: "
                "it was not made from Headrace's template; reindex it under another name and remove it"
            )
        missing = missing_fields(name, there.get("properties", {}), expected["properties"])
        if missing:
            self._client.indices.put_mapping(index=name, properties=expected["properties"])
        self._checked.add(name)

    def _refresh(self, alias: str) -> None:
        """Make all that was written visible; a key without the right for it sees it within a second anyway."""
        try:
            self._client.indices.refresh(index=alias)
        except ApiError as error:
            if error.meta.status != 403:
                raise

    # --- bulk

    def _bulk(self, lines: Sequence[_Line]) -> IndexReport:
        created, repeats = 0, 0
        rejected: list[tuple[str, str]] = []
        waiting, wait = list(lines), BACK_OFF_SECONDS[0]
        deadline = time.monotonic() + BULK_SECONDS
        while waiting:
            results, busy = self._send_bulk(waiting)
            again = []
            for line, result in zip(waiting, results, strict=True):
                verdict = _verdict(result, self._url)
                created += verdict == "created"
                repeats += verdict == "repeat"
                if verdict == "busy":
                    again.append(line)
                elif verdict not in ("created", "repeat"):
                    rejected.append((line.identity, verdict))
            waiting = again
            if waiting and time.monotonic() + wait > deadline:
                raise StoreUnavailable(
                    f"Elasticsearch at {self._url} was too busy for {len(waiting)} of {len(lines)} documents for "
                    f"{BULK_SECONDS:.0f} s: {busy}"
                )
            if waiting:
                time.sleep(wait)
                wait = min(2 * wait, BACK_OFF_SECONDS[1])
        return IndexReport(created, repeats, tuple(rejected))

    def _send_bulk(self, lines: Sequence[_Line]) -> tuple[list[Mapping[str, Any]], str]:
        """One request: each document's result, and why some must wait. A whole request refused as busy is so for
        all."""
        operations: list[Any] = [
            part for line in lines for part in (line.action, line.source)
        ]  # bytes pass through as they are
        try:
            items = self._client.bulk(operations=operations)["items"]
        except ApiError as error:
            if error.meta.status not in BUSY_STATUS:
                raise
            return [{"status": error.meta.status}] * len(lines), str(error)
        results = [item["create"] for item in items]
        reasons = [_reason(result) for result in results if result["status"] in BUSY_STATUS]
        return results, reasons[0] if reasons else ""

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (ApiError, TransportError) as error:
            raise translate(error, self._url) from error


def translate(error: Exception, url: str) -> HeadraceError:
    """Headrace's error for an error of the Elasticsearch client."""
    if isinstance(error, TlsError) or (isinstance(error, TransportError) and "certificate" in str(error).lower()):
        return AccessDenied(f"TLS with Elasticsearch at {url} failed: {error.message}; see HEADRACE_TLS_CA_FILE")
    if isinstance(error, ApiError):
        status = error.meta.status
        if status in (401, 403) and "cluster_block_exception" not in str(error.body):
            return AccessDenied(f"Elasticsearch at {url} refused the credentials or rights ({status}): {_cause(error)}")
        if status in BUSY_STATUS or status == 403:
            return StoreUnavailable(f"Elasticsearch at {url} cannot serve now ({status}): {_cause(error)}")
        return StoreMismatch(f"Elasticsearch at {url} refused a request ({status}): {_cause(error)}")
    if type(error).__name__ == "SerializationError":
        return StoreMismatch(f"what answers at {url} is no Elasticsearch; set HEADRACE_STORE")
    return StoreUnavailable(
        f"no Elasticsearch answers at {url}; start one with `headrace services start` or set HEADRACE_STORE"
    )


def _cause(error: ApiError) -> str:
    """The server's own words, without the request that holds texts."""
    with_cause = error.body.get("error") if isinstance(error.body, Mapping) else None
    if isinstance(with_cause, Mapping):
        return f"{with_cause.get('type')}: {str(with_cause.get('reason'))[:300]}"
    return (
        "no reason given" if error.message == "None" else str(error.message)[:300]
    )  # a HEAD request's answer has no body


def _verdict(result: Mapping[str, Any], url: str) -> str:
    """created, repeat, busy, or why the document is refused for good. Raises where no document would fare better."""
    status = result["status"]
    kind = (result.get("error") or {}).get("type", "")
    if status in (200, 201):
        return "created"
    if status == 409:
        return "repeat"
    if status in BUSY_STATUS or kind in ("cluster_block_exception", "unavailable_shards_exception"):
        return "busy"
    if status in (401, 403):
        raise AccessDenied(f"Elasticsearch at {url} refused to index: {_reason(result)}")
    if status == 404:
        raise StoreMismatch(f"Elasticsearch at {url} does not make indices by itself: {_reason(result)}")
    return _reason(result)


def _reason(result: Mapping[str, Any]) -> str:
    error = result.get("error") or {}
    inner = (error.get("caused_by") or {}).get("reason")
    return f"{error.get('type', result['status'])}: {str(error.get('reason', ''))[:200]}" + (
        f" ({inner[:200]})" if inner else ""
    )


def _alias(app: str | None) -> str:
    return f"decisions-{app}" if app is not None and APP_NAME.fullmatch(app) else "decisions"


def _line(document: Document) -> _Line:
    action = {"create": {"_index": index_name(document), "_id": document["id"]}}
    return _Line(document["id"], encoded(action), encoded({**document, "words": spaced(document["text"])}))


def _chunks(lines: Sequence[_Line]) -> Iterator[list[_Line]]:
    chunk: list[_Line] = []
    size = 0
    for line in lines:
        length = len(line.action) + len(line.source) + 2
        if chunk and (len(chunk) >= BULK_DOCUMENTS or size + length > BULK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += length
    if chunk:
        yield chunk


def _conditions(query: SearchQuery, wanted: list[list[str]]) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    if query.app is not None:
        filters.append({"term": {"app": storable(query.app)}})
    if query.label is not None:
        filters.append({"term": {"any_label": storable(query.label)}})
    bounds = {"gte": asked_instant("--since", query.since), "lt": asked_instant("--until", query.until)}
    times = {name: moment.isoformat() for name, moment in bounds.items() if moment is not None}
    if times:
        filters.append({"range": {"at": times}})
    return {"must": [{"match_phrase": {"words": " ".join(phrase)}} for phrase in wanted], "filter": filters}


def _found(hit: Mapping[str, Any], wanted: list[list[str]]) -> dict[str, Any]:
    document = dict(hit["_source"])
    score = hit.get("_score") or 0.0
    return {**document, "score": score, "highlight": highlight(document["text"], wanted)}
