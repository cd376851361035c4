"""The DecisionStore port on Elasticsearch 8.19 and later.

Beside `text` (Elasticsearch's standard analyzer, for Kibana) each document holds `words`: the same words that SQLite
indexes (connectors/cjk.py), split at spaces only. Headrace searches those, and so finds the same in both stores.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from elasticsearch import ApiError, NotFoundError

from connectors.beside.stories import sort_out_stories, with_stories
from connectors.beside.trends import sort_out_windows
from connectors.cjk import highlight, phrases
from connectors.documents import asked_instant, first_day, instant, sort_out, storable
from connectors.elasticsearch import bulk
from connectors.elasticsearch.client import open_client
from connectors.elasticsearch.errors import translated
from connectors.elasticsearch.indices import ALIAS, STORIES, TOLD_STORIES, TREND_WINDOWS, TRENDS, IndexLayout, Indices
from connectors.elasticsearch.mapping import APP_NAME
from connectors.elasticsearch.reading import asked
from connectors.errors import StoreUnavailable
from connectors.ports import Document, IndexReport, Rejected, SearchQuery, SearchResult, TrendsQuery
from connectors.security import Security

IDS_PAGE = 5_000
RESULT_WINDOW = 10_000  # index.max_result_window's default, and how far totals are exact

INDEXER_RIGHTS = ["create_index", "create_doc", "read", "view_index_metadata"]  # docs/security.md
TRENDS_RIGHTS = ["create_index", "index", "read", "view_index_metadata"]  # a window is written again
NO_SECURITY_STATUS = (400, 403, 404, 405, 500, 501)  # a cluster without the module, or one that does not tell


class ElasticsearchStore:
    """One cluster; see the port for what each verb promises. May be used from several threads."""

    def __init__(self, url: str, security: Security | None = None, layout: IndexLayout | None = None) -> None:
        """url: http(s)://host:port. Connects at the first call. Raises ConfigError where it is no URL."""
        self._url = url
        self._client = open_client(url, security)
        self._indices = Indices(self._client, url, layout or IndexLayout())
        self._stories = Indices(self._client, url, layout or IndexLayout(), TOLD_STORIES)
        self._trends = Indices(self._client, url, layout or IndexLayout(), TREND_WINDOWS)

    def prepare(self, heads: Mapping[str, Sequence[str]], stories: Collection[str] = ()) -> None:
        """See the port. Heads of an older template stay. Raises StoreMismatch where what stands differs in kind."""
        with translated(self._url):
            self._indices.prepare(heads)
            if stories:
                self._stories.prepare({app: () for app in stories})
                self._trends.prepare({app: () for app in stories})

    def index(self, documents: Sequence[Document]) -> IndexReport:
        """See the port. What the cluster refuses for now is sent again, with waits, for up to 30 s."""
        accepted, rejected = sort_out(documents, self._indices.heads)
        return self._written(self._indices, bulk.line, accepted, rejected)

    def tell(self, stories: Sequence[Document]) -> IndexReport:
        """See the port."""
        accepted, rejected = sort_out_stories(stories, self._stories.heads)
        return self._written(self._stories, bulk.plain_line, accepted, rejected)

    def put_windows(self, windows: Sequence[Document]) -> IndexReport:
        """See the port."""
        accepted, rejected = sort_out_windows(windows, self._trends.heads)
        return self._written(self._trends, bulk.window_line, accepted, rejected, "start")

    def windows(self, query: TrendsQuery) -> Iterator[dict[str, Any]]:
        """See the port."""
        filters: list[dict[str, Any]] = [{"term": {"app": query.app}}, {"term": {"window": query.window}}]
        filters.append({"range": {"start": {"gte": query.since, "lt": query.until}}})
        group = {"topic": query.topic, "symbol": query.symbol, "entity": query.entity}
        wanted = {"filter": filters} | ({} if not any(group.values()) else {"must_not": _others(group)})
        filters += [{"term": {name: storable(value)}} for name, value in group.items() if value is not None]
        after = None
        while True:
            with translated(self._url):
                answer = asked(
                    self._client.search,
                    index=_alias(query.app, TRENDS),
                    ignore_unavailable=True,
                    allow_no_indices=True,
                    query={"bool": wanted},
                    sort=[{"start": "asc"}, {"id": "asc"}],
                    search_after=after,
                    size=IDS_PAGE,
                    track_total_hits=False,
                )
            hits = answer["hits"]["hits"]
            if not hits:
                return
            after = hits[-1]["sort"]
            yield from (dict(hit["_source"]) for hit in hits)

    def search(self, query: SearchQuery) -> SearchResult:
        """See the port. Without text: newest first."""
        wanted = phrases(query.text)
        if query.text.strip() and not wanted:
            return SearchResult(0, ())
        order: list[Any] = [{"at": {"order": "desc", "unmapped_type": "date"}}]
        with translated(self._url):
            conditions = _conditions(query, wanted)
            if query.story is not None:
                conditions["filter"].append(self._of_story(query.app, query.story))
            answer = asked(
                self._client.search,
                index=_alias(query.app),
                ignore_unavailable=True,
                allow_no_indices=True,
                query={"bool": conditions},
                sort=["_score", *order] if wanted else order,
                size=max(0, min(query.limit, RESULT_WINDOW)),
                track_total_hits=RESULT_WINDOW,
                source_excludes=["words"],
            )
            hits = answer["hits"]
            shown = self._joined([_shown(hit, wanted) for hit in hits["hits"]])
        return SearchResult(hits["total"]["value"], tuple(shown))

    def get(self, ids: Sequence[str], app: str | None = None) -> dict[str, dict[str, Any]]:
        """See the port. By search, as an id alone does not tell its index: what was indexed a second ago is found."""
        documents: dict[str, dict[str, Any]] = {}
        with translated(self._url):
            for start in range(0, len(ids), IDS_PAGE):
                values = [storable(identity) for identity in ids[start : start + IDS_PAGE]]
                filters: list[dict[str, Any]] = [{"ids": {"values": values}}]
                if app is not None:
                    filters.append({"term": {"app": storable(app)}})
                answer = asked(
                    self._client.search,
                    index=ALIAS,
                    ignore_unavailable=True,
                    query={"bool": {"filter": filters}},
                    size=RESULT_WINDOW,
                    source_excludes=["words"],
                )
                hits = answer["hits"]["hits"]
                decisions = self._joined([hit["_source"] for hit in hits])
                documents |= {hit["_id"]: one for hit, one in zip(hits, decisions, strict=True)}
        return documents

    def ids(self, app: str) -> Iterator[str]:
        """See the port: a view of the moment of the call (point in time)."""
        if not APP_NAME.fullmatch(app):
            return
        with translated(self._url):
            try:
                self._refresh(_alias(app))
                view = asked(self._client.open_point_in_time, index=_alias(app), keep_alive="2m")["id"]
            except NotFoundError:
                return
        after = None
        try:
            while True:
                with translated(self._url):
                    answer = asked(
                        self._client.search,
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
            with translated(self._url):
                self._client.close_point_in_time(id=view)

    def delete_before(self, day: str, apps: Collection[str]) -> int:
        """See the port: returns how many indices went. Touches only indices that Headrace made."""
        with translated(self._url):
            gone = self._indices.delete_before(first_day(day), apps)
            if self._stories.heads:
                self._stories.delete_before(first_day(day), apps)
                self._trends.delete_before(first_day(day), apps)
            return gone

    def check(self) -> None:
        """See the port: red, closed or read-only. A key without the right to see the cluster's health sees the rest.

        Of the applications that were prepared, else of all.
        """
        with translated(self._url):
            if self._health() == "red":
                raise StoreUnavailable(
                    f"Elasticsearch at {self._url} is red, some shards have no copy; "
                    f"see GET /_cluster/allocation/explain"
                )
            settings = self._client.indices.get_settings(
                index=[_alias(app) for app in self._indices.heads] or ALIAS,
                ignore_unavailable=True,
                expand_wildcards="all",
                flat_settings=True,
            )
        for index, described in settings.items():
            on = [name for name, value in described["settings"].items() if value == "true"]
            if "index.verified_before_close" in on:
                raise StoreUnavailable(f"index {index} at {self._url} is closed: open it (POST /{index}/_open)")
            if blocks := [name for name in on if name.startswith("index.blocks.")]:
                raise StoreUnavailable(
                    f"index {index} at {self._url} takes no documents ({', '.join(blocks)}): free space on its disks, "
                    f"then take the block away"
                )

    def missing_rights(self) -> list[str]:
        """See the port. None are known where the cluster has no security, or does not tell."""
        kinds = [ALIAS, STORIES] if self._stories.heads else [ALIAS]
        asked = [{"names": [f"{kind}-*" for kind in kinds], "privileges": INDEXER_RIGHTS}]
        if self._trends.heads:
            asked.append({"names": [f"{TRENDS}-*"], "privileges": TRENDS_RIGHTS})
        with translated(self._url):
            try:
                answer = self._client.security.has_privileges(index=asked)
            except ApiError as error:
                if error.meta.status in NO_SECURITY_STATUS:
                    return []
                raise
        return sorted({name for rights in answer["index"].values() for name, given in rights.items() if not given})

    def close(self) -> None:
        """See the port."""
        self._client.close()

    def _written(
        self,
        indices: Indices,
        line: Callable[[int, str, Document], bulk.Line],
        accepted: Mapping[int, dict[str, Any]],
        rejected: Sequence[Rejected],
        time: str = "at",
    ) -> IndexReport:
        """Each document in the index of its day. time: the field that says which."""
        days = {position: (document["app"], instant(document[time]).date()) for position, document in accepted.items()}
        with translated(self._url):
            places = indices.places(days.values())
            report = bulk.send(
                self._client,
                self._url,
                [
                    line(position, places.names[days[position]], document)
                    for position, document in accepted.items()
                    if days[position] in places.names
                ],
            )
        if blocked := [*places.blocked, *report.blocked]:
            raise blocked[0]
        return IndexReport(report.created, report.repeats, (*rejected, *report.rejected))

    def _of_story(self, app: str | None, story_id: str) -> dict[str, Any]:
        """Asks for the decisions that tell this story: of more than RESULT_WINDOW the newest ones."""
        answer = asked(
            self._client.search,
            index=_alias(app, STORIES),
            ignore_unavailable=True,
            allow_no_indices=True,
            query={"bool": {"filter": [{"term": {"story_id": storable(story_id)}}]}},
            sort=[{"at": {"order": "desc", "unmapped_type": "date"}}],
            source_includes=["app"],
            size=RESULT_WINDOW,
        )
        ids: dict[str, list[str]] = {}
        for hit in answer["hits"]["hits"]:
            ids.setdefault(hit["_source"]["app"], []).append(hit["_id"])
        told = [
            {"bool": {"filter": [{"term": {"app": owner}}, {"ids": {"values": of_app}}]}}
            for owner, of_app in ids.items()
        ]
        return {"bool": {"should": told, "minimum_should_match": 1}} if told else {"match_none": {}}

    def _joined(self, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """With the story of each that tells one. A key without the right to read those sees decisions alone."""
        told: dict[tuple[str, str], dict[str, Any]] = {}
        apps = sorted({_alias(one["app"], STORIES) for one in decisions})
        for start in range(0, len(decisions) if apps else 0, IDS_PAGE):
            ids = sorted({one["id"] for one in decisions[start : start + IDS_PAGE]})
            try:
                answer = asked(
                    self._client.search,
                    index=apps,
                    ignore_unavailable=True,
                    allow_no_indices=True,
                    query={"bool": {"filter": [{"ids": {"values": ids}}]}},
                    size=RESULT_WINDOW,
                )
            except ApiError as error:
                if error.meta.status != 403:
                    raise
                return decisions
            told |= {(hit["_source"]["app"], hit["_id"]): hit["_source"] for hit in answer["hits"]["hits"]}
        return with_stories(decisions, told)

    def _refresh(self, alias: str) -> None:
        """Make all that was written visible; a key without the right for it sees it within a second anyway."""
        try:
            self._client.indices.refresh(index=alias)
        except ApiError as error:
            if error.meta.status != 403:
                raise

    def _health(self) -> str:
        try:
            return str(self._client.cluster.health()["status"])
        except ApiError as error:
            if error.meta.status != 403:
                raise
            return "unknown"


def _alias(app: str | None, kind: str = ALIAS) -> str:
    return f"{kind}-{app}" if app is not None and APP_NAME.fullmatch(app) else kind


def _conditions(query: SearchQuery, wanted: list[list[str]]) -> dict[str, Any]:
    filters: list[dict[str, Any]] = []
    if query.app is not None:
        filters.append({"term": {"app": storable(query.app)}})
    if query.label is not None:
        filters.append({"term": {"any_label": storable(query.label)}})
    if query.entity is not None:
        asked = [_any_of(query.entity, "entities.name", "entities.id")]
        if query.relevance_min > 0:
            asked.append({"range": {"entities.relevance": {"gte": query.relevance_min}}})
        filters.append({"nested": {"path": "entities", "query": {"bool": {"filter": asked}}, "ignore_unmapped": True}})
    if query.answer is not None:
        filters.append(_any_of(query.answer, "answer.id", "answer.source"))
    bounds = {"gte": asked_instant("--since", query.since), "lt": asked_instant("--until", query.until)}
    times = {name: moment.isoformat() for name, moment in bounds.items() if moment is not None}
    if times:
        filters.append({"range": {"at": times}})
    return {"must": [{"match_phrase": {"words": " ".join(phrase)}} for phrase in wanted], "filter": filters}


def _any_of(value: str, *fields: str) -> dict[str, Any]:
    return {"bool": {"should": [{"term": {field: storable(value)}} for field in fields]}}


def _others(group: Mapping[str, str | None]) -> list[dict[str, Any]]:
    """Groups that are of something else as well."""
    return [{"exists": {"field": name}} for name, value in group.items() if value is None]


def _shown(hit: Mapping[str, Any], wanted: list[list[str]]) -> dict[str, Any]:
    document = dict(hit["_source"])
    score = hit.get("_score") or 0.0
    return {**document, "score": score, "highlight": highlight(document["text"], wanted)}
