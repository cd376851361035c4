"""A recommender with its catalogue, and where it reads what was decided of its partitions before."""

import hashlib
import logging
from collections.abc import Collection, Mapping

from connectors.ports import Record
from connectors.table_files import Reject, read_rows
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.wiring import Wiring
from models.errors import ConfigError
from models.recommender import Recommender
from streams.application import Application
from streams.engine.offset_tracker import Partition
from streams.recommend import RecommendHandler

log = logging.getLogger(__name__)

REBUILD_RECORDS = 5_000  # per partition; the recommender forgets faster than that


def recommend_handler(wiring: Wiring, app: Application, epochs: Mapping[str, str], group: str) -> RecommendHandler:
    """The handler of a `recommend` application, which takes its state from what its group has decided already."""
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
    encoder = default_encoder(with_encoder_of(app, wiring))
    recommender = Recommender(list(items), encoder.embed(list(items.values())))
    return RecommendHandler(app, recommender, version, epochs, lambda partitions: past_of(wiring, group, partitions))


def past_of(wiring: Wiring, group: str, partitions: Collection[Partition]) -> list[Record]:
    """The last records before the group's positions in these partitions; of several topics, as they came."""
    admin, reader = wiring.admin(), wiring.reader()
    try:
        records: list[Record] = []
        for topic in sorted({topic for topic, _ in partitions}):
            decided = {p: offset for p, offset in admin.committed(group, topic).items() if (topic, p) in partitions}
            start = {partition: max(offset - REBUILD_RECORDS, 0) for partition, offset in decided.items()}
            if any(decided.values()):
                records += reader.read(topic, start, decided, list(decided))
        return sorted(records, key=lambda record: record.timestamp_ms)
    finally:
        reader.close()
        admin.close()
