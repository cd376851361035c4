"""`headrace trends`: reads the store, folds items into stories, tells windows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from connectors.ports import DecisionStore
from headrace.applications import load_classifying_application
from headrace.output import print_json, stage_bars
from headrace.pages.files import write_page
from headrace.pages.trends import render_trends
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.settings import load_settings
from headrace.terminal import field, say, show_table
from headrace.tools.digest.reading import decisions_between, mood_of
from headrace.tools.digest.stories import Groups
from headrace.tools.trends.windows import LENGTHS, Group, Trends, Window, window_start
from headrace.wiring import Wiring
from models.errors import ConfigError
from retrain.progress import Progress, no_progress
from streams.application import Application
from streams.monitor.trends.stories import Stories, StoryItem, StoryPolicy

WINDOWS: Final = {"5m": 12, "1h": 24, "1d": 30}  # that are told where nobody says since when
AT_ONCE: Final = 256
SHOWN: Final = 60  # rows in the terminal
# as strict as the rules that count stories: most items of a feed tell something of their own, and must not be merged
STORIES: Final = StoryPolicy(cosine=0.7)

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
    store = wiring.store()
    try:
        with stage_bars() as progress:
            trends = make(store, app, order, _embed_with(app, wiring), now, progress)
    finally:
        store.close()
    windows = trends.of(order.wanted)
    documents = [window.as_json(app.name, order.length, now) for window in windows]
    if order.page is not None and windows:
        write_page(order.page, render_trends(str(order.wanted), documents, trends.stories(order.wanted)), "--page")
    if json:
        for document in documents:
            print_json(document)
        return
    if not windows:
        say(f"nothing is told of {field(str(order.wanted))} in that time")
    rows = [_row(window, document) for window, document in zip(windows[-SHOWN:], documents[-SHOWN:], strict=True)]
    if rows:
        show_table(("window", "of", "items, stories", "sentiment", "largest story"), rows)
    if len(windows) > SHOWN:
        say(f"the last {SHOWN} of {len(windows)} windows; --json prints all, --symbol, --entity and --topic choose")
    if order.page is not None and windows:
        say(f"the page: {field(str(order.page))}")
    if trends.future:
        say(f"{trends.future} items are dated after they came, and are in no window")


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
        raise ConfigError(f"--since {since.isoformat()} is not before {until.isoformat()}")
    earlier = since - timedelta(seconds=STORIES.open_seconds)
    decisions = sorted(_told(decisions_between(store, app, earlier, until), progress), key=_place)
    if not any(datetime.fromisoformat(one["at"]) >= since for one in decisions):
        raise ConfigError(f"the store holds no decision of {app.name} from {since.isoformat()} on: say --since")
    trends, groups, stories = Trends(order.length), Groups(app, mood_of(app, order.mood)), Stories(STORIES)
    for start in range(0, len(decisions), AT_ONCE):
        progress("stories", start, len(decisions))
        some = decisions[start : start + AT_ONCE]
        for decision, story_id in zip(some, _story_ids(some, stories, embed), strict=True):
            if datetime.fromisoformat(decision["at"]) >= since:
                trends.add(decision, story_id, groups)
    progress("stories", len(decisions), len(decisions))
    return trends


def _story_ids(decisions: Sequence[Mapping[str, Any]], stories: Stories, embed: Embed) -> list[str]:
    """Of each: as it was told, else as it is folded here."""
    untold = [one for one in decisions if "story_id" not in one]
    vectors = iter(embed([one["text"] for one in untold]) if untold else ())
    ids = []
    for one in decisions:
        story_id = one.get("story_id")
        if story_id is None:
            at = datetime.fromisoformat(one["at"]).timestamp()
            story_id = stories.add(StoryItem(one["id"], at, one["text"], next(vectors))).story_id
        ids.append(str(story_id))
    return ids


def _embed_with(app: Application, wiring: Wiring) -> Embed:
    """With the application's encoder, which is loaded once a text is to be read."""
    loaded: list[Embed] = []

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        if not loaded:
            loaded.append(default_encoder(with_encoder_of(app, wiring)).embed)
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


def _row(window: Window, document: Mapping[str, Any]) -> tuple[object, ...]:
    sentiment = document["sentiment"]
    said = "too few to say"
    if sentiment is not None:
        low, high = sentiment["interval"]
        said = f"{sentiment['mean']:+.2f} ({low:+.2f} … {high:+.2f})"
    late = f", {document['late']} late" if document["late"] else ""
    return (
        document["start"][:16].replace("T", " "),
        field(str(window.group)),
        f"{document['items']}, {document['stories']}{late}",
        said,
        field(document["largest"]["text"], 80),
    )
