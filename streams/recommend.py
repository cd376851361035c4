"""From user events to ranked lists: what the recommend agent does, without Kafka.

The state (users' recent items, popularity, learnt weights) lives in memory. It belongs to the partitions that this
worker was given: with each assignment it is rebuilt from what was decided of them before.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from connectors.ports import Record
from models.errors import MessageError
from models.recommender import Ranking, Recommender, UserEvent
from streams.application import Application
from streams.engine.delivery import Delivery, Outcome, OutRecord, Step
from streams.engine.offset_tracker import Partition
from streams.wire.outcomes import dead_letter, passed_over, wall_clock_ms
from streams.wire.records import decision_id, format_time
from streams.wire.source_records import PassedOver, SourceEvent, SourceReader, SourceText
from streams.wire.text import cut_text

log = logging.getLogger(__name__)

# The last records of these partitions that the group has decided, in the order in which they came. Raises
# ConnectorError.
Past = Callable[[Collection[Partition]], Iterable[Record]]


def user_event(event: SourceEvent, app: Application) -> UserEvent:
    """What the recommender learns from. Raises MessageError (no_user, no_item)."""
    known = UserEvent.from_record({"user_id": event.user, "item_id": event.item, "action": event.action})
    if known.user_id is None:
        raise MessageError("no_user", f"no user at {app.source.user}")
    if known.item_id is None:
        raise MessageError("no_item", f"no item at {app.source.item}")
    return known


class RecommendHandler:
    """Ranks for batches of user events, in delivery order. Told of each assignment (a role's PartitionHolder)."""

    def __init__(
        self,
        app: Application,
        recommender: Recommender,
        version: str,
        epochs: Mapping[str, str],
        past: Past = lambda partitions: (),
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """version: of the catalogue. epochs: of each topic that is read, by name."""
        self._app, self.recommender, self._version = app, recommender, version
        self._epochs, self._past, self._now_ms = epochs, past, now_ms
        self._assigned: tuple[Partition, ...] | None = None  # whose past is still to be read
        self.reader = SourceReader.of(app)

    async def assigned(self, partitions: Collection[Partition]) -> None:
        """Others' users may have come, and ours have gone. Their past is read before the next event is decided, as the
        group waits for this."""
        self._assigned = tuple(partitions)

    async def released(self) -> None:
        """Nothing is to be put down: all of it stands in the topic."""

    def _rebuild(self) -> None:
        assigned = self._assigned
        if assigned is None:
            return
        past = list(self._past(assigned))
        self.recommender.forget()
        if past:
            log.info("%s: state rebuilt from %d events", self._app.name, self._replay(past))
        if self._assigned is assigned:  # there was no other assignment meanwhile
            self._assigned = None

    def _replay(self, records: Iterable[Record]) -> int:
        """Take in events that were decided before; returns how many counted."""
        events = []
        for record in records:
            try:
                event = self.reader.parse_event(record.value, record.key, record.timestamp_ms)
                if not isinstance(event, PassedOver):
                    events.append(user_event(event, self._app))
            except MessageError:
                continue  # it is in the dead letters already
        self.recommender.replay(events)
        return len(events)

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
                    delivery.result = user_event(event, self._app), event.source
            except MessageError as error:
                delivery.result = dead_letter(delivery, error)

    def decide(self, batch: Sequence[Delivery]) -> None:
        """Observe each event and rank for its user. Raises ConnectorError where the past of new partitions cannot be
        read."""
        self._rebuild()
        for delivery in batch:
            if not isinstance(delivery.result, Outcome):
                event, source = delivery.result
                delivery.result = self._outcome(delivery, event, source, self.recommender.observe(event))

    def _outcome(self, delivery: Delivery, event: UserEvent, source: SourceText, ranking: Ranking) -> Outcome:
        decided_ms = self._now_ms()
        decision: dict[str, Any] = {
            "id": decision_id(delivery.topic, self._epochs[delivery.topic], delivery.partition, delivery.offset),
            "app": self._app.name,
            "model": self._app.name,
            "version": self._version,
            "path": "full",
            "at": format_time(source.at_ms),
            "decided_at": format_time(decided_ms),
            "latency_ms": max(decided_ms - source.written_ms, 0),
            "labels": {},
            "items": [{"item_id": item, "score": round(score, 4)} for item, score in ranking.items],
            "action": "recommend",
            "text": cut_text(source.text),
            "key": source.key,
            "extra": self.reader.extra(source),
        }
        if ranking.feedback is not None:
            decision["extra"]["previous_list"] = {"taken": ranking.feedback.item_id, "rank": ranking.feedback.rank}
        return Outcome(
            [OutRecord(self._app.decisions_topic, source.record_key, orjson.dumps(decision))],
            latency_seconds=decision["latency_ms"] / 1000,
        )
