"""Templates and indices: made where they are missing, looked over where they stand, dropped when they are old.

headrace-decisions-<app>      index template: strict mapping from the app's heads
decisions-<app>-<period>      an index per month (or week, or day, see `periods`)
decisions-<app>, decisions    aliases for reading; writing through them is refused

What is told beside decisions has the same of its own (headrace-stories-<app>, stories-<app>-<period>, stories), and
so have windows of trends.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from elasticsearch import ApiError, Elasticsearch, NotFoundError, TransportError

from connectors.elasticsearch.errors import cause, kind_of, too_many_shards, translate
from connectors.elasticsearch.mapping import (
    APP_NAME,
    SCHEMA_VERSION,
    mappings_for,
    missing_fields,
    schema_of,
    story_mappings,
    trend_mappings,
)
from connectors.elasticsearch.periods import Period, Span, index_names, period_of
from connectors.errors import StoreMismatch
from models.errors import HeadraceError

ALIAS = "decisions"
STORIES = "stories"
TRENDS = "trends"
NAMES_AT_ONCE = 20  # indices named in one request: its line must stay below 4 kB


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """How new indices are cut. replicas: None follows the cluster, one where there is a second node."""

    shards: int = 1
    replicas: int | None = None
    span: Span = "month"

    @property
    def settings(self) -> dict[str, str]:
        """As Elasticsearch keeps them."""
        copies = (
            {"auto_expand_replicas": "0-1"} if self.replicas is None else {"number_of_replicas": str(self.replicas)}
        )
        return {"number_of_shards": str(self.shards), "refresh_interval": "1s", **copies}


@dataclass(frozen=True, slots=True)
class Kind:
    """What indices hold. alias: under which all of them are read; their names begin with it. mappings: by the
    application's heads."""

    alias: str
    mappings: Callable[[Sequence[str]], dict[str, Any]]


DECISIONS = Kind(ALIAS, mappings_for)
TOLD_STORIES = Kind(STORIES, lambda _: story_mappings())
TREND_WINDOWS = Kind(TRENDS, lambda _: trend_mappings())


@dataclass(frozen=True, slots=True)
class Places:
    """names: the index of each application and day. blocked: why some have none, one of each kind at least."""

    names: dict[tuple[str, date], str]
    blocked: list[HeadraceError]


