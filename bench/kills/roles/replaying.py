"""What a replay of an application's topic decides, once its roles have left: the same as they did, or what happened
cannot be looked into afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from connectors.ports import Record
from headrace.replay.run import ReplayRequest, replay
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from streams.application import Application
from streams.engine.delivery import Delivery
from streams.recommend.handler import RecommendHandler

BATCH_EVENTS = 64


def replayed_decisions(wiring: Wiring, app: Application, folder: Path) -> list[dict[str, Any]]:
    """What `headrace replay` decides of all that stands in the application's topic; of one that ranks items, which that
    command leaves alone, a worker that begins at the beginning. folder: for a file. Raises HeadraceError."""
    if app.kind == "recommend":
        return list(_ranked(wiring, app))
    file = folder / "replayed.jsonl"
    replay(wiring, ReplayRequest(app.topic, app, decisions=file))
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


def ranking_handler(wiring: Wiring, app: Application) -> RecommendHandler:
    """As a worker's that was given nothing before: items are those of the catalogue's file."""
    from headrace.process.recommender import recommender_of

    recommender, encoder, version = recommender_of(wiring, app)
    epochs = {topic: wiring.epoch(topic) for topic in app.source_topics}
    return RecommendHandler(app, recommender, version, epochs, embed=encoder.embed)


def _ranked(wiring: Wiring, app: Application) -> Iterator[dict[str, Any]]:
    handler = ranking_handler(wiring, app)
    records = [record for topic in app.source_topics for record in all_records(wiring, topic)]
    for first in range(0, len(records), BATCH_EVENTS):
        batch = list(map(_delivery, records[first : first + BATCH_EVENTS]))
        for _, step in handler.steps:
            step(batch)
        for delivery in batch:
            own = [one for one in delivery.result.records if one.topic == app.decisions_topic]
            yield from (orjson.loads(one.value) for one in own if one.value is not None)


def _delivery(record: Record) -> Delivery:
    return Delivery(record.topic, record.partition, record.offset, record.key, record.value, record.timestamp_ms)
