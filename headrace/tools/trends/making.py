"""`headrace trends`: reads the store, folds items into stories, tells windows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.ports import DecisionStore, SearchQuery, TrendsQuery
from headrace.applications import load_classifying_application, text_mask
from headrace.output import print_json, stage_bars
from headrace.pages.files import write_page
from headrace.pages.trends import render_trends
from headrace.releases.encoders import default_encoder, read_as, with_encoder_of
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.digest.reading import decisions_between, entity_meant, mood_of, near_entity
from headrace.tools.digest.stories import Groups
from headrace.tools.trends.windows import Trends
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.figures import moment, number_of
from retrain.progress import Progress, no_progress
from streams.application import Application
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy
from streams.monitor.trends.windows import LENGTHS, Group, window_start, written

WINDOWS: Final = {"5m": 12, "1h": 24, "1d": 30}  # that are told where nobody says since when
AT_ONCE: Final = 256
SHOWN: Final = 60  # rows in the terminal
# as strict as the rules that count stories: most items of a feed tell something of their own, and must not be merged
STORIES: Final = StoryPolicy(cosine=0.7)

_GROUP: Final = Group._fields
EVERY: Final = Group()  # names nothing

Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TrendsOrder:
    """length: of LENGTHS. wanted: a group; the empty one: all. since: None: the last WINDOWS. until: None: now. mood: a
    head whose labels are those of SCORES; None: the second one. page: of a group that is
    named."""

    application: str
    length: str = "1h"
    wanted: Group = EVERY
    since: datetime | None = None
    until: datetime | None = None
    mood: str | None = None
    page: Path | None = None


def run_trends(order: TrendsOrder, *, json: bool) -> None:
    """Make them and tell them, JSON lines one a window. Raises ConfigError where the stretch has no decision."""
    app, wiring, now = load_classifying_application(order.application), Wiring(load_settings()), datetime.now(UTC)
    entity = entity_meant(app, order.wanted.entity)
    order = replace(order, wanted=order.wanted._replace(entity=entity))
    store, trends = wiring.store(), None
    try:
        with stage_bars() as progress:
            documents = counted(store, app, order, now)
            if documents is None:
                trends = make(store, app, order, _embed_with(app, wiring), now, progress)
                documents = [window.as_json(app.name, order.length, now) for window in trends.of(order.wanted)]
    finally:
        store.close()
    if order.page is not None and trends is not None and documents:
        write_page(order.page, render_trends(str(order.wanted), documents, trends.stories(order.wanted)), "--page")
    _tell(order, documents, json=json)
    if entity is not None and not documents and not json and (near := near_entity(app, entity)):
        say(near.removeprefix("; "))
    if trends is not None and trends.future and not json:
        say(f"{trends.future} items are dated after they came, and are in no window")


def _tell(order: TrendsOrder, documents: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    if json:
        for document in documents:
            print_json(document)
        return
    if not documents:
        say(f"nothing is told of {field(str(order.wanted))} in that time")
    rows = [_row(document) for document in documents[-SHOWN:]]
    if rows:
        show_table(("window", "of", "items, stories", "sentiment", "largest story"), rows)
    if len(documents) > SHOWN:
        say(
            f"the last {SHOWN} of {number_of(len(documents), 'window')}; --json prints all, "
            "--symbol, --entity and --topic choose"
        )
    if order.page is not None and documents:
        say(f"the page: {field(str(order.page))}")


def counted(store: DecisionStore, app: Application, order: TrendsOrder, now: datetime) -> list[dict[str, Any]] | None:
    """The windows as they were counted when the items came. None where they were not for all of the stretch, where it
    ends within a window that is over, and where a page or another head is asked for: those need the decisions."""
    length, until = LENGTHS[order.length], order.until or now
    since = window_start(order.since or until - length * (WINDOWS[order.length] - 1), length)
    is_whole = until >= now or window_start(until, length) == until
    if app.stories is None or order.page is not None or not is_whole or since >= until:
        return None
    if order.mood is not None and order.mood != mood_of(app, None):
        return None
    all_of_it = TrendsQuery(app.name, order.length, written(since), written(until))
    first = next(store.windows(all_of_it), None)
    if first is None or store.search(SearchQuery("", app.name, None, written(since), first["start"], 1)).documents:
        return None
    found = store.windows(replace(all_of_it, **order.wanted._asdict()))
    mask = text_mask(app)
    documents = [_as_told(one, mask, now) for one in found]
    return sorted(
        documents, key=lambda one: (one["start"], -one["stories"], str(Group(*(one[name] for name in _GROUP))))
    )


def _as_told(window: Mapping[str, Any], mask: Callable[[str], str], now: datetime) -> dict[str, Any]:
    """As `Window.as_json` gives it, and what people are shown of texts."""
    known: dict[str, Any] = {**dict.fromkeys((*_GROUP, "sentiment")), **window}
    known["largest"] = known["largest"] | {"text": mask(known["largest"]["text"])}
    return known | {"is_over": datetime.fromisoformat(window["end"]) <= now}


def make(
    store: DecisionStore,
    app: Application,
    order: TrendsOrder,
    embed: Embed,
    now: datetime,
    progress: Progress = no_progress,
) -> Trends:
    """embed: texts to embeddings of unit length. Items belong to the story that the monitor told; those of which it
    told none are folded here, from a day before the stretch on, so that a window calls their stories as the one before
    did. Raises ConfigError."""
    length, until = LENGTHS[order.length], order.until or now
    since = window_start(order.since or until - length * (WINDOWS[order.length] - 1), length)
    if since >= until:
        raise ConfigError(f"--since {moment(since)} is not before {moment(until)}")
    earlier = since - timedelta(seconds=STORIES.open_seconds)
    decisions = sorted(_told(decisions_between(store, app, earlier, until), progress), key=_place)
    if not any(datetime.fromisoformat(one["at"]) >= since for one in decisions):
        raise ConfigError(f"the store holds no decision of {app.name} from {moment(since)} on: say --since")
    weights = {} if app.stories is None else app.stories.sources
    trends, groups, stories = Trends(order.length, weights), Groups(app, mood_of(app, order.mood)), Stories(STORIES)
    for start in range(0, len(decisions), AT_ONCE):
        progress("stories", start, len(decisions))
        some = decisions[start : start + AT_ONCE]
        for decision, story_id in zip(some, _story_ids(some, stories, groups, embed), strict=True):
            if datetime.fromisoformat(decision["at"]) >= since:
                trends.add(decision, story_id, groups)
    progress("stories", len(decisions), len(decisions))
    return trends


def _story_ids(decisions: Sequence[Mapping[str, Any]], stories: Stories, groups: Groups, embed: Embed) -> list[str]:
    """Of each: as it was told, else as it is folded here."""
    untold = [one for one in decisions if "story_id" not in one]
    vectors = iter(embed([one["text"] for one in untold]) if untold else ())
    ids = []
    for one in decisions:
        story_id = one.get("story_id")
        if story_id is None:
            at = datetime.fromisoformat(one["at"]).timestamp()
            item = StoryItem(one["id"], at, one["text"], next(vectors), groups.names_of(one))
            story_id = stories.add(item).story_id
        ids.append(str(story_id))
    return ids


def _embed_with(app: Application, wiring: Wiring) -> Embed:
    """With the application's encoder, which is loaded once a text is to be read."""
    loaded: list[Embed] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not loaded:
            loaded.append(read_as(app, default_encoder(with_encoder_of(app, wiring))).embed)
        return loaded[0](texts)

    return embed


def _told(decisions: Iterator[dict[str, Any]], progress: Progress) -> Iterator[dict[str, Any]]:
    for number, decision in enumerate(decisions):
        if number % AT_ONCE == 0:
            progress("reading the store", number, number + AT_ONCE)
        yield decision


def _place(decision: Mapping[str, Any]) -> tuple[datetime, str]:
    """By time; two of one moment always in one order, so that stories are the same whoever asks."""
    return datetime.fromisoformat(decision["at"]), decision["id"]


def _row(document: Mapping[str, Any]) -> tuple[object, ...]:
    sentiment = document["sentiment"]
    said = "too few to say"
    if sentiment is not None:
        low, high = sentiment["interval"]
        said = f"{sentiment['mean']:+.2f} ({low:+.2f} … {high:+.2f})"
    late = f", {document['late']} late" if document["late"] else ""
    return (
        moment(document["start"]),
        field(str(Group(*(document[name] for name in _GROUP)))),
        f"{document['items']}, {document['stories']}{late}",
        said,
        field(document["largest"]["text"], 80),
    )
