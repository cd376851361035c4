"""From user events to ranked lists: what the recommend agent does, without Kafka.

The state (users' recent items, what goes together, popularity, learnt weights) lives in memory. It belongs to the
partitions that this worker was given: with each assignment it is taken up from the last snapshot of each
(`taking_up.py`) and the events after it; snapshots go with the decisions (`writing.py`). Items appear, change and are
withdrawn as the catalogue's topic says, looked at before each batch.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from connectors.ports import Record
from models.errors import MessageError
from models.recommendation.adapting.item_map import ItemMap
from models.recommendation.events import ACTION_INDEX, ACTIONS, UserEvent
from models.recommendation.ranking import ListedItem, Ranking
from models.recommendation.recommender import Recommender
from streams.application import Application
from streams.clock import wall_clock_ms
from streams.engine.delivery import Delivery, Outcome, OutRecord, Step
from streams.engine.offset_tracker import Partition
from streams.recommend.backlog import CatalogueBacklog
from streams.recommend.catalogue_changes import CatalogueChanges, Gone
from streams.recommend.intake import Embed, Intake
from streams.recommend.taking_up import REBUILD_RECORDS, Before, take_up
from streams.recommend.writing import StateWriter
from streams.wire.outcomes import dead_letter, passed_over
from streams.wire.records import decision_id, format_time
from streams.wire.source_records import SYMBOL_CHARACTERS, PassedOver, SourceEvent, SourceReader, SourceText
from streams.wire.text import cut_text

log = logging.getLogger(__name__)

ITEMS_MAX: Final = 100_000  # withdrawn ones keep their place until a restart
HEARD_AT_ONCE: Final = 250  # records of the catalogue's topic with a batch: some milliseconds
_LISTED: Final = tuple(field.name for field in fields(ListedItem))
Progress = Callable[[str, int, int], None]
# What the catalogue's topic said since the last call, the first time all that stands there.
CatalogueRecords = Callable[[], Sequence[Record]]
# The map that a release asks for; None: the embeddings count as they are.
WantedMap = Callable[[], ItemMap | None]


def user_event(event: SourceEvent, app: Application) -> UserEvent:
    """What the recommender learns from. Raises MessageError (no_user, no_item)."""
    action = app.recommend.action(event.action)
    known = UserEvent.from_record({"user_id": event.user, "item_id": event.item, "action": action})
    known = replace(known, segments=event.segments)
    if known.user_id is None:
        raise MessageError("no_user", f"no user at {app.source.user}")
    if known.item_id is None:
        raise MessageError("no_item", f"no item at {app.source.item}")
    return known


def as_json(item: ListedItem) -> dict[str, Any]:
    """As it stands in a decision."""
    values = ((name, getattr(item, name)) for name in _LISTED)
    return {name: value for name, value in values if value is not None}


def _without_encoder(texts: Sequence[str]) -> NDArray[np.float32]:
    raise ValueError("a catalogue is followed, and nothing was given that embeds its texts")


class RecommendHandler:
    """Ranks for batches of user events, in delivery order. Told of each assignment (a role's PartitionHolder)."""

    def __init__(
        self,
        app: Application,
        recommender: Recommender,
        version: str,
        epochs: Mapping[str, str],
        before: Before | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        catalogue: CatalogueRecords = lambda: (),
        embed: Embed | None = None,
        wanted_map: WantedMap = lambda: None,
    ) -> None:
        """version: of the catalogue. epochs: of each topic that is read, by name. before: where the state is taken up
        from; None: it begins anew, and is not written down. embed: needed where a catalogue is followed. wanted_map:
        what the items' embeddings are compared through, looked at before each batch."""
        self.app, self.recommender, self._version = app, recommender, version
        self._epochs, self._before, self._now_ms = epochs, before, now_ms
        self._catalogue, self._wanted_map = catalogue, wanted_map
        self._map: ItemMap | None = None
        self._changes, self._backlog = CatalogueChanges(), CatalogueBacklog()
        self._intake = Intake(embed or _without_encoder)
        self._is_first, self._changed, self._is_full = True, 0, False  # of the catalogue's topic; since it was told
        self._in_file = dict(zip(recommender.catalogue.ids, recommender.catalogue.texts, strict=True))
        # as the event loop was told last, and which assignment was taken up; each is written by one thread
        self._assigned: list[Partition] | None = None
        self._taken_up: list[Partition] | None = None
        self._homes: list[Partition] = []  # a user's is kept with him by its number
        self._offsets: dict[Partition, int] = {}  # of each, the next one
        self._writer: StateWriter | None = None
        self._knows_actions = True  # as far as was seen
        if before is not None and before.keeps_state:
            self._writer = StateWriter(app.name, app.state_topic, epochs, recommender)
        self.reader = SourceReader.of(app)
        # What users clicked or bought, by whether it was new to them and stood in their list before; not of a rebuild.
        self.taken = dict.fromkeys(("new_listed", "new_missed", "again_listed", "again_missed"), 0)

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """Others' users may have come, and ours have gone. Their past is read before the next event is decided, as the
        group waits for this."""
        self._assigned = list(partitions)  # another object each time: the same partitions may come twice

    async def released(self) -> None:
        """Nothing is to be put down: all of it stands in the topics."""

    def _rebuild(self) -> None:
        assigned = self._assigned
        if assigned is None or assigned is self._taken_up:
            return
        self.recommender.forget()
        self._homes, self._offsets = sorted(assigned), {}
        if self._before is not None:
            self._take_up(self._before)
        self._taken_up = assigned  # where there was another assignment meanwhile, that one is still to be taken up

    def _take_up(self, before: Before) -> None:
        """From snapshots as far as they reach, then the events up to the group's positions."""
        positions = dict(before.positions(self._homes))
        taken = take_up(self.recommender, self.app.name, self._epochs, self._homes, positions, before.state)
        starts = {p: taken.offsets.get(p, max(end - REBUILD_RECORDS, 0)) for p, end in positions.items()}
        is_whole = all(start == 0 or partition in taken.offsets for partition, start in starts.items())
        past = list(before.events(starts, positions)) if any(positions.values()) else []
        users = self.recommender.users
        if past or users:
            read = self.replay(past, is_whole=is_whole)
            log.info("%s: %d users taken up as they were kept, %d events read again", self.app.name, users, read)
        if not is_whole:
            log.warning(
                "%s: no kept state of some partitions can be used; of what was decided of them before their last %d "
                "events nothing is known",
                self.app.name,
                REBUILD_RECORDS,
            )
        self._offsets = positions
        if self._writer is not None:
            self._writer.begin(self._homes, taken.slots, self._now_ms(), len(past))

    def replay(
        self, records: Iterable[Record], *, is_whole: bool = False, progress: Progress = lambda stage, done, total: None
    ) -> int:
        """Take in events that were decided before; returns how many counted. is_whole: all that came before them is
        known (`Recommender.replay`). progress: told of stages, and of records and events."""
        events, homes = self.read_events(records, progress)
        self.recommender.replay(events, homes, is_whole=is_whole, progress=partial(progress, "learning from events"))
        return len(events)

    def read_events(
        self, records: Iterable[Record], progress: Progress = lambda stage, done, total: None
    ) -> tuple[list[UserEvent], list[int]]:
        """What counts of these records, and the number of the partition of each; nothing is learnt of them."""
        events, homes = [], []
        for number, record in enumerate(records):
            if number % 1_000 == 0:
                progress("reading events", number, number)
            try:
                event = self.reader.parse_event(record.value, record.key, record.timestamp_ms)
                if not isinstance(event, PassedOver):
                    events.append(user_event(event, self.app))
                    homes.append(self._home((record.topic, record.partition)))
            except MessageError:
                continue  # it is in the dead letters already
        progress("reading events", len(events), len(events))
        return events, homes

    def _home(self, partition: Partition) -> int:
        if partition not in self._homes:
            self._homes.append(partition)
        return self._homes.index(partition)

    @property
    def steps(self) -> Sequence[Step]:
        """In this order, each for one batch at a time."""
        return (("prepare", self.prepare), ("decide", self.decide))

    def prepare(self, batch: Sequence[Delivery]) -> None:
        """Parse. Records without user or item become dead letters, tombstones and deletes are passed over."""
        now_ms = self._now_ms()
        for delivery in batch:
            try:
                event = self.reader.parse_event(delivery.value, delivery.key, delivery.timestamp_ms, now_ms)
                if isinstance(event, PassedOver):
                    delivery.result = passed_over(event)
                else:
                    delivery.result = user_event(event, self.app), event.source
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Observe each event and rank for its user, where it asks for a list. Raises ConnectorError where the past of
        new partitions cannot be read."""
        self.follow_map()
        self.follow_catalogue()
        self._rebuild()
        for delivery in batch:
            if not isinstance(delivery.result, Outcome):
                event, source = delivery.result
                self._name_unknown(event.action)
                ranking = self.recommender.observe(event, self._home((delivery.topic, delivery.partition)))
                delivery.result = self._outcome(delivery, event, source, ranking)
        self._write_down(batch)

    def _name_unknown(self, action: str) -> None:
        """Once: a shop whose orders count as `other` would recommend what was bought."""
        if self._knows_actions and action not in ACTION_INDEX:
            self._knows_actions = False
            log.warning(
                "%s: the action %r is none that is known (%s), so it counts as `other`, as further ones will; "
                "[recommend] actions may say what it means",
                self.app.name,
                action[:SYMBOL_CHARACTERS],
                ", ".join(ACTIONS[:-1]),
            )

    def _write_down(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            partition = delivery.topic, delivery.partition
            self._offsets[partition] = max(self._offsets.get(partition, 0), delivery.offset + 1)
        carrier = next((delivery.result for delivery in reversed(batch) if delivery.result.records), None)
        if self._writer is not None and carrier is not None:
            carrier.records += self._writer.after(len(batch), self._offsets, self._now_ms())

    def follow_map(self) -> None:
        """Compare the items' embeddings through the map that is wanted now. Raises ModelError."""
        wanted = self._wanted_map()
        if wanted is not self._map:
            self.recommender.adapt(wanted)
            self._map = wanted

    @property
    def version(self) -> str:
        """Of what decides: the catalogue, and the map where one serves."""
        return self._version if self._map is None else f"{self._version}+{self._map.version}"

    def follow_catalogue(self) -> None:
        """Take in what the catalogue's topic said meanwhile; the latest word on an item counts. The first time all that
        stands there, whatever it takes; of a bulk later what it withdraws at once, and the rest some with each batch,
        as lists do not wait for it."""
        is_first, self._is_first = self._is_first, False
        for name in self._backlog.put(self._catalogue()):
            self._intake.drop(name)
            self.recommender.catalogue.withdraw(name, is_told_again=True)
        self._hear()
        self._take_in(all_of_them=is_first)
        while is_first and self._backlog:
            self._hear()
            self._take_in(all_of_them=True)
        if self._backlog or len(self._intake):
            return
        if self._changed:
            log.info("%s: %d items of the catalogue changed", self.app.name, self._changed)
        if self._is_full:
            log.warning("%s: the catalogue has more than %d items; new ones are passed over", self.app.name, ITEMS_MAX)
        self._changed, self._is_full = 0, False

    def _hear(self) -> None:
        """The next words: what is withdrawn goes at once, what is new or changed is on its way."""
        catalogue, texts = self.recommender.catalogue, dict[str, str]()
        for name, said in self._changes.read(self._backlog.take(HEARD_AT_ONCE)).items():
            if name in self._backlog:
                continue
            place = catalogue.place(name)
            text = self._in_file.get(name, said) if said is Gone.UNSAID else said
            is_as_before = place is not None and text == catalogue.texts[place]
            if isinstance(text, Gone) or is_as_before:
                self._intake.drop(name)
            if isinstance(text, Gone):
                self._changed += place is not None
                catalogue.withdraw(name, is_told_again=said is not Gone.WITHDRAWN)
            elif is_as_before:
                self._changed += catalogue.show(name)
            elif place is not None or len(self._intake) + len(texts) < ITEMS_MAX:
                texts[name] = text
            else:
                self._is_full = True
        self._intake.put(texts)

    def _take_in(self, *, all_of_them: bool) -> None:
        catalogue = self.recommender.catalogue
        for name, text, embedding in self._intake.take(all_of_them=all_of_them):
            if catalogue.place(name) is None and len(catalogue) >= ITEMS_MAX:
                self._is_full = True
                continue
            catalogue.put(name, text, embedding)
            self._changed += 1

    def _outcome(self, delivery: Delivery, event: UserEvent, source: SourceText, ranking: Ranking) -> Outcome:
        decided_ms = self._now_ms()
        decision: dict[str, Any] = {
            "id": decision_id(delivery.topic, self._epochs[delivery.topic], delivery.partition, delivery.offset),
            "app": self.app.name,
            "model": self.app.name,
            "version": self.version,
            "path": "full",
            "at": format_time(source.at_ms),
            "decided_at": format_time(decided_ms),
            "latency_ms": max(decided_ms - source.written_ms, 0),
            "labels": {},
            "items": [as_json(item) for item in ranking.items],
            "action": "recommend" if ranking.is_asked else "none",
            "text": cut_text(source.text),
            "key": source.key,
            "extra": self.reader.extra(source),
        }
        if ranking.feedback is not None:
            is_new, is_listed = ranking.feedback.is_new, ranking.feedback.rank is not None
            self.taken[f"{'new' if is_new else 'again'}_{'listed' if is_listed else 'missed'}"] += 1
            decision["extra"]["previous_list"] = {
                "taken": ranking.feedback.item_id,
                "rank": ranking.feedback.rank,
                "new": ranking.feedback.is_new,
            }
        return Outcome(
            [OutRecord(self.app.decisions_topic, source.record_key, orjson.dumps(decision))],
            latency_seconds=decision["latency_ms"] / 1000,
        )
