"""A recommender with its catalogue, and where it reads what was decided of its partitions before."""

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping

from connectors.ports import Record
from connectors.table_files import Reject, read_rows
from headrace.releases.encoders import default_encoder, with_encoder_of
from headrace.topic_records import all_records
from headrace.wiring import Wiring
from models.encoder.encoder import Encoder
from models.errors import ConfigError
from models.recommendation.policy import RecommendPolicy
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.engine.offset_tracker import Partition
from streams.recommend.handler import RecommendHandler, WantedMap
from streams.topics import loses_items
from streams.wire.records import item_text
from streams.wire.topic_follower import TopicFollower

log = logging.getLogger(__name__)

CATALOGUE_WAIT_SECONDS = 30.0


def recommend_handler(
    wiring: Wiring,
    app: Application,
    epochs: Mapping[str, str],
    group: str,
    catalogue: "CatalogueFollower | None" = None,
    follow_maps: Callable[[Encoder], WantedMap] = lambda encoder: lambda: None,
) -> RecommendHandler:
    """The handler of a `recommend` application, which takes its state from what its group has decided already.
    catalogue: whom it hears changes of items from. follow_maps: gives what says which map of this encoder's embeddings
    is wanted."""
    recommender, encoder, version = recommender_of(wiring, app)
    handler = RecommendHandler(
        app,
        recommender,
        version,
        epochs,
        KafkaBefore(wiring, app, group),
        catalogue=catalogue or (lambda: ()),
        embed=encoder.embed,
        wanted_map=follow_maps(encoder),
    )
    handler.follow_catalogue()  # before this worker has partitions, whose events would wait for it
    handler.follow_map()  # before an index of neighbours is built, which would be built again
    recommender.make_ready()
    return handler


def recommender_of(wiring: Wiring, app: Application) -> tuple[Recommender, Encoder, str]:
    """A recommender of what the catalogue's file holds, what reads its items, and the file's version. Raises
    ConfigError."""
    assert app.catalog is not None
    items: dict[str, str] = {}
    for row in read_rows(app.catalog):
        if isinstance(row, Reject):
            log.warning("%s line %d: %s", app.catalog.name, row.line, row.reason)
            continue
        identity, title = row.fields.get("item_id"), row.fields.get("title")
        if not identity or not title:
            raise ConfigError(f"{app.catalog} line {row.line}: a catalogue needs the columns item_id and title")
        items[identity] = item_text(*(row.fields.get(name) for name in ("title", "description", "tags")))
    version = hashlib.sha256(repr(sorted(items.items())).encode()).hexdigest()[:8]
    encoder = default_encoder(with_encoder_of(app, wiring))
    rules = app.recommend
    policy = RecommendPolicy(
        length=rules.length,
        users_max=rules.users_max,
        repeats=rules.repeats,
        diversity=rules.diversity,
        exploration=min(rules.exploration, rules.length - 1),
        segments=tuple(app.source.segments),
        lists_for=None if rules.lists_for is None else frozenset(rules.lists_for),
    )
    return Recommender(list(items), encoder.embed(list(items.values())), policy, list(items.values())), encoder, version


class CatalogueFollower:
    """What a catalogue's topic said since the last call; the first call waits for all that stands there. A topic that
    is not there yet is followed once it is."""

    def __init__(self, wiring: Wiring, topic: str) -> None:
        self._topic = topic
        admin = wiring.admin()
        try:
            state = admin.describe([topic]).get(topic)
            self._is_first = state is not None
            if state is not None and not wiring.broker().is_embedded:
                loss = loses_items(state.cleanup, admin.configs([topic]).get(topic, {}))
                if loss is not None:
                    log.warning("topic %s: %s; `headrace doctor` says how to change that", topic, loss)
        finally:
            admin.close()
        if not self._is_first:
            log.info("there is no topic %s yet: items are those of the catalogue's file", topic)
        self._follower = TopicFollower(wiring.reader, topic)
        self._follower.start()

    def close(self) -> None:
        """Stop following."""
        self._follower.close()

    def __call__(self) -> list[Record]:
        heard, is_all = self._follower.take()
        if not self._is_first:
            return heard
        deadline = time.monotonic() + CATALOGUE_WAIT_SECONDS
        while not is_all and time.monotonic() < deadline:
            time.sleep(0.05)
            more, is_all = self._follower.take()
            heard += more
        if not is_all:
            log.warning("%s is not read to its end yet: lists begin without the rest of its items", self._topic)
        self._is_first = False
        return heard


class KafkaBefore:
    """The `Before` of one group of workers of an application, from the configured broker."""

    def __init__(self, wiring: Wiring, app: Application, group: str) -> None:
        self._wiring, self._app, self._group = wiring, app, group
        # the embedded broker is gone with the process whose worker could need one, and keeps 5 MB of a topic
        self.keeps_state = not wiring.broker().is_embedded

    def positions(self, partitions: Collection[Partition]) -> dict[Partition, int]:
        """See the port."""
        admin = self._wiring.admin()
        try:
            return {
                (topic, partition): offset
                for topic in sorted({topic for topic, _ in partitions})
                for partition, offset in admin.committed(self._group, topic).items()
                if (topic, partition) in partitions
            }
        finally:
            admin.close()

    def state(self) -> Iterator[Record]:
        """See the port."""
        if self.keeps_state:
            yield from all_records(self._wiring, self._app.state_topic)

    def events(self, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> list[Record]:
        """See the port; of several topics as they came."""
        reader = self._wiring.reader()
        try:
            records: list[Record] = []
            for topic in sorted({topic for topic, _ in ends}):
                start, end = (
                    {p: offset for (of, p), offset in bounds.items() if of == topic} for bounds in (starts, ends)
                )
                if any(end.values()):
                    records += reader.read(topic, start, end, list(end))
            return sorted(records, key=lambda record: record.timestamp_ms)
        finally:
            reader.close()
