"""What a user would be shown now, and what goes with an item: the worker's own recommender, given every event again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from connectors.errors import BrokerUnavailable
from connectors.ports import Record
from connectors.table_files import Reject, read_rows
from headrace.process.recommender import recommender_of
from headrace.releases.item_maps import served_map
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.errors import ConfigError, MessageError
from models.recommendation.ranking import ListedItem
from streams.application import Application
from streams.recommend.handler import RecommendHandler, as_json, user_event
from streams.wire.source_records import PassedOver

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """user or item: exactly one of them. data: a file of events in place of the topic."""

    user: str | None = None
    item: str | None = None
    data: Path | None = None


def ask(wiring: Wiring, app: Application, asked: Asked, progress: Progress) -> dict[str, Any]:
    """`{app, user | item, known, events, users, catalogue, items: [{item_id, text, score, why, because?, because_text?,
    propensity?}]}`; known: whether anything is known of the user; catalogue: `topic` where its changes were read, else
    `file`. Raises ConfigError, BrokerUnavailable."""
    if app.kind != "recommend":
        raise ConfigError(f'{app.name} labels texts, it ranks no items: give an application of kind = "recommend"')
    progress("catalogue", 0, 1)
    recommender, encoder, version = recommender_of(wiring, app)
    changes = _changes(wiring, app, asked)
    served = served_map(wiring, app.name, encoder)
    handler = RecommendHandler(
        app, recommender, version, {}, catalogue=lambda: changes or (), embed=encoder.embed, wanted_map=lambda: served
    )
    handler.follow_map()
    handler.follow_catalogue()
    progress("catalogue", 1, 1)
    events = handler.replay(events_of(wiring, app, asked.data), progress=progress)
    if asked.data is not None and not events:
        raise ConfigError(f"{asked.data.name} holds no event of {app.name}: {_why_none(handler, asked.data)}")
    catalogue = recommender.catalogue
    if asked.item is not None:
        if catalogue.place(asked.item) is None:
            raise ConfigError(f"there is no item {asked.item} in the catalogue of {app.name}")
        listed, is_known = recommender.go_with(asked.item), True
    else:
        listed, is_known = recommender.rank(asked.user), recommender.knows(asked.user)
    texts = {item_id: catalogue.texts[place] for place, item_id in enumerate(catalogue.ids)}
    about = {"item": asked.item} if asked.item is not None else {"user": asked.user}
    return {
        "app": app.name,
        **about,
        "known": is_known,
        "events": events,
        "users": recommender.users,
        "catalogue": "file" if changes is None else "topic",
        "items": [_shown(item, texts) for item in listed],
    }


def _changes(wiring: Wiring, app: Application, asked: Asked) -> list[Record] | None:
    """What the catalogue's topic says. None: there is no such topic, or events are of a file and no broker answers."""
    topic = app.recommend.catalog_topic
    if topic is None:
        return None
    try:
        return list(all_records(wiring, topic))
    except BrokerUnavailable:
        if asked.data is None:
            raise
        return None


def _why_none(handler: RecommendHandler, data: Path) -> str:
    """What is wrong with the first row of a file that holds no event."""
    first = next(iter(read_rows(data)), None)
    if first is None:
        return "it has no row"
    if isinstance(first, Reject):
        return f"line {first.line}: {first.reason}"
    try:
        event = handler.reader.parse_event(orjson.dumps(first.fields), None, 0)
        if not isinstance(event, PassedOver):
            user_event(event, handler.app)
    except MessageError as error:
        return f"line {first.line}: {error}; [source] of its file says where they stand"
    return f"line {first.line} is a delete"


def _shown(item: ListedItem, texts: dict[str, str]) -> dict[str, Any]:
    shown = {"item_id": item.item_id, "text": texts[item.item_id], **as_json(item)}
    return shown | ({"because_text": texts[item.because]} if item.because in texts else {})


def events_of(wiring: Wiring, app: Application, data: Path | None) -> Iterable[Record]:
    """Records of events: of a file, or of the application's topics."""
    if data is not None:
        for row in read_rows(data):
            if not isinstance(row, Reject):
                yield Record(data.name, 0, row.line, None, orjson.dumps(row.fields), 0)
        return
    # of several topics as they came, as a worker is given them
    records = [record for topic in app.source_topics for record in all_records(wiring, topic)]
    yield from sorted(records, key=lambda record: record.timestamp_ms)
