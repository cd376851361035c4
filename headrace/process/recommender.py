"""A recommender with its catalogue, and its state as it was when the worker stopped."""

import hashlib
import logging
from collections.abc import Mapping

from connectors.ports import Record
from connectors.table_files import Reject, read_rows
from headrace.releases.encoders import default_encoder
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.recommender import Recommender
from streams.application import Application
from streams.recommend import RecommendHandler

log = logging.getLogger(__name__)

REBUILD_RECORDS = 5_000  # per partition; the recommender forgets faster than that


def recommend_handler(wiring: Wiring, app: Application, epochs: Mapping[str, str], group: str) -> RecommendHandler:
    """The handler of a `recommend` application, its state rebuilt from what its group has decided already."""
    assert app.catalog is not None
    items: dict[str, str] = {}
    for row in read_rows(app.catalog):
        if isinstance(row, Reject):
            log.warning("%s line %d: %s", app.catalog.name, row.line, row.reason)
            continue
        identity, title = row.fields.get("item_id"), row.fields.get("title")
        if not identity or not title:
            raise ConfigError(f"{app.catalog} line {row.line}: a catalogue needs the columns item_id and title")
        items[identity] = " ".join(str(row.fields.get(name) or "") for name in ("title", "description", "tags"))
    version = hashlib.sha256(repr(sorted(items.items())).encode()).hexdigest()[:8]
    recommender = Recommender(list(items), default_encoder(wiring).embed(list(items.values())))
    handler = RecommendHandler(app, recommender, version, epochs)
    _rebuild(wiring, handler, app, group)
    return handler


def _rebuild(wiring: Wiring, handler: RecommendHandler, app: Application, group: str) -> None:
    admin, reader = wiring.admin(), wiring.reader()
    try:
        records: list[Record] = []
        for topic in app.source_topics:
            committed = admin.committed(group, topic)
            start = {partition: max(offset - REBUILD_RECORDS, 0) for partition, offset in committed.items()}
            if any(committed.values()):
                records += reader.read(topic, start, committed)
        if records:
            records.sort(key=lambda record: record.timestamp_ms)  # of several topics, as they came
            log.info("%s: state rebuilt from %d events", app.name, handler.replay(records))
    finally:
        reader.close()
        admin.close()