class Indices:
    """The indices of the prepared applications."""

    def __init__(self, client: Elasticsearch, url: str, layout: IndexLayout, kind: Kind = DECISIONS) -> None:
        self._client, self._url, self._layout, self._kind = client, url, layout, kind
        self._alias = kind.alias
        self.heads: dict[str, list[str]] = {}
        self._checked: set[str] = set()

    def prepare(self, heads: Mapping[str, Sequence[str]]) -> None:
        """Template, and what stands checked. Heads of an older template stay. Raises StoreMismatch."""
        alias = self._alias
        if self._client.indices.exists(index=alias) and alias in self._client.indices.get(index=alias):
            raise StoreMismatch(f"{self._url} has an index named {alias}; Headrace needs that name for an alias")
        for app, names in heads.items():
            if not APP_NAME.fullmatch(app) or self._period(f"{alias}-{app}"):
                raise StoreMismatch(f"app {app!r} cannot name an index: lower-case letters, digits, - _ and . only")
            self.heads[app] = self._put_template(app, names)
            for index, described in self._standing([app]).items():
                self._check(index, described, self.heads[app])

    def places(self, wanted: Iterable[tuple[str, date]]) -> Places:
        """The index of each day's decisions, made where there is none.

        One that covers the day already is taken, the narrowest first, so that a repeat meets its document also after
        the span was changed. Each call looks whether they still stand as Headrace made them: Elasticsearch would make
        a missing one by itself, with any mapping.
        """
        names = {(app, day): index_names(app, day, self._alias) for app, day in set(wanted)}
        candidates = {name for by_span in names.values() for name in by_span.values()}
        fit = self._with_alias(candidates)
        self._checked -= candidates - fit
        places = Places({}, [])
        refused: set[str] = set()
        for (app, day), by_span in sorted(names.items()):
            name = next((name for name in by_span.values() if name in fit), by_span[self._layout.span])
            if name in refused:
                continue
            try:
                self._ensure(app, name)
            except (ApiError, TransportError, HeadraceError) as error:
                places.blocked.append(error if isinstance(error, HeadraceError) else translate(error, self._url))
                refused.add(name)
                continue
            fit.add(name)
            places.names[app, day] = name
        return places

    def delete_before(self, day: date, apps: Collection[str]) -> int:
        """Drop those whose whole time has passed; returns how many."""
        old = []
        for name, described in self._standing(apps).items():
            period = self._period(name)
            if period is not None and period.end <= day and schema_of(described["mappings"]) is not None:
                old.append(name)
        for name in old:
            self._client.indices.delete(index=name, ignore_unavailable=True)
        self._checked.difference_update(old)
        return len(old)

    def _ensure(self, app: str, name: str) -> None:
        """The index as the template says, whoever made it."""
        if name in self._checked:
            return
        if not self._client.indices.exists(index=name):
            self._put_template(app, self.heads[app])  # someone may have removed it
            try:
                self._client.indices.create(index=name)
            except ApiError as error:
                if kind_of(error) == "validation_exception":
                    raise too_many_shards(self._url, cause(error)) from error
                if kind_of(error) != "resource_already_exists_exception":  # another indexer was faster
                    raise
        self._check(name, self._client.indices.get(index=name)[name], self.heads[app])

    def _check(self, name: str, described: Mapping[str, Any], heads: Sequence[str]) -> None:
        """Compare an index with what is needed; add new heads. Raises StoreMismatch naming the field and both kinds."""
        expected = self._kind.mappings(heads)
        there = described["mappings"]
        if there.get("dynamic") != "strict":
            raise StoreMismatch(
                f"index {name} takes any field (dynamic={there.get('dynamic', 'true')}), Headrace needs a strict "
                f"mapping: it was not made from Headrace's template; reindex it under another name and remove it"
            )
        if missing_fields(name, there.get("properties", {}), expected["properties"]):
            self._client.indices.put_mapping(index=name, properties=expected["properties"])
        for alias in {self._alias, f"{self._alias}-{self._app(name)}"} - set(described.get("aliases", {})):
            self._client.indices.put_alias(index=name, name=alias, is_write_index=False)
        self._checked.add(name)

    def _with_alias(self, names: Collection[str]) -> set[str]:
        """Those of them that stand and can be searched."""
        fit: set[str] = set()
        ordered = sorted(names)
        for start in range(0, len(ordered), NAMES_AT_ONCE):
            part = ordered[start : start + NAMES_AT_ONCE]
            answer = self._client.indices.get_alias(index=part, ignore_unavailable=True, expand_wildcards="all")
            fit |= {name for name, described in answer.items() if self._alias in described["aliases"]}
        return fit

    def _standing(self, apps: Collection[str]) -> dict[str, Any]:
        """These applications' indices as they are described, closed ones too."""
        standing: dict[str, Any] = {}
        for app in apps:
            if APP_NAME.fullmatch(app):
                answer = self._client.indices.get(
                    index=f"{self._alias}-{app}-*", allow_no_indices=True, expand_wildcards=["open", "closed"]
                )
                standing |= {name: described for name, described in answer.items() if self._app(name) == app}
        return standing

    def _put_template(self, app: str, names: Sequence[str]) -> list[str]:
        """Make or extend the app's template; returns all heads it knows. A newer schema is left alone and refused."""
        name = f"headrace-{self._alias}-{app}"
        old = self._template(name)
        mappings = old.get("mappings", {})
        if (schema_of(mappings) or 0) > SCHEMA_VERSION:
            raise StoreMismatch(
                f"index template {name} was written by a newer Headrace (schema {schema_of(mappings)}, this one: "
                f"{SCHEMA_VERSION})"
            )
        known = mappings.get("properties", {}).get("labels", {}).get("properties", {})
        heads = list(dict.fromkeys([*known, *names]))
        if mappings != self._kind.mappings(heads) or old.get("settings", {}).get("index") != self._layout.settings:
            self._client.indices.put_index_template(
                name=name,
                index_patterns=[f"{self._alias}-{app}-*"],
                # Templates must not tie, and `decisions-a-*` also meets the indices of an app named a-b: the longer
                # name wins.
                priority=500 + len(app),
                template={
                    "settings": {"index": self._layout.settings},
                    "mappings": self._kind.mappings(heads),
                    "aliases": {alias: {"is_write_index": False} for alias in (f"{self._alias}-{app}", self._alias)},
                },
            )
        return heads

    def _template(self, name: str) -> dict[str, Any]:
        try:
            answer = self._client.indices.get_index_template(name=name)["index_templates"][0]
        except (NotFoundError, IndexError):
            return {}
        template: dict[str, Any] = answer["index_template"].get("template", {})
        return template

    def _app(self, index: str) -> str | None:
        period = self._period(index)
        return period.app if period is not None else None

    def _period(self, index: str) -> Period | None:
        return period_of(index, self._alias)
